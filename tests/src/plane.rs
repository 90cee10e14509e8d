//! A stand-in for the control plane, as far as an installation needs one: it enrols and it answers check-ins.

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::{Value, json};
use std::{
    fs,
    sync::{Arc, Mutex, MutexGuard},
    time::{SystemTime, UNIX_EPOCH},
};

pub const TOKEN: &str = "agentopia_enrol_5d0c1f7e2b";

#[derive(Default)]
pub struct Seen {
    pub enrolments: usize,
    pub checkins: usize,
    /// Where the toolbox said that its gateway is, and the digest of its certificate.
    pub gateway: Value,
    pub certificate: Value,
    /// Processes whose arguments or environment held the token while the enrolment was under way.
    pub leaks: Vec<String>,
}

#[derive(Clone)]
pub struct Plane {
    pub url: String,
    toolbox: String,
    seen: Arc<Mutex<Seen>>,
}

impl Plane {
    /// `toolbox` is its id, of which nothing else on this machine may have any container.
    pub async fn start(toolbox: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let plane = Self { url, toolbox: toolbox.to_owned(), seen: Arc::default() };
        let router = Router::new()
            .route("/api/toolboxes/enrol", post(enrol))
            .route("/api/toolboxes/checkin", post(checkin))
            .with_state(plane.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        plane
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no test panics while it looks")
    }

    fn keys() -> Value {
        json!({"test": "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA"})
    }
}

async fn enrol(
    State(plane): State<Plane>,
    headers: HeaderMap,
    Json(request): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    if headers.get("authorization").is_none_or(|sent| sent != &format!("Bearer {TOKEN}")) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let mut seen = plane.seen();
    seen.enrolments += 1;
    (seen.gateway, seen.certificate) = (request["gateway"].clone(), request["certificate"].clone());
    seen.leaks.extend(who_shows(TOKEN));
    Ok(Json(json!({
        "toolbox_id": plane.toolbox,
        "owner": "019aa1b0-0000-7000-8000-000000000002",
        "capability_keys": Plane::keys(),
        "control_plane": plane.url,
    })))
}

async fn checkin(State(plane): State<Plane>) -> Json<Value> {
    plane.seen().checkins += 1;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let stamp = std::process::Command::new("date").args(["-u", "-d", &format!("@{now}"), "+%FT%TZ"]).output();
    let stamp = String::from_utf8(stamp.expect("date runs").stdout).expect("text");
    Json(json!({"interval": 1, "now": stamp.trim(), "revocations": {"sequence": 0}, "capability_keys": Plane::keys()}))
}

/// Every process that shows this text in its arguments or its environment.
pub fn who_shows(text: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").expect("a Linux machine").flatten().map(|entry| entry.path());
    let numbered =
        all.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().parse::<u32>().is_ok()));
    let shows = |path: &std::path::Path| {
        ["cmdline", "environ"].iter().any(|file| {
            let bytes = fs::read(path.join(file)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(text)
        })
    };
    numbered.filter(|path| shows(path)).map(|path| path.display().to_string()).collect()
}
