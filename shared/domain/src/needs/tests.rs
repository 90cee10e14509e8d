use super::*;

fn texts(request: &str) -> Vec<String> {
    split(request).into_iter().map(|need| need.text).collect()
}

#[test]
fn a_request_for_one_thing_is_one_need() {
    for request in [
        "Read and write my Obsidian vault",
        "Look up Jira tickets and change their status",
        "turn down the heating and switch off the lamps at home",
        "work with our Terraform configuration and look up provider docs",
        "Xero invoices and contacts",
        "Salesforce: run SOQL and update opportunities",
        "find scientific studies about sleep and memory",
        "what can I cook with chicken and rice?",
        "publish events to a message broker and read a topic",
        "how did I sleep and how many steps did I take?",
        "watch our servers",
    ] {
        assert_eq!(split(request).len(), 1, "{request}: {:?}", texts(request));
    }
}

#[test]
fn a_request_for_several_things_is_cut_as_a_person_would() {
    for (request, count) in [
        (
            "Transcribe meeting recordings, create Jira tickets for the action items and post the summary to Confluence",
            3,
        ),
        ("Tell me the time in different time zones, and remember facts about people in a knowledge graph", 2),
        ("Create a ticket in Linear whenever a new GitHub issue is opened", 2),
        ("look up flights and hotels for a trip and add the plan to Google Calendar", 3),
        ("watch arXiv for papers, translate the abstracts and store them in Notion", 3),
        ("fetch the weather for my ride and log the training from Strava in Notion", 3),
        ("I want to monitor my Gmail for invoices, save them to Notion and ping Slack", 3),
        ("monitor Kubernetes pods with Prometheus and page someone through PagerDuty", 3),
        ("Ich möchte meine Rechnungen aus Gmail in Google Sheets erfassen", 2),
    ] {
        assert_eq!(split(request).len(), count, "{request}: {:?}", texts(request));
    }
}

#[test]
fn each_product_of_a_clause_gets_its_own_words() {
    assert_eq!(
        texts("Create a ticket in Linear whenever a new GitHub issue is opened"),
        ["Create a ticket in Linear", "whenever a new GitHub issue is opened"]
    );
}

#[test]
fn spelling_is_repaired_and_kept_in_the_query() {
    let needs = split("conect to my postgress databse");
    assert_eq!(needs.len(), 1);
    assert_eq!(needs[0].products[0].name, "postgresql");
    assert!(needs[0].query.contains("database"), "{}", needs[0].query);
}

#[test]
fn other_languages_are_glossed() {
    let needs = split("Wie wird das Wetter morgen in Berlin?");
    assert!(needs[0].query.contains("weather"), "{needs:?}");
    let needs = split("मेरे GitHub रिपॉजिटरी के इश्यू दिखाओ");
    assert_eq!(needs.len(), 1);
    assert!(needs[0].query.contains("issues"), "{needs:?}");
    // A word that both languages have is not lost.
    let needs = split("Trouve-moi un hôtel pas cher à Lyon");
    assert!(needs[0].query.contains("hotel"), "{needs:?}");
    assert!(split("Tondre la pelouse du jardin").iter().all(|need| need.opaque));
}

#[test]
fn a_task_is_understood_by_what_is_meant() {
    let tasks = text::concepts();
    let place = |words: &str| tasks.iter().position(|task| task.words.contains(words)).unwrap();
    let (weather, chess) = (place("weather forecast"), place("chess"));
    let understood = |request: &str, near: &[(usize, f32)]| {
        let mut need = split(request).remove(0);
        let mut nearness = vec![0.0; tasks.len()];
        near.iter().for_each(|(task, cosine)| nearness[*task] = *cosine);
        need.understand(&nearness);
        (need.expansion, need.nearest)
    };
    let words = |task: usize| vec![tasks[task].words.as_str()];
    // Said in no words of the lexicon, it is meant or it is not.
    assert_eq!(understood("ponder the rook", &[(chess, 0.6)]), (words(chess), Some(0.6)));
    assert_eq!(understood("ponder the rook", &[(chess, 0.3)]), (vec![], Some(0.3)));
    // What is said counts more, unless something else is clearly meant.
    assert_eq!(understood("the weather forecast", &[(weather, 0.4), (chess, 0.5)]).0, words(weather));
    assert_eq!(understood("the weather forecast", &[(weather, 0.1), (chess, 0.8)]).0, words(chess));
}

#[test]
fn a_first_clause_that_says_something_is_a_need_of_its_own() {
    for (request, count) in [
        ("fold the origami crane and restart the docker containers", 2),
        ("Read and write my Obsidian vault", 1),
        ("Look up and update the records in Airtable", 1),
    ] {
        assert_eq!(split(request).len(), count, "{request}: {:?}", texts(request));
    }
}

#[test]
fn nothing_comes_of_no_words_and_much_text_stays_bounded() {
    assert!(split("  …!? ").is_empty());
    assert!(split(&"read Gmail, post to Slack, ".repeat(2_000)).len() <= MOST);
}

proptest::proptest! {
    #[test]
    fn any_text_can_be_split(text in "\\PC{0,300}") {
        for need in split(&text) {
            proptest::prop_assert!(!need.text.is_empty());
            proptest::prop_assert!(need.terms().len() <= 40);
        }
    }
}
