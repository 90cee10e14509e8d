use super::*;
use crate::needs::split;

fn entry(name: &str, description: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        title: name.rsplit('/').next().unwrap_or_default().to_owned(),
        description: description.to_owned(),
        published: None,
        package: None,
        repository: None,
        known: 0.0,
        fork: false,
        verified: true,
        deprecated: false,
        seeded: false,
        similarity: Some(0.6),
        own_similarity: Some(0.6),
        words: 0.4,
    }
}

fn need(request: &str) -> Need {
    split(request).remove(0)
}

#[test]
fn the_well_known_comes_before_its_fork() {
    let known = Entry { known: 0.9, ..entry("io.github.makenotion/notion-mcp-server", "Official Notion server") };
    let fork = Entry { fork: true, similarity: Some(0.65), ..entry("io.agentopia.pypi/mseep-notion", "Notion pages") };
    let ranked = rank(&need("Notion pages"), vec![fork, known], 0.1, 100);
    assert_eq!(ranked[0].entry.name, "io.github.makenotion/notion-mcp-server");
    assert!(ranked[0].why.contains("notion"), "{}", ranked[0].why);
    assert!(ranked[1].why.contains("republished"), "{}", ranked[1].why);
}

#[test]
fn twins_collapse_into_the_better_one() {
    let first = Entry { known: 0.5, ..entry("a.b/weather", "A weather server, with forecasts") };
    let same_text = entry("c.d/other", "A weather server with forecasts.");
    let package = |name: &str| Some(name.to_owned());
    let original =
        Entry { package: package("pypi:mcp-weather"), ..entry("e.f/mcp-weather", "Weather data from stations") };
    let republished =
        Entry { package: package("pypi:iflow-mcp-mcp-weather"), ..entry("g.h/fork", "Forecasts of stations") };
    let ranked = rank(&need("weather"), vec![same_text, republished, first, original], 0.1, 100);
    assert_eq!(ranked.len(), 2);
    assert_eq!(ranked[0].entry.name, "a.b/weather");
}

#[test]
fn a_copy_is_known_by_its_publishers_text_though_the_seed_has_other_words() {
    let published = Some("Search the web with Brave, news and images too".to_owned());
    let seeded = Entry { seeded: true, published, ..entry("io.github.brave/brave-search", "Searches the web.") };
    let copy = entry("x.y/brave", "Search the web with Brave, news and images too.");
    let other = entry("x.y/another", "Search the web privately, news and images too.");
    let ranked = rank(&need("search the web"), vec![copy, seeded, other], 0.1, 100);
    let names: Vec<_> = ranked.iter().map(|one| one.entry.name.as_str()).collect();
    assert_eq!(names, ["io.github.brave/brave-search", "x.y/another"]);
}

#[test]
fn doubtful_entries_sink() {
    let sure = entry("a.b/mail", "Reads mail from an inbox");
    let doubtful =
        Entry { verified: false, similarity: Some(0.65), ..entry("c.d/mail", "Reads all mail of a mailbox") };
    let old = Entry { deprecated: true, similarity: Some(0.65), ..entry("e.f/mail", "Mailbox reader for agents") };
    let ranked = rank(&need("read my mail"), vec![doubtful, old, sure], 0.1, 100);
    assert_eq!(ranked[0].entry.name, "a.b/mail");
}

#[test]
fn a_named_product_beats_a_near_text() {
    let named = Entry { similarity: Some(0.5), ..entry("a.b/linear", "Issues of Linear") };
    let near = entry("c.d/tickets", "Create tickets in an issue tracker");
    assert_eq!(rank(&need("create a ticket in Linear"), vec![near, named], 0.1, 100)[0].entry.name, "a.b/linear");
}

#[test]
fn what_nobody_does_has_little_confidence() {
    let found = || {
        vec![Entry {
            similarity: Some(0.4),
            own_similarity: Some(0.4),
            words: 0.1,
            ..entry("a.b/garden", "Garden plants")
        }]
    };
    assert!(rank(&need("mow the lawn behind the house"), found(), 0.7, 100)[0].confidence < ANSWERED);
    assert!(
        rank(&need("weather in Berlin"), vec![entry("a.b/weather", "Weather forecasts")], 0.15, 100)[0].confidence
            > 0.8
    );
    assert!(rank(&need("weather"), Vec::new(), 0.1, 100).is_empty());
}

#[test]
fn confidence_falls_along_the_list() {
    let found = (0..20).map(|n| Entry {
        similarity: Some(0.7 - 0.02 * n as f32),
        ..entry(&format!("a.b/s{n}"), &format!("Thing {n} number"))
    });
    let ranked = rank(&need("weather"), found.collect(), 0.1, 100);
    assert!(ranked.windows(2).all(|pair| pair[0].confidence >= pair[1].confidence && pair[0].score >= pair[1].score));
    assert!(ranked.iter().all(|one| (0.0..=1.0).contains(&one.confidence)));
}

#[test]
fn an_entry_without_a_vector_is_found_by_its_words() {
    let fresh =
        Entry { similarity: None, own_similarity: None, words: 0.8, ..entry("a.b/strava", "Strava activities") };
    let ranked = rank(&need("log my Strava training"), vec![fresh], 0.1, 100);
    assert!(ranked[0].confidence > ANSWERED, "{}", ranked[0].confidence);
}
