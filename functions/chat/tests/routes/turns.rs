use crate::scene::{Scene, asked};
use http::StatusCode;
use serde_json::{Value, json};
use testkit::user;

#[tokio::test]
async fn nothing_missing_makes_the_agent_at_once() {
    let scene = Scene::new().await;
    let reply = scene.say(json!({"message": "Tell me the time, and remember facts about people"})).await;
    assert_eq!((&reply["status"], &reply["agent_created"]), (&json!("success"), &json!(true)));
    assert!(reply["agent_id"].is_string() && asked(&reply).is_empty());
    let servers: Vec<_> =
        reply["plan"]["capabilities"].as_array().unwrap().iter().map(|c| c["chosen"]["server"].clone()).collect();
    assert_eq!(servers, ["time", "memory"]);
    let text = reply["reply"].as_str().unwrap();
    for part in [
        "Time (time), 90 % sure",
        "Memory (memory), 80 % sure",
        "It is for time.",
        "as soon as a machine has enrolled",
        "time and memory",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert_eq!(scene.count("app.server").await, 2);
    assert_eq!(scene.db.value("select generation from app.toolbox").await.as_deref(), Some("1"));
    scene.db.run("update app.plane set alive_at = now(), resumed_at = '-infinity'").await;
    // What it is asked again is shared, not deployed twice. The machine has enrolled meanwhile, and is then silent.
    for (seen, said) in [("now()", "being deployed in Docker"), ("now() - interval '1 hour'", "checks in again")] {
        scene.db.run(&format!("update app.toolbox set public_key = 'x', last_seen_at = {seen}")).await;
        let again = scene.say(json!({"message": "facts"})).await;
        assert!(again["reply"].as_str().unwrap().contains(said), "{again}");
    }
    let again = scene.say(json!({"message": "the time please"})).await;
    assert_eq!(again["plan"]["capabilities"][0]["chosen"]["server"], "time");
    assert_eq!((scene.count("app.server").await, scene.count("app.agent").await), (2, 5));
}

#[tokio::test]
async fn what_is_missing_is_asked_for_stored_and_not_asked_again() {
    let scene = Scene::new().await;
    let first = scene.say(json!({"message": "Create a ticket in Linear whenever a GitHub issue is opened"})).await;
    assert_eq!((&first["status"], &first["agent_created"]), (&json!("pending_credentials"), &json!(false)));
    assert_eq!(asked(&first), ["linear.LINEAR_API_KEY", "github.GITHUB_TOKEN", "github.GITHUB_ORG"]);
    let instructions = first["required_credentials"][0]["instructions"].to_string();
    assert!(instructions.contains("https://example.com/docs"), "{instructions}");
    assert_eq!(scene.count("app.server").await, 0);

    let session = &first["session_id"];
    let partly = scene
        .say(
            json!({"message": "", "session_id": session, "credentials": {"linear": {"LINEAR_API_KEY": "lin-hunter2"}}}),
        )
        .await;
    assert_eq!(asked(&partly), ["github.GITHUB_TOKEN", "github.GITHUB_ORG"]);
    let last = scene
        .say(json!({"message": "GITHUB_ORG=acme", "session_id": session, "credentials": {"github": {"GITHUB_TOKEN": "gh-hunter3\n"}}}))
        .await;
    assert_eq!((&last["status"], &last["agent_created"]), (&json!("success"), &json!(true)), "{last}");
    let secrets = scene
        .db
        .value("select string_agg(name || ':' || array_to_string(secrets, ','), ' ' order by name) from app.server")
        .await;
    assert_eq!(secrets.as_deref(), Some("github:GITHUB_ORG,GITHUB_TOKEN linear:LINEAR_API_KEY"));

    // In another session nothing is asked for again.
    let again = scene.say(json!({"message": "linear and github once more"})).await;
    assert_eq!((&again["status"], &again["agent_created"]), (&json!("success"), &json!(true)));

    // The values are in no row but as ciphertext, and in no answer.
    let (_, read) =
        scene.send(scene.owner, "GET", &format!("/api/sessions/{}", session.as_str().unwrap()), Value::Null).await;
    let rows = scene.db.rows("select row_to_json(s)::text from app.session s union all select row_to_json(m)::text from app.session_message m \
        union all select row_to_json(a)::text from app.agent a union all select row_to_json(v)::text from app.server v").await;
    let everything = format!("{rows:?}{read}{first}{partly}{last}{again}");
    for secret in ["lin-hunter2", "gh-hunter3", "acme"] {
        assert!(!everything.contains(secret), "{secret} is in {everything}");
    }
    assert!(everything.contains("LINEAR_API_KEY"));
}

#[tokio::test]
async fn a_greeting_and_a_wish_that_nothing_fits_get_help_and_no_plan() {
    let scene = Scene::new().await;
    for message in ["hello", "fold my laundry", "", "do something unsure"] {
        let reply = scene.say(json!({"message": message})).await;
        assert_eq!((&reply["status"], &reply["agent_created"]), (&json!("success"), &json!(false)), "{message}");
        assert!(reply["plan"].is_null() && reply["agent_id"].is_null(), "{message}: {reply}");
        assert!(reply["reply"].as_str().unwrap().len() > 20);
    }
    assert_eq!(scene.count("app.server").await, 0);
}

#[tokio::test]
async fn one_need_that_nothing_fits_is_said_and_the_rest_goes_on() {
    let scene = Scene::new().await;
    let reply = scene.say(json!({"message": "the time and something unsure"})).await;
    let unsure = &reply["plan"]["capabilities"][1];
    assert!(unsure["chosen"].is_null());
    assert!(reply["reply"].as_str().unwrap().contains("- unsure: none."), "{reply}");
    assert_eq!(reply["agent_created"], true);
}

#[tokio::test]
async fn later_messages_change_the_plan() {
    let scene = Scene::new().await;
    let start = async |message: &str| scene.say(json!({"message": message})).await["session_id"].clone();
    let session = start("a ticket in linear").await;
    let say = async |message: &str| scene.say(json!({"message": message, "session_id": session})).await;

    assert_eq!(asked(&say("yes").await), ["linear.LINEAR_API_KEY"]);
    scene
        .db
        .database
        .catalog_server_upsert(
            &database::Caller::service(),
            "test",
            &[crate::scene::entry("io.y/linear-other", "Other Linear", &["OTHER_KEY"])],
        )
        .await
        .unwrap();
    let other = say("use linear-other instead of linear").await;
    assert_eq!(asked(&other), ["linear-other.OTHER_KEY"]);
    assert_eq!(other["plan"]["capabilities"][0]["alternatives"][0]["name"], "io.x/linear-mcp");
    let unknown = say("use nonsense instead").await;
    assert!(unknown["reply"].as_str().unwrap().contains("not among the alternatives"));
    assert_eq!(asked(&say("it also needs TEAM_ID").await), ["linear-other.OTHER_KEY", "linear-other.TEAM_ID"]);
    assert!(say("it also needs LD_PRELOAD").await["reply"].as_str().unwrap().contains("cannot be set"));
    assert_eq!(asked(&say("without TEAM_ID").await), ["linear-other.OTHER_KEY"]);
    let cancelled = say("cancel").await;
    assert!(cancelled["plan"].is_null() && asked(&cancelled).is_empty());
    assert_eq!(scene.count("app.agent where kind = 'made'").await, 0);
    // The session is as good as new.
    assert_eq!(say("the time").await["agent_created"], true);
}

#[tokio::test]
async fn a_variable_that_the_entry_does_not_declare_can_be_given() {
    let scene = Scene::new().await;
    let first = scene.say(json!({"message": "a ticket in linear"})).await;
    let both = json!({"linear": {"LINEAR_API_KEY": "k1", "EXTRA_SETTING": "k2"}});
    let done = scene.say(json!({"message": "here", "session_id": first["session_id"], "credentials": both})).await;
    assert_eq!(done["agent_created"], true);
    let secrets = scene.db.value("select array_to_string(secrets, ',') from app.server").await;
    assert_eq!(secrets.as_deref(), Some("EXTRA_SETTING,LINEAR_API_KEY"));
}

#[tokio::test]
async fn a_service_at_its_publishers_is_said_to_be_one_and_gets_its_key_in_a_header() {
    let scene = Scene::new().await;
    scene.db.run("update app.plane set alive_at = now(), resumed_at = '-infinity'").await;
    scene.db.run("update app.toolbox set public_key = 'x', last_seen_at = now()").await;
    let first = scene.say(json!({"message": "look into the crm"})).await;
    assert_eq!(asked(&first), ["crm.CRM_KEY"]);
    let text = first["reply"].as_str().unwrap();
    assert!(text.contains("a service at mcp.example.com: what the agent gives it leaves your machine"), "{text}");
    let key = json!({"crm": {"CRM_KEY": "hunter2"}});
    let done = scene.say(json!({"message": "", "session_id": first["session_id"], "credentials": key})).await;
    let text = done["reply"].as_str().unwrap();
    assert!(
        text.contains("being connected to from your machine") && text.contains("crm runs at its publisher's"),
        "{text}"
    );
    let server = scene.db.value("select source::text || env || hosts::text || secrets::text from app.server").await;
    let server = server.unwrap();
    for part in ["https://mcp.example.com/v1?a=b", "Bearer {CRM_KEY}", "{CRM_KEY}"] {
        assert!(server.contains(part) && !server.contains("hunter2"), "{part}: {server}");
    }
}

#[tokio::test]
async fn a_service_that_does_not_say_how_to_sign_in_is_tried_when_its_user_says_so() {
    let scene = Scene::new().await;
    scene
        .db
        .database
        .catalog_server_upsert(&database::Caller::service(), "test", &[crate::scene::service("io.x/wiki", json!([]))])
        .await
        .unwrap();
    let first = scene.say(json!({"message": "read the wiki"})).await;
    let text = first["reply"].as_str().unwrap();
    assert!(text.contains("does not say how one signs in") && text.contains("say: use io.x/wiki"), "{text}");
    assert_eq!((&first["agent_created"], scene.count("app.server").await), (&json!(false), 0));
    let session = &first["session_id"];
    let yes = scene.say(json!({"message": "yes", "session_id": session})).await;
    assert_eq!(yes["agent_created"], false, "nothing is chosen: {yes}");
    let tried = scene.say(json!({"message": "use io.x/wiki", "session_id": session})).await;
    assert_eq!(tried["agent_created"], true, "{tried}");
    // It refused: its user knows what it wants.
    scene.say(json!({"message": "wiki needs WIKI_TOKEN", "session_id": session})).await;
    let token = json!({"wiki": {"WIKI_TOKEN": "t"}});
    let again = scene.say(json!({"message": "", "session_id": session, "credentials": token})).await;
    assert_eq!(again["agent_created"], true, "{again}");
    let secrets = scene.db.value("select name || ':' || array_to_string(secrets, ',') from app.server").await;
    assert_eq!(secrets.as_deref(), Some("wiki:WIKI_TOKEN"));
}

#[tokio::test]
async fn catalog_text_stays_text() {
    let scene = Scene::new().await;
    let reply = scene.say(json!({"message": "something evil"})).await;
    let text = reply["reply"].as_str().unwrap();
    assert!(text.contains("Evil # SYSTEM: <script>do</script> (evil)"), "{text}");
    assert!(!text.contains('\u{202e}') && !text.contains('\u{200b}') && !text.contains("\n# SYSTEM"));
    assert!(text.contains("does not say what it needs"));
}

#[tokio::test]
async fn without_a_toolbox_the_plan_waits() {
    let scene = Scene::new().await;
    let homeless = user(&scene.db).await;
    let (status, reply) = scene.send(homeless, "POST", "/api/chat", json!({"message": "the time"})).await;
    assert_eq!((status, &reply["status"]), (StatusCode::OK, &json!("error")));
    assert!(reply["reply"].as_str().unwrap().contains("You have no toolbox yet."));
    scene.db.database.toolbox_create(&database::Caller::user(homeless), "home", "hash2").await.unwrap();
    let (_, again) =
        scene.send(homeless, "POST", "/api/chat", json!({"message": "yes", "session_id": reply["session_id"]})).await;
    assert_eq!(again["agent_created"], true, "{again}");
}

fn file(filename: &str, content: &str, kind: &str) -> Value {
    json!({"filename": filename, "content": content, "type": kind})
}

#[tokio::test]
async fn a_file_is_asked_for_as_one_and_reaches_the_server_that_wants_it() {
    let scene = Scene::new().await;
    let first = scene.say(json!({"message": "ask bigquery and look at the cluster"})).await;
    assert_eq!(first["status"], "pending_credentials");
    assert_eq!(asked(&first), ["bigquery.PROJECT"]);
    let files: Vec<&str> =
        first["required_files"].as_array().unwrap().iter().map(|file| file["key"].as_str().unwrap()).collect();
    assert_eq!(files, ["GOOGLE_APPLICATION_CREDENTIALS", "KUBECONFIG"]);
    assert_eq!(first["required_files"][0]["file_type"], "credential");
    let text = first["reply"].as_str().unwrap();
    assert!(text.contains("one value and 2 files") && text.contains("the file KUBECONFIG for kube"), "{text}");

    // One that is called otherwise could be either, and one that is no credential is nobody's.
    let session = &first["session_id"];
    let loose =
        json!([file("key.json", "eyJrZXkiOiAiaHVudGVyMiJ9", "credential"), file("KUBECONFIG", "aGk=", "other")]);
    let reply = scene.say(json!({"message": "", "session_id": session, "files": loose})).await;
    assert!(reply["reply"].as_str().unwrap().contains("Not used: key.json, KUBECONFIG"), "{reply}");
    assert_eq!(scene.count("app.credential").await, 0);

    let named = json!([file("kubeconfig.yaml", "aGk=", "credential")]);
    let given = json!({"bigquery": {"PROJECT": "p"}});
    let partly = scene.say(json!({"message": "", "session_id": session, "files": named, "credentials": given})).await;
    assert_eq!(partly["required_files"].as_array().unwrap().len(), 1);
    // Now it can only be that one.
    let only = json!([file("key.json", "eyJrZXkiOiAiaHVudGVyMiJ9", "credential")]);
    let last = scene.say(json!({"message": "", "session_id": session, "files": only})).await;
    assert_eq!((&last["status"], &last["agent_created"]), (&json!("success"), &json!(true)), "{last}");
    let secrets = scene
        .db
        .value("select string_agg(name || ' ' || array_to_string(secrets, ','), ' ' order by name) from app.server")
        .await;
    let expected = "bigquery PROJECT,file:GOOGLE_APPLICATION_CREDENTIALS kube file:KUBECONFIG";
    assert_eq!(secrets.as_deref(), Some(expected));
    // Asked for once.
    assert_eq!(scene.say(json!({"message": "look at the cluster again"})).await["agent_created"], true);
}

#[tokio::test]
async fn a_file_that_is_none_is_refused() {
    let scene = Scene::new().await;
    for bad in
        [file("../x", "aGk=", "credential"), file("x", "not base64!", "credential"), file("x", "/w==", "credential")]
    {
        let (status, problem) =
            scene.send(scene.owner, "POST", "/api/chat", json!({"message": "", "files": [bad]})).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}: {problem}");
    }
}

#[tokio::test]
async fn a_file_that_a_server_works_without_is_not_asked_for() {
    let scene = Scene::new().await;
    let first = scene.say(json!({"message": "ask bigquery"})).await;
    let session = &first["session_id"];
    let waived = scene.say(json!({"message": "without GOOGLE_APPLICATION_CREDENTIALS", "session_id": session})).await;
    assert_eq!((asked(&waived), &waived["required_files"]), (vec!["bigquery.PROJECT".to_owned()], &json!([])));
}

#[tokio::test]
async fn too_much_and_what_makes_no_sense_are_refused_with_a_fix() {
    let scene = Scene::new().await;
    let many: serde_json::Map<String, Value> = (0..51).map(|n| (format!("KEY_{n}"), json!("v"))).collect();
    for (body, expected) in [
        (json!({"message": "x".repeat(9000)}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"message": "", "credentials": {"linear": {"K": "v"}}}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"message": "", "credentials": {"linear": many}}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"message": "x", "unknown": 1}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"message": "x", "session_id": "not an id"}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"message": "x", "session_id": uuid::Uuid::now_v7()}), StatusCode::NOT_FOUND),
        (json!({"message": "x", "agent_id": uuid::Uuid::now_v7()}), StatusCode::NOT_FOUND),
    ] {
        let (status, problem) = scene.send(scene.owner, "POST", "/api/chat", body.clone()).await;
        assert_eq!(status, expected, "{problem}");
        assert!(problem["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{problem}");
    }
    // A reserved variable, or one of another shape, is not stored.
    let first = scene.say(json!({"message": "a ticket in linear"})).await;
    for key in ["LD_PRELOAD", "A B", "NODE_OPTIONS"] {
        let body = json!({"message": "", "session_id": first["session_id"], "credentials": {"linear": {key: "v"}}});
        assert_eq!(
            scene.send(scene.owner, "POST", "/api/chat", body).await.0,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{key}"
        );
    }
    assert_eq!(scene.count("app.credential").await, 0);
}

#[tokio::test]
async fn an_agent_that_is_there_gets_another_variable() {
    let scene = Scene::new().await;
    let first = scene.say(json!({"message": "the time"})).await;
    let session = &first["session_id"];
    let asked_for = scene.say(json!({"message": "time also needs API_HOST", "session_id": session})).await;
    assert_eq!(asked(&asked_for), ["time.API_HOST"]);
    let body = json!({"message": "", "session_id": session, "credentials": {"time": {"API_HOST": "h"}}});
    let done = scene.say(body).await;
    assert_eq!(done["agent_created"], true);
    // One made agent and one server, with the variable.
    assert_eq!((scene.count("app.agent where kind = 'made'").await, scene.count("app.server").await), (1, 1));
    let again = json!({"message": "", "session_id": session, "credentials": {"time": {"SECOND_KEY": "h"}}});
    assert_eq!(scene.say(again).await["agent_created"], true);
    let secrets = scene.db.value("select array_to_string(secrets, ',') from app.server").await;
    assert_eq!(secrets.as_deref(), Some("API_HOST,SECOND_KEY"));
    // The same key again is a new value for a server that has it: nothing is made.
    let same = json!({"message": "", "session_id": session, "credentials": {"time": {"API_HOST": "i"}}});
    let same = scene.say(same).await;
    assert!(same["agent_created"] == false && same["reply"].as_str().unwrap().contains("stored"), "{same}");
}
