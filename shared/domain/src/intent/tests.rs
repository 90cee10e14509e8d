use super::*;

#[test]
fn talk_is_not_searched() {
    for text in [
        "hello there",
        "hi",
        "Thanks a lot!",
        "good morning",
        "你好",
        "नमस्ते",
        "???",
        "",
        "Hallo, wie geht es dir?",
        "ok great",
    ] {
        assert_eq!(intent(text), Intent::Talk, "{text}");
    }
}

#[test]
fn commands_about_the_platform_are_not_searched() {
    for text in [
        "delete my agent",
        "change the schedule of the workflow to hourly",
        "pause the agent until Monday",
        "which agents do I have?",
        "run it every day at 9 instead",
        "cancel my last run",
        "what credentials have I stored?",
        "remove the server from my toolbox",
        "undo the last change",
        "log me out",
    ] {
        assert_eq!(intent(text), Intent::Platform, "{text}");
    }
}

#[test]
fn tasks_pass() {
    for text in [
        "watch our servers",
        "create a workflow that reads my mail",
        "run SQL on Snowflake",
        "GitHub Actions: show the last run of the workflow",
        "schedule a meeting with a client",
        "read my mail",
        "manage my Trello board",
        "change the password in Bitwarden",
        "tell me when one of our websites goes down",
    ] {
        assert_eq!(intent(text), Intent::Task, "{text}");
    }
}

#[test]
fn there_are_examples_of_what_no_server_does() {
    assert!(unfit_examples().len() > 100);
    assert!(unfit_examples().iter().all(|example| !example.starts_with('#')));
}
