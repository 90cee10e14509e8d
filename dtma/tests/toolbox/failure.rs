//! What cannot run says why and disturbs nobody; what cannot be known removes nothing.

use crate::support::{Plane, Toolbox, docker, npx, running, scripted, uvx};
use protocol::server::{ServerState, Source};
use serde_json::json;
use std::{
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_servers_fail_with_their_reason_and_do_not_disturb_the_good_one() {
    let Some((plane, _toolbox)) = running().await else { return };

    let good = scripted("good", "good");
    let exits = scripted("exits", "exit");
    let babbles = scripted("babbles", "babble");
    let no_npm = npx("no-npm", "@agentopia-test/does-not-exist");
    let no_pypi = uvx("no-pypi", "agentopia-test-does-not-exist");
    let no_command = npx("no-command", "lodash");
    let mut no_image = scripted("no-image", "good");
    no_image.source = Source::Oci { image: "agentopia-test/not-there:1".into() };
    let mut injected = npx("injected", "x");
    injected.source = Source::Npx { package: "--help".into(), version: None };
    let begun = Instant::now();
    let all = [&no_npm, &no_pypi, &no_command, &no_image, &injected, &babbles, &exits, &good].map(Clone::clone);
    plane.want(&all).await;
    plane.until_running(&good).await;
    eprintln!("MEASURED good server among seven bad ones: {:?}", begun.elapsed());

    let status = plane.until_state(&exits, ServerState::Failed, 30).await;
    assert_eq!(status.exit_code, Some(7));
    assert_eq!(status.log_tail.len(), 20);
    assert_eq!(status.log_tail[19], "line 29");
    assert!(status.detail.unwrap().contains("exited with code 7 before its tools were listed"));

    let status = plane.until_state(&no_npm, ServerState::Failed, 60).await;
    assert!(status.detail.unwrap().contains("could not be installed"));
    assert!(status.log_tail.iter().any(|line| line.contains("404")), "{:?}", status.log_tail);
    let status = plane.until_state(&no_pypi, ServerState::Failed, 60).await;
    assert!(status.log_tail.iter().any(|line| line.contains("does-not-exist")), "{:?}", status.log_tail);
    let status = plane.until_state(&no_command, ServerState::Failed, 60).await;
    assert!(status.detail.unwrap().contains("no command"));
    let status = plane.until_state(&no_image, ServerState::Failed, 60).await;
    assert!(status.detail.unwrap().contains("is not here and cannot be pulled"));
    let status = plane.until_state(&injected, ServerState::Failed, 30).await;
    assert!(status.detail.unwrap().contains("is not the name of a package"));
    let status = plane.until_state(&babbles, ServerState::Failed, 60).await;
    assert!(status.detail.unwrap().contains("did not list its tools"), "{:?}", status.log_tail);
    plane.until_applied(1).await;

    let client = plane.client(std::slice::from_ref(&good));
    assert_eq!(client.call("good__count", &json!({})).await.unwrap().text(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_comes_back() {
    let Some((plane, _toolbox)) = running().await else { return };
    let spec = scripted("leaver", "good");
    plane.want(std::slice::from_ref(&spec)).await;
    plane.until_running(&spec).await;
    let client = plane.client(std::slice::from_ref(&spec));
    assert_eq!(client.call("leaver__leave", &json!({})).await.unwrap().text(), "leaving");
    let status = plane.until_state(&spec, ServerState::BackingOff, 15).await;
    assert_eq!(status.exit_code, Some(3));
    assert!(status.detail.unwrap().contains("trying again in 1"));
    assert!(client.call("leaver__count", &json!({})).await.is_err());
    plane.until_running(&spec).await;
    assert_eq!(client.call("leaver__count", &json!({})).await.unwrap().text(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_docker_nothing_is_removed_and_it_is_said() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    plane.inner().interval = 1;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    symlink("/var/run/docker.sock", &socket).unwrap();
    let mut toolbox = Toolbox::enrolled(&plane).with("DOCKER_HOST", &format!("unix://{}", socket.display()));
    toolbox.run();
    plane.until_checked_in(0).await;
    let spec = scripted("kept", "good");
    plane.want(std::slice::from_ref(&spec)).await;
    plane.until_running(&spec).await;
    let before = toolbox.containers();

    std::fs::remove_file(&socket).unwrap();
    plane.want(&[]).await;
    let trouble = plane
        .until("trouble is reported", 20, |inner| {
            let last = inner.checkins.last()?;
            (!last.docker && last.known_generation == 2).then(|| last.trouble.clone())
        })
        .await;
    assert!(trouble.unwrap().contains("Docker engine does not answer"));
    assert_eq!(toolbox.containers(), before);
    assert_ne!(plane.inner().checkins.last().unwrap().applied_generation, 2);

    symlink("/var/run/docker.sock", &socket).unwrap();
    toolbox.until_gone(0).await;
    plane.until_applied(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_all_the_time_that_its_tools_changed_is_asked_once_a_second() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    let mut toolbox = Toolbox::enrolled(&plane);
    toolbox.run();
    plane.until_checked_in(0).await;
    let spec = scripted("restless", "restless");
    plane.want(std::slice::from_ref(&spec)).await;
    plane.until_running(&spec).await;
    let (begun, checkins) = (Instant::now(), plane.inner().checkins.len());
    tokio::time::sleep(Duration::from_secs(4)).await;
    let client = plane.client(std::slice::from_ref(&spec));
    let lists: u64 = client.call("restless__lists", &json!({})).await.unwrap().text().parse().unwrap();
    assert!((3..=begun.elapsed().as_secs() + 10).contains(&lists), "{lists} times");
    // What it says is the same, so nobody is told.
    assert!(plane.inner().checkins.len() <= checkins + 5, "{} check-ins", plane.inner().checkins.len() - checkins);
}
