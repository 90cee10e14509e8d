//! Every plug is pulled while calls go on: the daemon, the Docker engine, the control plane, the disk.

use crate::support::{Engine, Plane, Toolbox, docker, npx, scripted, sh};
use axum::http::StatusCode;
use mcp::client::Client;
use protocol::server::{ServerSpec, ServerState};
use serde_json::json;
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::time::{sleep, timeout};

async fn count(client: &Client, server: &str) -> Option<u64> {
    let answer =
        timeout(Duration::from_secs(5), client.call(&format!("{server}__count"), &json!({}))).await.ok()?.ok()?;
    answer.text().parse().ok()
}

/// The first answer after whatever happened; the client is made anew, because the gateway's port may be another.
async fn count_again(plane: &Plane, server: &ServerSpec) -> u64 {
    for _ in 0..300 {
        if let Some(number) = count(&plane.client(std::slice::from_ref(server)), &server.name).await {
            return number;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("{} does not answer any more", server.name);
}

async fn toolbox(plane: &Plane, engine: Option<&Engine>) -> Toolbox {
    let mut toolbox = Toolbox::enrolled(plane);
    if let Some(engine) = engine {
        toolbox = toolbox.with("DOCKER_HOST", &engine.host());
    }
    toolbox.run();
    plane.until_checked_in(0).await;
    toolbox
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_during_calls_nothing_is_lost_or_answered_twice() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    let mut toolbox = toolbox(&plane, None).await;
    let server = scripted("one", "good");
    plane.want(std::slice::from_ref(&server)).await;
    plane.until_running(&server).await;
    let started = |id: &str| sh("docker", &["inspect", "-f", "{{.Id}} {{.State.StartedAt}}", id]);
    let before: Vec<String> = toolbox.containers().iter().map(|id| started(id)).collect();

    let mut seen = HashSet::new();
    for round in 0..12 {
        let client = Arc::new(plane.client(std::slice::from_ref(&server)));
        let callers: Vec<_> = (0..16)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move {
                    let mut answers = Vec::new();
                    while let Some(number) = count(&client, "one").await {
                        answers.push(number);
                    }
                    answers
                })
            })
            .collect();
        // Another moment each time.
        sleep(Duration::from_millis(10 + 17 * round)).await;
        toolbox.kill();
        for caller in callers {
            for number in caller.await.unwrap() {
                assert!(seen.insert(number), "{number} was answered twice");
            }
        }
        toolbox.run();
        assert!(seen.insert(count_again(&plane, &server).await));
    }
    assert!(seen.len() > 100, "only {} calls were answered", seen.len());
    let after: Vec<String> = toolbox.containers().iter().map(|id| started(id)).collect();
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_while_the_docker_engine_is_away_and_it_is_the_same_server_after() {
    if !docker() {
        return;
    }
    let Some(mut engine) = Engine::start(&["--live-restore"]) else { return };
    let plane = Plane::start().await;
    let toolbox = toolbox(&plane, Some(&engine)).await;
    let server = scripted("one", "good");
    plane.want(std::slice::from_ref(&server)).await;
    plane.until_running(&server).await;
    let before = engine.containers();
    assert_eq!(count_again(&plane, &server).await, 1);

    engine.kill();
    assert_eq!(count_again(&plane, &server).await, 2);
    plane
        .until("Docker is reported away", 60, |inner| inner.checkins.last().filter(|last| !last.docker).map(drop))
        .await;
    // Nothing is taken away meanwhile, also not what is no longer wanted.
    plane.want(&[]).await;
    let checkins = plane.inner().checkins.len();
    plane.until_checked_in(checkins).await;
    assert_eq!(count_again(&plane, &server).await, 3);
    let checkins = plane.inner().checkins.len();
    plane.want(std::slice::from_ref(&server)).await;
    // Heard with one check-in, and said with the next.
    plane.until_checked_in(checkins).await;
    plane.wake().await;
    plane.until("that is known", 90, |inner| (inner.checkins.last()?.known_generation == 3).then_some(())).await;

    engine.run();
    assert!(engine.answers(), "{}", engine.log());
    plane
        .until("Docker is reported back", 60, |inner| inner.checkins.last().filter(|last| last.docker).map(drop))
        .await;
    assert_eq!(engine.containers(), before);
    assert_eq!(count_again(&plane, &server).await, 4);
    drop(toolbox);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_dies_during_install_create_and_stop_costs_time_and_nothing_else() {
    if !docker() {
        return;
    }
    let Some(mut engine) = Engine::start(&[]) else { return };
    let plane = Plane::start().await;
    let toolbox = toolbox(&plane, Some(&engine)).await;
    let restart = |engine: &mut Engine| {
        engine.kill();
        engine.run();
        assert!(engine.answers(), "{}", engine.log());
    };

    let package = npx("memory", "@modelcontextprotocol/server-memory");
    plane.want(std::slice::from_ref(&package)).await;
    plane.until_state(&package, ServerState::Installing, 30).await;
    restart(&mut engine);
    plane.until_state(&package, ServerState::Running, 300).await;

    let server = scripted("one", "good");
    plane.want(&[package.clone(), server.clone()]).await;
    sleep(Duration::from_millis(150)).await;
    restart(&mut engine);
    plane.until_state(&server, ServerState::Running, 120).await;
    plane.until_state(&package, ServerState::Running, 120).await;
    assert_eq!(engine.containers().len(), 2);
    assert_eq!(count_again(&plane, &server).await, 1);

    plane.want(std::slice::from_ref(&package)).await;
    sleep(Duration::from_millis(50)).await;
    restart(&mut engine);
    plane.until("the other is gone", 120, |inner| (inner.checkins.last()?.applied_generation == 3).then_some(())).await;
    // What was last told of the one that stays may be from before its engine died.
    for _ in 0..1200 {
        if engine.containers().len() == 1 {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    plane.until_state(&package, ServerState::Running, 120).await;
    assert_eq!(engine.containers().len(), 1);
    drop(toolbox);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_control_plane_servers_serve_on_through_restarts_and_hear_it_when_it_is_back() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    let mut toolbox = toolbox(&plane, None).await;
    let (one, two) = (scripted("one", "good"), scripted("two", "good"));
    plane.want(std::slice::from_ref(&one)).await;
    plane.until_running(&one).await;
    let before = toolbox.containers();
    assert_eq!(count_again(&plane, &one).await, 1);

    plane.inner().broken = Some(StatusCode::SERVICE_UNAVAILABLE);
    for number in 2..5 {
        toolbox.kill();
        toolbox.run_at(&plane.gateway());
        assert_eq!(count_again(&plane, &one).await, number);
    }
    assert_eq!(toolbox.containers(), before);

    plane.inner().broken = None;
    plane.want(&[one.clone(), two.clone()]).await;
    plane.until_state(&two, ServerState::Running, 90).await;
    assert_eq!(count_again(&plane, &one).await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_no_server_and_no_check_in_and_is_acted_on_only_once_it_can_be_kept() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    let state = tempfile::tempdir().unwrap();
    let disk = SmallDisk::at(state.path());
    let mut toolbox = Toolbox::enrolled_in(&plane, state);
    toolbox.run();
    plane.until_checked_in(0).await;
    let (one, two) = (scripted("one", "good"), scripted("two", "good"));
    plane.want(std::slice::from_ref(&one)).await;
    plane.until_running(&one).await;
    assert_eq!(count_again(&plane, &one).await, 1);
    disk.fill();
    let checkins = plane.inner().checkins.len();
    plane.want(&[one.clone(), two.clone()]).await;
    plane.until_checked_in(checkins).await;
    assert_eq!(count_again(&plane, &one).await, 2);
    // What could not be kept would be forgotten by the next daemon, so it is not begun.
    assert_eq!(toolbox.containers().len(), 1);

    disk.free();
    plane.wake().await;
    plane.until_state(&two, ServerState::Running, 90).await;
    assert_eq!(count_again(&plane, &one).await, 3);
    toolbox.end();
}

/// A file system of a few megabytes.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(folder: &Path) -> Self {
        sh("mount", &["-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", &folder.display().to_string()]);
        Self(folder.to_path_buf())
    }

    fn fill(&self) {
        // It ends when nothing is left, which is what it is for.
        let _ = std::process::Command::new("sh").args(["-c", "cat /dev/zero > \"$0/ballast\""]).arg(&self.0).output();
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        sh("umount", &["-l", &self.0.display().to_string()]);
        let _ = std::fs::remove_dir(&self.0);
    }
}
