//! The toolbox's own tokens, against a real database.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use axum::{Router, body::Body, extract::FromRef, routing::get};
use capability::{SigningKey, device};
use database::Caller;
use edge::{Clock, Context, Device, testing};
use http::{Request, StatusCode};
use protocol::{
    ids::{ToolboxId, UserId},
    toolbox::EnrolRequest,
};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use testkit::TestDatabase;
use tower::ServiceExt;

#[derive(Clone)]
struct State(Context);

impl FromRef<State> for Context {
    fn from_ref(state: &State) -> Self {
        state.0.clone()
    }
}

struct Setup {
    app: Router,
    key: SigningKey,
    toolbox: ToolboxId,
    owner: UserId,
    now: i64,
    clock: Arc<AtomicI64>,
    database: TestDatabase,
}

async fn setup() -> Setup {
    let database = testkit::database().await;
    let owner = testkit::user(&database).await;
    let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
    database.database.toolbox_create(&Caller::user(owner), "mine", &"0".repeat(64)).await.unwrap();
    let request = EnrolRequest {
        public_key: key.public_key().to_string(),
        gateway: "http://127.0.0.1:1".into(),
        version: "0".into(),
        certificate: None,
    };
    let enrolled = database.database.toolbox_enrol(&Caller::service(), &"0".repeat(64), &request).await.unwrap();
    let now = jiff::Timestamp::now().as_second();
    let clock = Arc::new(AtomicI64::new(now));
    let read = clock.clone();
    let clocked = Clock::from_fn(move || jiff::Timestamp::from_second(read.load(Ordering::SeqCst)).unwrap());
    let (context, _) = testing::context(database.database.clone());
    let app = Router::new()
        .route("/me", get(|device: Device| async move { format!("{} {}", device.toolbox, device.owner) }))
        .with_state(State(context.with_clock(clocked)));
    Setup { app, key, toolbox: enrolled.toolbox_id, owner, now, clock, database }
}

impl Setup {
    async fn ask(&self, token: &str) -> StatusCode {
        let request =
            Request::get("/me").header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap();
        self.app.clone().oneshot(request).await.unwrap().status()
    }
}

#[tokio::test]
async fn its_own_token_is_taken_once() {
    let setup = setup().await;
    let token = device::sign(&setup.key, setup.toolbox, setup.now).unwrap();
    let request = Request::get("/me").header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap();
    let response = setup.app.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(body, format!("{} {}", setup.toolbox, setup.owner));
    assert_eq!(setup.ask(&token).await, StatusCode::UNAUTHORIZED, "the same token again");
    assert_eq!(setup.ask(&device::sign(&setup.key, setup.toolbox, setup.now).unwrap()).await, StatusCode::OK);
}

#[tokio::test]
async fn another_key_another_toolbox_and_another_time_are_refused() {
    let setup = setup().await;
    let other = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
    for (what, token) in [
        ("another key", device::sign(&other, setup.toolbox, setup.now).unwrap()),
        ("an unknown toolbox", device::sign(&setup.key, ToolboxId::new(), setup.now).unwrap()),
        ("too old", device::sign(&setup.key, setup.toolbox, setup.now - 120).unwrap()),
        ("not yet", device::sign(&setup.key, setup.toolbox, setup.now + 120).unwrap()),
        ("no token", "a.b.c".to_owned()),
    ] {
        assert_eq!(setup.ask(&token).await, StatusCode::UNAUTHORIZED, "{what}");
    }
    assert_eq!(setup.ask(&device::sign(&setup.key, setup.toolbox, setup.now).unwrap()).await, StatusCode::OK);
}

#[tokio::test]
async fn a_removed_toolbox_is_soon_nobody() {
    let setup = setup().await;
    assert_eq!(setup.ask(&device::sign(&setup.key, setup.toolbox, setup.now).unwrap()).await, StatusCode::OK);
    setup.database.database.toolbox_delete(&Caller::user(setup.owner), setup.toolbox, false).await.unwrap();
    setup.clock.store(setup.now + 31, Ordering::SeqCst);
    let token = device::sign(&setup.key, setup.toolbox, setup.now + 31).unwrap();
    assert_eq!(setup.ask(&token).await, StatusCode::UNAUTHORIZED);
}
