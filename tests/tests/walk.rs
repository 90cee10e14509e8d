//! The walk of a new user, with the built programs, real Docker, real npm and PyPI servers: from nothing to a tool's
//! answer, on to a request that needs keys, through a crash, to the end.

use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use tests::agentopia::Agentopia;

const NO_KEYS: &str = "Tell me the time in different time zones, and remember facts about people in a knowledge graph";
const KEYS: &str = "Create a ticket in Linear whenever a new GitHub issue is opened";
const ADA: &str = r#"{"entities": [{"name": "Ada", "entityType": "person", "observations": ["likes tea"]}]}"#;
/// Looks like a key, is none.
const TYPED: &str = "walk-7f3a9c1e55d84b20-not-a-real-key";

#[test]
fn from_a_sentence_to_a_tools_answer_and_back_after_a_crash() {
    let agentopia = Agentopia::new();
    let up = agentopia.up();
    let url = up["url"].as_str().expect("the address").to_owned();
    assert!(up["gateway"].as_str().is_some_and(|gateway| gateway.starts_with("http://127.0.0.1:")), "{up}");

    answers_without_keys(&agentopia);
    asks_for_keys_once(&agentopia);
    keeps_a_server_that_fails_apart(&agentopia);
    starts_again_at_once(&agentopia, &url);
    survives_a_crash(&agentopia);
    survives_its_database(&agentopia);
    leaves_nothing_running(&agentopia);
}

fn answers_without_keys(agentopia: &Agentopia) {
    let reply = agentopia.json(&["chat", NO_KEYS]);
    assert_eq!(reply["status"], "success", "{reply}");
    assert_eq!(reply["agent_created"], true, "{reply}");
    assert_eq!(reply["required_credentials"], serde_json::json!([]));
    let capabilities = reply["plan"]["capabilities"].as_array().expect("a plan");
    let chosen: Vec<_> = capabilities.iter().map(|c| c["chosen"]["server"].as_str().unwrap_or_default()).collect();
    assert_eq!(chosen, ["time", "memory"], "{reply}");
    let said = reply["reply"].as_str().expect("words");
    for capability in capabilities {
        assert!(capability["chosen"]["confidence"].as_f64().is_some_and(|c| c > 0.0 && c <= 1.0), "{capability}");
        assert!(!capability["reason"].as_str().unwrap_or_default().is_empty(), "{capability}");
        assert!(said.contains(capability["chosen"]["title"].as_str().expect("a title")), "{said}");
    }

    let tools = tools(agentopia);
    assert!(tools.contains("time.get_current_time"), "{tools:?}");
    assert!(tools.contains("memory.create_entities"), "{tools:?}");
    let time = agentopia.run(&["call", "time.get_current_time", r#"{"timezone": "Asia/Tokyo"}"#]);
    assert!(time.contains("Asia/Tokyo") && time.contains("+09:00"), "{time}");
    agentopia.run(&["call", "memory.create_entities", ADA]);
    assert!(agentopia.run(&["call", "memory.read_graph", "{}"]).contains("likes tea"));
}

/// Every tool that the user can call, as `server.tool`.
fn tools(agentopia: &Agentopia) -> BTreeSet<String> {
    let text = agentopia.run(&["tools"]);
    let first = text.lines().filter_map(|line| line.split_whitespace().next());
    first.filter(|word| word.contains('.')).map(str::to_owned).collect()
}

fn asks_for_keys_once(agentopia: &Agentopia) {
    let reply = agentopia.json(&["chat", KEYS]);
    assert_eq!(reply["status"], "pending_credentials", "{reply}");
    let required = reply["required_credentials"].as_array().expect("a list");
    let keys: BTreeSet<_> = required.iter().map(|r| r["credential_key"].as_str().expect("a name")).collect();
    assert!(keys.contains("LINEAR_API_TOKEN") && keys.contains("GITHUB_PERSONAL_ACCESS_TOKEN"), "{reply}");
    for one in required {
        assert!(one["instructions"].as_array().is_some_and(|steps| !steps.is_empty()), "{one}");
    }

    let asked = keys.len();
    let screen =
        agentopia.at_terminal(&["chat", KEYS], |line| line.trim_end().ends_with(':').then(|| TYPED.to_owned()));
    assert!(!screen.contains(TYPED), "the terminal showed what was typed:\n{screen}");
    for key in keys {
        assert!(screen.contains(key), "{asked} keys were wanted, {key} was not asked for:\n{screen}");
    }
    assert!(!holds(&agentopia.home(), TYPED.as_bytes()), "the key lies in the home folder in plain text");
    let database = agentopia.home().join("postgres/data");
    assert!(holds(&database, b"LINEAR_API_TOKEN"), "the look finds what the database keeps");

    let again = agentopia.json(&["chat", KEYS]);
    assert_eq!(again["status"], "success", "{again}");
    assert_eq!(again["required_credentials"], serde_json::json!([]), "{again}");
}

/// Whether any file below this folder holds these bytes; the database's are behind a link.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    let found = Command::new("grep")
        .args(["--dereference-recursive", "--devices=skip", "--quiet", "--binary-files=text", "--fixed-strings", "--"])
        .arg(String::from_utf8_lossy(bytes).as_ref())
        .arg(folder)
        .status();
    found.expect("grep runs").success()
}

fn keeps_a_server_that_fails_apart(agentopia: &Agentopia) {
    for (source, why) in
        [("npx:@agentopia-tests/there-is-no-such-package", "no such package"), ("npx:cowsay@1.6.0", "speaks no MCP")]
    {
        let output = agentopia.output(&["deploy", source, "--name", "broken"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{why}: {said}");
        assert!(said.contains("FAILED"), "{why}: {said}");
    }
    assert!(agentopia.run(&["call", "memory.read_graph", "{}"]).contains("likes tea"));
    let refused = agentopia.output(&["call", "memory.there_is_no_such_tool", "{}"]);
    assert!(!refused.status.success());
}

fn starts_again_at_once(agentopia: &Agentopia, url: &str) {
    let started = Instant::now();
    assert_eq!(agentopia.up()["url"], url, "a running Agentopia is left as it is");
    println!("up, when it runs already: {:?}", started.elapsed());
}

fn survives_a_crash(agentopia: &Agentopia) {
    let before = containers(agentopia);
    assert!(before.len() >= 2, "{before:?}");
    for program in ["agentopia", "dtma"] {
        for pid in agentopia.processes(program) {
            // What it has just forked bears its name for a moment only.
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
    agentopia.up();
    let deadline = Instant::now() + Duration::from_secs(30);
    // What it has just forked bears its name until it becomes another program.
    while agentopia.processes("dtma").len() != 1 {
        assert!(Instant::now() < deadline, "not one daemon runs: {:?}", agentopia.processes("dtma"));
        std::thread::park_timeout(Duration::from_millis(100));
    }
    while !agentopia.output(&["call", "memory.read_graph", "{}"]).status.success() {
        assert!(Instant::now() < deadline, "the servers did not come back");
        std::thread::park_timeout(Duration::from_millis(200));
    }
    assert!(agentopia.run(&["call", "memory.read_graph", "{}"]).contains("likes tea"));
    let after = containers(agentopia);
    assert!(before.intersection(&after).count() >= 2, "the same containers run on:\n{before:?}\n{after:?}");
}

/// The database alone dies: it is back by itself, and nothing of what it held is lost.
fn survives_its_database(agentopia: &Agentopia) {
    let pid = || {
        let file = std::fs::read_to_string(agentopia.home().join("postgres/data/postmaster.pid")).unwrap_or_default();
        file.lines().next().map(str::to_owned)
    };
    let before = pid().expect("it runs");
    succeed(Command::new("kill").args(["-9", &before]));
    let deadline = Instant::now() + Duration::from_secs(60);
    let back = || pid().is_some_and(|now| now != before) && agentopia.output(&["status"]).status.success();
    while !back() {
        assert!(Instant::now() < deadline, "the database did not come back");
        std::thread::park_timeout(Duration::from_millis(200));
    }
    assert!(agentopia.run(&["call", "memory.read_graph", "{}"]).contains("likes tea"));
}

/// Name and start time of this home's running containers.
fn containers(agentopia: &Agentopia) -> BTreeSet<String> {
    let toolbox = agentopia.json(&["status"])["toolbox"]["id"].as_str().expect("a toolbox").to_owned();
    let label = format!("label=agentopia.toolbox={toolbox}");
    let ids = succeed(Command::new("docker").args(["ps", "--quiet", "--filter", &label]));
    let inspect = |id| Command::new("docker").args(["inspect", "-f", "{{.Name}} {{.State.StartedAt}}", id]).output();
    let seen = ids.lines().map(|id| inspect(id).expect("docker runs"));
    // One that failed may be removed in between.
    seen.filter(|seen| seen.status.success()).map(|seen| String::from_utf8_lossy(&seen.stdout).into_owned()).collect()
}

fn leaves_nothing_running(agentopia: &Agentopia) {
    let running = containers(agentopia);
    agentopia.down();
    for program in ["agentopia", "dtma"] {
        assert_eq!(agentopia.processes(program), Vec::<u32>::new(), "{program} runs on");
    }
    for container in running {
        let name = container.split_whitespace().next().expect("a name").trim_start_matches('/').to_owned();
        let still = succeed(Command::new("docker").args(["ps", "--quiet", "--filter", &format!("name={name}")]));
        assert_eq!(still.trim(), "", "{name} runs on");
    }
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn ctrl_c_at_any_moment_of_a_start_leaves_nothing_running() {
    let agentopia = Agentopia::new();
    agentopia.up();
    agentopia.down();
    // The whole of a start, and a while after.
    for millis in [20, 60, 120, 180, 240, 300, 360, 450, 600, 900, 1300, 2500] {
        assert!(
            !agentopia.interrupted_up(Duration::from_millis(millis)).await,
            "it ended by itself within {millis} ms"
        );
        // What was only about to run would do so by now.
        tokio::time::sleep(Duration::from_millis(500)).await;
        for program in ["agentopia", "dtma"] {
            assert_eq!(agentopia.processes(program), Vec::<u32>::new(), "{program} runs on after {millis} ms");
        }
        let doctor: Value = serde_json::from_slice(&agentopia.output(&["doctor", "--json"]).stdout).expect("JSON");
        let postgres = doctor.as_array().expect("findings").iter().find(|finding| finding["what"] == "Postgres");
        assert_eq!(postgres.expect("asked")["says"], "does not run", "after {millis} ms");
    }
}

/// Two homes and ports live side by side and do not see each other.
#[test]
fn two_homes_run_side_by_side() {
    let (one, two) = (Agentopia::new(), Agentopia::new());
    let urls = [one.up(), two.up()].map(|up: Value| up["url"].as_str().expect("the address").to_owned());
    assert_ne!(urls[0], urls[1]);
    one.json(&["chat", NO_KEYS]);
    assert!(tools(&one).contains("time.get_current_time"));
    assert!(tools(&two).is_empty(), "{:?}", tools(&two));
    two.down();
    assert!(tools(&one).contains("time.get_current_time"), "stopping one home stopped the other");

    // Without its keys a home is not begun anew over what they sealed; with them it needs no password.
    let [keys, kept] = ["keys", "kept"].map(|name| two.home().join(name));
    std::fs::rename(&keys, &kept).expect("it is ours");
    std::fs::remove_file(two.home().join("owner.json")).expect("it is there");
    let refused = two.output(&["up", "--detach"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("not the keys that it was begun with"), "{said}");
    assert!(!keys.join("vault.key").exists(), "it made keys nevertheless");
    std::fs::remove_dir_all(&keys).and_then(|()| std::fs::rename(&kept, &keys)).expect("it is ours");
    two.up();
    assert!(tools(&two).is_empty(), "{:?}", tools(&two));
}
