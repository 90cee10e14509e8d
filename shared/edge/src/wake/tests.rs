use super::Wake;
use crate::testing::context;
use axum::{Router, extract::State, routing::post};
use capability::{Minter, SigningKey, Verifier, control};
use http::{HeaderMap, StatusCode};
use protocol::ids::{ToolboxId, UserId};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

#[tokio::test]
async fn it_wakes_with_a_token_for_that_toolbox_and_gives_up_in_time() {
    let der = SigningKey::generate().expect("random numbers");
    let minter = Arc::new(Minter::from_pkcs8("k1", &der).expect("a key"));
    let toolbox = ToolboxId::new();
    let verifier = Arc::new(
        Verifier::new(&[("k1".to_owned(), minter.key().public_key().to_string())].into(), toolbox, UserId::new())
            .expect("a key"),
    );
    let woken = Arc::new(AtomicUsize::new(0));
    let counter = woken.clone();
    let app = Router::new()
        .route(
            "/wake",
            post(
                |State((verifier, counter)): State<(Arc<Verifier>, Arc<AtomicUsize>)>, headers: HeaderMap| async move {
                    let token =
                        headers["authorization"].to_str().expect("text").trim_start_matches("Bearer ").to_owned();
                    match control::verify(&verifier, &token, jiff::Timestamp::now().as_second()) {
                        Ok(control::Action::Wake) => {
                            counter.fetch_add(1, Ordering::SeqCst);
                            StatusCode::NO_CONTENT
                        }
                        _ => StatusCode::UNAUTHORIZED,
                    }
                },
            ),
        )
        .with_state((verifier, counter));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, app).await });

    let db = testkit::database().await;
    let (context, _) = context(db.database.clone());
    let wake = Wake::local(&context, minter.clone());
    // It waits for a moment only, which a busy machine may let pass.
    for _ in 0..20 {
        wake.toolbox(toolbox, &format!("{base}/mcp")).await;
        if woken.load(Ordering::SeqCst) > 0 {
            break;
        }
    }
    assert!(woken.load(Ordering::SeqCst) > 0);
    let before = woken.load(Ordering::SeqCst);
    wake.toolbox(ToolboxId::new(), &base).await;
    assert_eq!(woken.load(Ordering::SeqCst), before, "another toolbox's token is refused");

    // A listener that never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let started = Instant::now();
    wake.toolbox(toolbox, &format!("http://{}", silent.local_addr().expect("bound"))).await;
    assert!(started.elapsed() < Duration::from_secs(2));
}
