//! A toolbox's machine goes with it, and no other one.

use crate::{digitalocean::Fault, scene::Scene};
use database::Caller;
use http::StatusCode;
use serde_json::{Value, json};

impl Scene {
    async fn delete(&self, toolbox: &Value, query: &str) -> (StatusCode, Value) {
        let path = format!("/api/toolboxes/{}{query}", toolbox["id"].as_str().unwrap());
        self.app.ask(self.user, "DELETE", &path, Value::Null).await
    }
}

#[tokio::test]
async fn deleting_a_toolbox_destroys_its_machine_and_no_other() {
    let scene = Scene::new().await;
    let (_, home) = scene.create("home").await;
    let (_, office) = scene.create("office").await;
    let others = [scene.cloud.add(&[]), scene.cloud.add(&["agentopia"]), scene.cloud.add(&["agentopia-toolbox-"])];
    assert_eq!(scene.delete(&home, "").await.0, 204);
    let kept: Vec<_> = scene.cloud.ids().iter().map(u64::to_string).collect();
    let expected: Vec<_> = others.iter().map(u64::to_string).collect();
    assert_eq!(kept, [vec![office["machine"]["id"].as_str().unwrap().to_owned()], expected].concat());
    assert_eq!(scene.delete(&home, "").await.0, 404);
    assert_eq!(scene.toolboxes().await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_toolbox_without_a_machine_of_ours_asks_nobody() {
    let scene = Scene::new().await;
    let (_, made) = scene.app.ask(scene.user, "POST", "/api/toolboxes", json!({"name": "laptop"})).await;
    assert_eq!(scene.delete(&made, "").await.0, 204);
    assert_eq!(scene.cloud.look(|account| account.calls.len()), 0);
}

#[tokio::test]
async fn while_the_machine_is_there_its_toolbox_is_not_forgotten() {
    let scene = Scene::new().await;
    let (_, home) = scene.create("home").await;
    for (fault, status) in [
        (Fault::Refused(401, "no"), 422),
        (Fault::Refused(403, "no"), 422),
        (Fault::Refused(500, "oops"), 503),
        (Fault::Busy(None), 429),
    ] {
        scene.cloud.fail([fault]);
        assert_eq!(scene.delete(&home, "").await.0, status);
        assert_eq!(scene.cloud.ids().len(), 1);
        assert_eq!(scene.toolboxes().await.as_array().unwrap().len(), 1);
    }
    // Not past us either: the database itself does not let go of it.
    let id = home["id"].as_str().unwrap().parse().unwrap();
    let database = &scene.app.db.database;
    let refused = database.toolbox_delete(&Caller::user(scene.user), id, false).await;
    assert!(matches!(refused, Err(database::Error::Conflict { .. })), "{refused:?}");
    // What is to go is not made again.
    assert_eq!(scene.create("home").await.0, 201, "it is there still");
    assert_eq!(scene.delete(&home, "").await.0, 204);
    assert_eq!(scene.cloud.ids(), [0; 0]);
}

#[tokio::test]
async fn a_machine_whose_end_was_not_answered_ends_with_the_next_try() {
    let scene = Scene::new().await;
    let (_, home) = scene.create("home").await;
    scene.cloud.fail([Fault::Elsewhere("http://127.0.0.1:1".into())]);
    assert_eq!(scene.delete(&home, "").await.0, 503);
    scene.cloud.look(|account| account.droplets.clear());
    assert_eq!(scene.delete(&home, "").await.0, 204, "it is gone already");
    assert_eq!(scene.toolboxes().await, json!([]));
}

#[tokio::test]
async fn a_machine_may_be_kept_when_its_toolbox_goes() {
    let scene = Scene::new().await;
    let (_, home) = scene.create("home").await;
    scene.app.db.run("delete from app.credential").await;
    let (status, problem) = scene.delete(&home, "").await;
    assert_eq!(status, 422, "{problem}");
    assert!(problem["fix"].as_str().unwrap().contains("keep_machine=true"), "{problem}");
    assert_eq!(scene.delete(&home, "?keep_machine=perhaps").await.0, 400);
    assert_eq!(scene.delete(&home, "?keep_machine=true").await.0, 204);
    assert_eq!((scene.cloud.ids().len(), scene.toolboxes().await), (1, json!([])));
}

#[tokio::test]
async fn nobody_destroys_anothers_machine() {
    let scene = Scene::new().await;
    let (_, home) = scene.create("home").await;
    let stranger = scene.app.user().await;
    scene.store(stranger).await;
    let path = format!("/api/toolboxes/{}", home["id"].as_str().unwrap());
    for query in ["", "?keep_machine=true"] {
        assert_eq!(scene.app.ask(stranger, "DELETE", &format!("{path}{query}"), Value::Null).await.0, 404);
    }
    assert_eq!(scene.cloud.ids().len(), 1);
    assert_eq!(scene.delete(&home, "").await.0, 204);
    assert_eq!(scene.cloud.ids(), [0; 0]);
}
