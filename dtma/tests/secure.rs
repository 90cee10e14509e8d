//! The real program, from its enrolment to a gateway that others than this machine can call.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use axum::{Json, Router, extract::State, routing::post};
use protocol::toolbox::{EnrolReply, EnrolRequest, Revocations};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::process::Command;

type Enrolments = Arc<Mutex<Vec<EnrolRequest>>>;

/// As much of a control plane as an enrolment needs; check-ins it answers too.
async fn plane() -> (String, Enrolments) {
    let enrolments = Enrolments::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let control_plane = url.clone();
    let enrol = async move |State(seen): State<Enrolments>, Json(request): Json<EnrolRequest>| {
        let key = capability::SigningKey::from_pkcs8(&capability::SigningKey::generate().unwrap()).unwrap();
        seen.lock().unwrap().push(request);
        Json(EnrolReply {
            toolbox_id: protocol::ids::ToolboxId::new(),
            owner: protocol::ids::UserId::new(),
            capability_keys: BTreeMap::from([("k".to_owned(), key.public_key().to_string())]),
            control_plane: control_plane.clone(),
        })
    };
    let checkin = async || -> Json<Value> {
        Json(json!({"interval": 30, "now": protocol::Timestamp::now(), "revocations": Revocations::default()}))
    };
    let router = Router::new()
        .route("/api/toolboxes/enrol", post(enrol))
        .route("/api/toolboxes/checkin", post(checkin))
        .with_state(enrolments.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, enrolments)
}

fn dtma(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dtma"));
    // What Docker does is not the matter here.
    command.args(arguments).arg("--state").arg(state).env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs to its end; what it said of its failure.
async fn fails(state: &Path, arguments: &[&str]) -> String {
    let output = dtma(state, arguments).output();
    let output = tokio::time::timeout(Duration::from_secs(20), output).await.expect("it ends").unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Where the daemon says that its gateway is.
async fn gateway(state: &Path) -> String {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let state = std::fs::read(state.join("state.json")).ok();
        if let Some(state) = state.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()) {
            return state["gateway"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < until, "the daemon does not start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_gateway_that_others_can_call_shows_the_certificate_of_its_enrolment() {
    let (url, enrolments) = plane().await;
    let folder = tempfile::tempdir().unwrap();
    let (state, token) = (folder.path().join("state"), folder.path().join("token"));
    std::fs::write(&token, "a token").unwrap();
    let enrol = ["enrol", "--url", &url, "--token-file", token.to_str().unwrap()];

    let nameless = fails(&state, &[&enrol[..], &["--listen", "0.0.0.0:0"]].concat()).await;
    assert!(nameless.contains("--host"), "{nameless}");
    assert!(enrolments.lock().unwrap().is_empty(), "the token was not used up");

    let named = [&enrol[..], &["--listen", "0.0.0.0:0", "--host", "127.0.0.1"]].concat();
    let enrolled = dtma(&state, &named).output().await.unwrap();
    assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
    let request = enrolments.lock().unwrap().pop().unwrap();
    assert!(request.gateway.starts_with("https://127.0.0.1:"), "{}", request.gateway);
    let der = CertificateDer::from_pem_file(state.join("gateway.pem")).unwrap();
    let digest: String = Sha256::digest(&der).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(request.certificate.as_ref(), Some(&digest));

    let mut daemon = dtma(&state, &["run"]).spawn().unwrap();
    let gateway = gateway(&state).await;
    let health = gateway.replace("/mcp", "/healthz");
    assert!(health.starts_with("https://127.0.0.1:"), "{health}");
    let trusting = reqwest::Client::builder().no_proxy();
    let trusting = trusting.tls_certs_only([reqwest::Certificate::from_der(&der).unwrap()]).build().unwrap();
    assert_eq!(trusting.get(&health).send().await.unwrap().text().await.unwrap(), "ok\n");
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(plain.get(&health).send().await.is_err(), "no authority vouches for it");
    assert!(plain.get(health.replace("https", "http")).send().await.is_err());
    daemon.kill().await.unwrap();

    // A new enrolment, and only that, makes a new one.
    let again = [&named[..], &["--again"]].concat();
    assert!(dtma(&state, &again).output().await.unwrap().status.success());
    let renewed = enrolments.lock().unwrap().pop().unwrap().certificate;
    assert!(renewed.is_some() && renewed != Some(digest));

    // As an enrolment of a version without TLS left it.
    std::fs::remove_file(state.join("gateway.pem")).unwrap();
    let refused = fails(&state, &["run"]).await;
    assert!(refused.contains("without a certificate") && refused.contains("dtma enrol --again"), "{refused}");
    std::fs::remove_file(state.join("state.json")).unwrap();
    let mut daemon = dtma(&state, &["run", "--listen", "127.0.0.1:0"]).spawn().unwrap();
    let health = self::gateway(&state).await.replace("/mcp", "/healthz");
    assert!(health.starts_with("http://127.0.0.1:"), "{health}");
    assert!(plain.get(&health).send().await.unwrap().status().is_success(), "on the loopback it needs none");
    daemon.kill().await.unwrap();
}
