//! A registry and an embedder whose behaviour a test decides.

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use catalog::registry::Registry;
use models::embedding::{DIMENSIONS, Embedder, Error};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

/// What the registry does to one request after the other, before it only answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Nothing: it answers.
    Nothing,
    Status(u16),
    TooMany,
    Html,
    Truncated,
    SameCursor,
    /// The page's first entry is this text instead.
    Instead(&'static str),
}

#[derive(Clone, Default)]
pub(crate) struct Double {
    pub(crate) entries: Arc<Mutex<Vec<Value>>>,
    pub(crate) faults: Arc<Mutex<VecDeque<Fault>>>,
    /// The queries that came.
    pub(crate) asked: Arc<Mutex<Vec<BTreeMap<String, String>>>>,
}

pub(crate) const PAGE: usize = 3;

/// An entry of a list, as the official API gives it.
pub(crate) fn entry(name: &str, description: &str) -> Value {
    json!({
        "server": {"name": name, "description": description, "version": "1.0.0",
                   "packages": [{"registryType": "npm", "identifier": name.rsplit('/').next(), "transport": {"type": "stdio"}}]},
        "_meta": {"io.modelcontextprotocol.registry/official":
            {"status": "active", "updatedAt": "2026-10-01T00:00:00.000000Z", "isLatest": true}},
    })
}

impl Double {
    pub(crate) fn with(entries: Vec<Value>) -> Self {
        Self { entries: Arc::new(Mutex::new(entries)), ..Self::default() }
    }

    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    pub(crate) async fn registry(&self) -> Registry {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route("/v0.1/servers", get(list)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        quick(&url)
    }
}

/// A client that does not wait long.
pub(crate) fn quick(url: &str) -> Registry {
    let mut registry = Registry::new(url).unwrap();
    registry.backoff = Duration::from_millis(2);
    registry
}

async fn list(State(double): State<Double>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    double.asked.lock().unwrap().push(query.clone());
    assert_eq!(query["version"], "latest");
    let fault = double.faults.lock().unwrap().pop_front();
    let start: usize = query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
    let entries = double.entries.lock().unwrap();
    let page: Vec<Value> = entries.iter().skip(start).take(PAGE).cloned().collect();
    let mut body = json!({"servers": page, "metadata": {"count": page.len()}});
    if start + PAGE < entries.len() {
        body["metadata"]["nextCursor"] = json!((start + PAGE).to_string());
    }
    match fault {
        None | Some(Fault::Nothing) => Json(body).into_response(),
        Some(Fault::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Fault::TooMany) => (
            StatusCode::TOO_MANY_REQUESTS,
            HeaderMap::from_iter([("retry-after".parse().unwrap(), "0".parse().unwrap())]),
        )
            .into_response(),
        Some(Fault::Html) => "<html>maintenance</html>".into_response(),
        Some(Fault::Truncated) => body.to_string()[..30].to_owned().into_response(),
        Some(Fault::Instead(text)) => {
            body["servers"][0] = json!("first");
            body.to_string().replacen("\"first\"", text, 1).into_response()
        }
        Some(Fault::SameCursor) => {
            body["metadata"]["nextCursor"] = json!(query.get("cursor"));
            Json(body).into_response()
        }
    }
}

/// Vectors without a meaning: the words' letters counted.
pub(crate) struct Letters;

#[async_trait::async_trait]
impl Embedder for Letters {
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        Ok(texts
            .iter()
            .map(|text| {
                let mut vector = vec![0.01; DIMENSIONS];
                text.bytes().for_each(|byte| vector[usize::from(byte)] += 1.0);
                let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
                vector.into_iter().map(|x| x / length).collect()
            })
            .collect())
    }

    fn name(&self) -> &str {
        "letters"
    }
}
