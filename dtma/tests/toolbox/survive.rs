//! What a killed, ended, confused or misled daemon leaves as it was.

use crate::support::{Inner, Plane, Toolbox, docker, running, scripted, sh};
use axum::http::StatusCode;
use protocol::toolbox::DesiredState;
use serde_json::json;
use std::{fs, time::Duration};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_daemon_finds_its_servers_running() {
    let Some((plane, mut toolbox)) = running().await else { return };
    let (one, mut two) = (scripted("one", "good"), scripted("two", "good"));
    two.secrets = vec!["API_KEY".into()];
    plane.inner().values.insert("API_KEY".into(), "hunter2hunter2".into());
    plane.want(&[one.clone(), two.clone()]).await;
    plane.until_running(&one).await;
    plane.until_running(&two).await;
    let client = plane.client(&[one.clone(), two.clone()]);
    assert_eq!(client.call("one__count", &json!({})).await.unwrap().text(), "1");
    let before = toolbox.containers();
    let fetched = plane.inner().fetched;

    // In the middle of what it does.
    for _ in 0..20 {
        let client = plane.client(std::slice::from_ref(&two));
        tokio::spawn(async move { client.call("two__status", &json!({})).await });
    }
    tokio::time::sleep(Duration::from_millis(3)).await;
    toolbox.kill();
    assert_eq!(toolbox.containers(), before);

    let checkins = plane.inner().checkins.len();
    toolbox.run();
    plane.until_checked_in(checkins).await;
    plane
        .until("both are adopted", 15, |inner| {
            let ours = inner.checkins[checkins..].iter().rev().find(|checkin| checkin.applied_generation == 1)?;
            (ours.servers.len() == 2).then_some(())
        })
        .await;
    assert_eq!(toolbox.containers(), before);
    // The same process counts on, and its secret is still known here without asking for it again.
    let client = plane.client(&[one.clone(), two.clone()]);
    assert_eq!(client.call("one__count", &json!({})).await.unwrap().text(), "2");
    assert_eq!(client.call("two__env", &json!({"name": "API_KEY"})).await.unwrap().text(), "[redacted]");
    assert_eq!(plane.inner().fetched, fetched);

    // One that died meanwhile, and one that is no longer wanted.
    toolbox.kill();
    let name = |id: &String| sh("docker", &["inspect", "-f", "{{index .Config.Labels \"agentopia.name\"}}", id]);
    let dead = before.iter().find(|id| name(id) == "one").unwrap();
    sh("docker", &["kill", dead]);
    toolbox.run();
    plane
        .until("a new one", 30, |inner| {
            let last = inner.checkins.last()?;
            (last.boot_id != inner.checkins[checkins].boot_id && last.applied_generation == 1).then_some(())
        })
        .await;
    let after = toolbox.containers();
    assert_eq!(after.len(), 2);
    assert!(!after.contains(dead));
    assert!(after.iter().any(|id| before.contains(id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_secrets_are_not_known_runs_on_and_is_not_offered_until_they_are() {
    let Some((plane, mut toolbox)) = running().await else { return };
    let mut spec = scripted("keyed", "good");
    spec.secrets = vec!["API_KEY".into()];
    plane.inner().values.insert("API_KEY".into(), "hunter2hunter2".into());
    plane.want(std::slice::from_ref(&spec)).await;
    plane.until_running(&spec).await;
    let before = toolbox.containers();

    // What the daemon kept in memory is gone, and the vault does not answer with it.
    toolbox.kill();
    let name = dtma::docker::labels::name(plane.toolbox, spec.id);
    let user = rustix::process::geteuid().as_raw();
    let kept = [format!("/run/dtma/{name}"), format!("/dev/shm/dtma-{user}/{name}")];
    assert!(kept.iter().any(|path| fs::remove_file(path).is_ok()), "it was kept nowhere");
    plane.inner().values.clear();
    toolbox.run();
    let why = plane
        .until("it is said why", 30, |inner| {
            let detail = inner.statuses.get(&spec.id)?.detail.clone();
            detail.filter(|detail| detail.contains("what must not get out of it is not known"))
        })
        .await;
    assert!(why.contains("API_KEY"), "{why}");
    let client = plane.client(std::slice::from_ref(&spec));
    assert!(client.call("keyed__env", &json!({"name": "API_KEY"})).await.is_err());
    assert_eq!(toolbox.containers(), before);

    plane.inner().values.insert("API_KEY".into(), "hunter2hunter2".into());
    plane.until_running(&spec).await;
    let client = plane.client(std::slice::from_ref(&spec));
    assert_eq!(client.call("keyed__env", &json!({"name": "API_KEY"})).await.unwrap().text(), "[redacted]");
    assert_eq!(toolbox.containers(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_daemon_leaves_servers_and_the_commands_stop_and_remove_them() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    let mut toolbox = Toolbox::enrolled(&plane);
    let pid = toolbox.run();
    plane.until_checked_in(0).await;
    let spec = scripted("one", "good");
    plane.want(std::slice::from_ref(&spec)).await;
    plane.until_running(&spec).await;

    // The file is written a moment after the control plane was told.
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    let shown = loop {
        let shown = toolbox.command(&["status", "--json"]);
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
        if shown["servers"]["one"]["state"] == "running" || tokio::time::Instant::now() > until {
            break shown;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((&shown["running"], &shown["servers"]["one"]["state"]), (&json!(true), &json!("running")));
    assert_eq!(shown["gateway"], json!(plane.gateway()));
    let memory = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let lines = memory.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("RssAnon"));
    eprintln!("MEASURED memory of a daemon with one server: {:?}", lines.collect::<Vec<_>>());
    let refused = toolbox.command(&["stop-servers"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("dtma runs"), "{refused:?}");

    toolbox.end();
    assert_eq!(toolbox.containers().len(), 1);
    let stopped = toolbox.command(&["stop-servers"]);
    assert!(stopped.status.success(), "{stopped:?}");
    toolbox.until_gone(0).await;
    let label = format!("label=agentopia.toolbox={}", plane.toolbox);
    assert_eq!(sh("docker", &["volume", "ls", "-q", "--filter", &label]).lines().count(), 1);

    let removed = toolbox.command(&["uninstall", "--yes"]);
    assert!(removed.status.success(), "{removed:?}");
    assert_eq!(sh("docker", &["volume", "ls", "-q", "--filter", &label]), "");
    assert!(!toolbox.folder().join("identity.key").exists());
    fs::create_dir_all(toolbox.folder()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_valid_newer_state_changes_anything() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    plane.inner().interval = 1;
    let mut toolbox = Toolbox::enrolled(&plane);
    toolbox.run();
    plane.until_checked_in(0).await;
    let spec = scripted("one", "good");
    plane.inner().desired = Some(DesiredState { generation: 5, servers: vec![spec.clone()] });
    plane.wake().await;
    plane.until_running(&spec).await;
    let before = toolbox.containers();

    let offers = [
        DesiredState { generation: 4, servers: vec![] },
        DesiredState { generation: 5, servers: vec![] },
        DesiredState { generation: 6, servers: vec![scripted("twin", "good"), scripted("twin", "good")] },
        DesiredState { generation: 6, servers: vec![scripted("../x", "good")] },
    ];
    for offer in offers {
        {
            let mut inner = plane.inner();
            inner.desired = Some(offer.clone());
            inner.insist = true;
        }
        let seen = plane.inner().checkins.len();
        plane.wake().await;
        plane.until_checked_in(seen + 1).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(toolbox.containers(), before, "{offer:?}");
        assert_eq!(plane.inner().checkins.last().unwrap().known_generation, 5);
    }
    // Silence and errors neither.
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::UNAUTHORIZED, StatusCode::NO_CONTENT] {
        plane.inner().broken = Some(status);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(toolbox.containers(), before);
    }
    {
        let mut inner = plane.inner();
        inner.broken = None;
        inner.desired = Some(DesiredState { generation: 6, servers: vec![] });
    }
    // It waits longer and longer by now.
    plane.wake().await;
    toolbox.until_gone(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_ledger_stops_nothing() {
    let Some((plane, mut toolbox)) = running().await else { return };
    let spec = scripted("one", "good");
    plane.want(std::slice::from_ref(&spec)).await;
    plane.until_running(&spec).await;
    let before = toolbox.containers();
    toolbox.kill();

    let path = toolbox.folder().join("desired.ledger");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    plane.inner().broken = Some(StatusCode::BAD_GATEWAY);
    toolbox.run();
    for _ in 0..300 {
        if toolbox.log().contains("a ledger document is put aside") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(toolbox.log().contains("a ledger document is put aside"), "{}", toolbox.log());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(toolbox.containers(), before);

    // The control plane tells again what should run; it is adopted.
    plane.inner().broken = None;
    let seen = plane.inner().checkins.len();
    plane
        .until("adopted", 90, |inner| {
            let last = inner.checkins.last()?;
            (inner.checkins.len() > seen && last.applied_generation == 1).then_some(())
        })
        .await;
    assert_eq!(toolbox.containers(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_never_serve_one_state() {
    let plane = Plane::start().await;
    let mut toolbox = Toolbox::enrolled(&plane);
    toolbox.run();
    plane.until_checked_in(0).await;
    let second = toolbox.command(&["run"]);
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another dtma serves"), "{second:?}");
    let again = toolbox.command(&["enrol", "--url", &plane.url, "--token-file", "/dev/null"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("enrolled already"), "{again:?}");
}

/// Longer than a daemon waits for a server's tools.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_busy_while_the_daemon_is_replaced_keeps_its_container() {
    let Some((plane, mut toolbox)) = running().await else { return };
    let spec = scripted("one", "good");
    plane.want(std::slice::from_ref(&spec)).await;
    plane.until_running(&spec).await;
    let before = toolbox.containers();
    let client = plane.client(std::slice::from_ref(&spec));
    assert_eq!(client.call("one__count", &json!({})).await.unwrap().text(), "1");
    let busy = tokio::spawn(async move { client.call("one__block", &json!({"ms": 33_000})).await.map(drop) });
    // It is on its way once the server does not answer anything else.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let seen = plane.inner().checkins.len();
    toolbox.kill();
    busy.await.unwrap().unwrap_err();
    toolbox.run();
    plane.until_checked_in(seen).await;
    let adopted = |inner: &Inner| inner.checkins.get(seen..)?.iter().any(|c| c.applied_generation == 1).then_some(());
    plane.until("it is taken over", 90, adopted).await;
    plane.until_running(&spec).await;
    assert_eq!(toolbox.containers(), before);
    let client = plane.client(std::slice::from_ref(&spec));
    assert_eq!(client.call("one__count", &json!({})).await.unwrap().text(), "2");
}
