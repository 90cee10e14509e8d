//! What has happened reaches the control plane, whatever befalls either of them.

use crate::support::{Inner, Plane, Toolbox, docker, scripted};
use axum::http::StatusCode;
use protocol::{event::Happening, ids::SpoolId, server::ServerState};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

/// Each event once, by its number; the same number is always the same event.
fn told(inner: &Inner) -> BTreeMap<(SpoolId, u64), Happening> {
    let mut told = BTreeMap::new();
    for (spool, event) in &inner.events {
        let before = told.insert((*spool, event.number), event.what.clone());
        assert!(before.is_none_or(|before| before == event.what), "{event:?}");
    }
    told
}

fn calls(inner: &Inner, outcome: &str) -> u64 {
    let counted = told(inner).into_values().map(|what| match what {
        Happening::Call(calls) if calls.outcome == outcome => calls.count,
        _ => 0,
    });
    counted.sum()
}

/// Answered calls that the control plane has not acknowledged.
fn kept(folder: &Path) -> u64 {
    let files = fs::read_dir(folder.join("events")).unwrap();
    let text: String = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap_or_default()).collect();
    let json = text.lines().filter_map(|line| serde_json::from_str::<Value>(line.split_once(' ')?.1).ok());
    let answered = json.filter(|line| line["what"]["call"]["outcome"] == "answered");
    answered.map(|line| line["what"]["call"]["count"].as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_is_told_though_answers_are_lost_and_the_daemon_is_killed() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    let mut toolbox = Toolbox::enrolled(&plane);
    let folder = toolbox.folder().to_owned();
    plane.inner().interval = 1;
    toolbox.run();
    plane.until_checked_in(0).await;
    let server = scripted("one", "good");
    plane.want(std::slice::from_ref(&server)).await;
    plane.until_running(&server).await;
    plane
        .until("its deployment is told", 15, |inner| {
            let running = |what| matches!(what, Happening::Deployment(d) if d.state == ServerState::Running);
            told(inner).into_values().any(running).then_some(())
        })
        .await;

    // The control plane records, and its answers are lost.
    plane.inner().deaf = Some(StatusCode::SERVICE_UNAVAILABLE);
    let client = plane.client(std::slice::from_ref(&server));
    for n in 0..5 {
        assert_eq!(client.call("one__count", &json!({})).await.unwrap().text(), (n + 1).to_string());
    }
    client.call("one__made_up", &json!({})).await.unwrap_err();
    plane.until("calls are told", 15, |inner| (calls(inner, "answered") == 5).then_some(())).await;
    plane.until("a refusal is told", 15, |inner| (calls(inner, "refused") == 1).then_some(())).await;
    toolbox.kill();
    let (before, checkins) = {
        let inner = plane.inner();
        (inner.events.len(), inner.checkins.len())
    };
    plane.inner().deaf = None;
    toolbox.run();
    let adopted =
        |inner: &Inner| inner.checkins.get(checkins..)?.iter().any(|c| c.applied_generation == 1).then_some(());
    plane.until("the server is taken over", 60, adopted).await;
    plane.until("what was not acknowledged comes again", 15, |inner| (inner.events.len() > before).then_some(())).await;
    while kept(&folder) > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let counted = |inner: &Inner| (calls(inner, "answered"), calls(inner, "refused"));
    assert_eq!(counted(&plane.inner()), (5, 1));

    // It is away, the daemon is killed meanwhile, and what was kept before that is told after.
    plane.inner().broken = Some(StatusCode::SERVICE_UNAVAILABLE);
    let client = plane.client(std::slice::from_ref(&server));
    let three = async || client.call("one__count", &json!({})).await.unwrap();
    tokio::join!(three(), three(), three());
    while kept(&folder) < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    toolbox.kill();
    toolbox.run();
    plane.inner().broken = None;
    plane.until("the calls are told", 60, |inner| (calls(inner, "answered") == 8).then_some(())).await;
    let numbers: Vec<u64> = told(&plane.inner()).into_keys().map(|(_, number)| number).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1 || pair[1] == 1), "{numbers:?}");
}
