use super::*;

#[test]
fn folding_drops_accents_and_keeps_other_scripts() {
    assert_eq!(fold("Über Größe ÉTÉ"), "uber grosse ete");
    assert_eq!(words("रिपॉजिटरी के इश्यू"), ["रिपॉजिटरी", "के", "इश्यू"]);
    assert_eq!(words("dall-e, Fly.io!"), ["dall", "e", "fly", "io"]);
}

#[test]
fn stems_meet() {
    for (one, other) in
        [("lamps", "lamp"), ("scraping", "scrape"), ("stories", "story"), ("running", "run"), ("boxes", "box")]
    {
        assert_eq!(stem(one), stem(other), "{one} {other}");
    }
}

#[test]
fn the_longest_product_name_wins() {
    let names =
        |text: &str| products_in(&words(text)).into_iter().map(|product| product.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names("from GMail into google sheets and gsheets"), ["gmail", "google sheets"]);
    assert_eq!(names("our k8s"), ["kubernetes"]);
    assert!(names("nothing of the kind").is_empty());
}

#[test]
fn misspelt_words_are_repaired_and_correct_ones_stay() {
    assert_eq!(repair("kubernets cluser pods lisst"), "kubernetes cluster pods list");
    assert_eq!(repair("sned a mesage on slak"), "send a message on slack");
    assert_eq!(repair("redit posts"), "reddit posts");
    for correct in [
        "cast my vote in the election",
        "paint my living room walls",
        "renew my passport",
        "Cara's lease at the notary",
    ] {
        assert_eq!(repair(correct), correct);
    }
}

#[test]
fn languages_are_told_apart() {
    for foreign in [
        "Wie wird das Wetter morgen in Berlin?",
        "Buscar vuelos baratos a Madrid",
        "查询北京明天的天气",
        "Mähe den Rasen hinter dem Haus",
    ] {
        assert!(is_foreign(foreign), "{foreign}");
    }
    for english in [
        "watch our servers",
        "send mesage to a discrod chanel",
        "serch in postst",
        "run SQL on Snowflake",
        "Xero invoices and contacts",
        "post it on the café's page",
    ] {
        assert!(!is_foreign(english), "{english}");
    }
}

#[test]
fn glosses_come_in_order_and_once() {
    assert_eq!(translate("Suche Flüge und Hotels").glosses[0], "search");
    assert!(translate("查询北京明天的天气").glosses.contains(&"weather forecast"));
    assert!(translate("Quel temps fera-t-il demain").glosses.contains(&"weather forecast"));
}

#[test]
fn content_leaves_out_what_every_entry_says() {
    let text = content(
        "io.agentopia.pypi/mseep-jax-mcp",
        "mseep-jax-mcp",
        "MCP server for JAX documentation",
        Some("pypi:mseep-jax-mcp"),
    );
    assert_eq!(text, "jax: JAX documentation");
    let text = content(
        "io.github.modelcontextprotocol/time",
        "Time",
        "A Model Context Protocol server providing time.",
        Some("pypi:mcp-server-time"),
    );
    assert_eq!(text, "Time: providing time");
}
