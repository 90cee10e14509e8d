//! A stand-in for DigitalOcean, made from its published API description: a request that the description does not allow is
//! remembered and refused, and the replies are the description's examples with what was asked for.

mod description;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use description::Operation;
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

pub(crate) const TOKEN: &str = "dop_v1_0f3c8a52e6b14d7799aa35d1c0ffee11";

#[derive(Default)]
pub(crate) struct Account {
    pub(crate) droplets: Vec<Value>,
    pub(crate) calls: Vec<String>,
    /// Of every machine that was asked for.
    pub(crate) user_data: Vec<String>,
    /// What becomes of the next requests, instead of an answer.
    pub(crate) next: VecDeque<Fault>,
    wrong: Vec<String>,
    made: u64,
}

pub(crate) enum Fault {
    /// None: answered as ever.
    No,
    /// Done, and the answer breaks off.
    Lost,
    Refused(u16, &'static str),
    /// 429, with a Retry-After.
    Busy(Option<&'static str>),
    Elsewhere(String),
    Endless,
}

#[derive(Clone)]
pub(crate) struct DigitalOcean {
    pub(crate) url: String,
    account: Arc<Mutex<Account>>,
}

impl DigitalOcean {
    pub(crate) async fn start() -> Self {
        let account = Arc::<Mutex<Account>>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(account.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, account }
    }

    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.account.lock().unwrap().next.extend(faults);
    }

    /// Looks, after making sure that nothing was asked that the description does not have.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Account) -> T) -> T {
        let mut account = self.account.lock().unwrap();
        assert_eq!(account.wrong, Vec::<String>::new());
        look(&mut account)
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.look(|account| account.droplets.iter().map(|droplet| droplet["id"].as_u64().unwrap()).collect())
    }

    /// A droplet that somebody else has made.
    pub(crate) fn add(&self, tags: &[&str]) -> u64 {
        let created = Operation::find("POST", "/v2/droplets").unwrap().example(202).unwrap();
        self.look(|account| account.add(&created["droplet"], &json!({"name": "db", "tags": tags})))
    }
}

impl Account {
    fn add(&mut self, example: &Value, wanted: &Value) -> u64 {
        self.made += 1;
        let mut droplet = example.clone();
        droplet["id"] = json!(3_164_000 + self.made);
        for key in ["name", "tags"] {
            droplet[key] = wanted[key].clone();
        }
        if let Some(region) = wanted.get("region") {
            droplet["region"]["slug"] = region.clone();
            droplet["size_slug"] = wanted["size"].clone();
        }
        self.droplets.push(droplet);
        3_164_000 + self.made
    }

    fn carry_out(
        &mut self,
        operation: Operation,
        method: &Method,
        path: &str,
        tag: Option<&str>,
        body: &Value,
    ) -> Reply {
        let tagged = |droplet: &Value| match tag {
            Some(tag) => droplet["tags"].as_array().unwrap().iter().any(|held| held == tag),
            None => path.ends_with(&format!("/{}", droplet["id"])),
        };
        match method.as_str() {
            "GET" => {
                let found: Vec<_> = self.droplets.iter().filter(|one| tag.is_none() || tagged(one)).cloned().collect();
                let mut listed = operation.example(200).unwrap();
                listed["meta"]["total"] = json!(found.len());
                listed["droplets"] = json!(found);
                Reply(200, Some(listed))
            }
            "POST" => {
                let mut created = operation.example(202).unwrap();
                self.add(&created["droplet"], body);
                created["droplet"] = self.droplets.last().cloned().unwrap();
                self.user_data.push(body["user_data"].as_str().unwrap().to_owned());
                Reply(202, Some(created))
            }
            _ => {
                let before = self.droplets.len();
                self.droplets.retain(|droplet| !tagged(droplet));
                let none = self.droplets.len() == before;
                if none { Reply(404, operation.example(404)) } else { Reply(204, None) }
            }
        }
    }
}

struct Reply(u16, Option<Value>);

async fn answer(
    State(account): State<Arc<Mutex<Account>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut account = account.lock().unwrap();
    let path = uri.path();
    account.calls.push(format!("{method} {uri}"));
    let Some(operation) = Operation::find(method.as_str(), path) else {
        account.wrong.push(format!("there is no {method} {path}"));
        return StatusCode::NOT_FOUND.into_response();
    };
    let url = reqwest::Url::parse(&format!("http://x{uri}")).unwrap();
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let body: Option<Value> = (!body.is_empty()).then(|| serde_json::from_slice(&body).unwrap());
    let wrong = operation.wrong(path, &query, body.as_ref());
    if !wrong.is_empty() {
        account.wrong.extend(wrong);
        return StatusCode::BAD_REQUEST.into_response();
    }
    let fault = account.next.pop_front().unwrap_or(Fault::No);
    let proof = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    if proof != Some(format!("Bearer {TOKEN}")) {
        return reply(operation, Reply(401, operation.example(401)));
    }
    let tag = query.iter().find(|(name, _)| name == "tag_name").map(|(_, tag)| tag.as_str());
    let carry_out = || account.carry_out(operation, &method, path, tag, &body.unwrap_or_default());
    match fault {
        Fault::No => reply(operation, carry_out()),
        Fault::Lost => {
            let Reply(status, _) = carry_out();
            let broken = futures::stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))]);
            (StatusCode::from_u16(status).unwrap(), Body::from_stream(broken)).into_response()
        }
        Fault::Refused(status, why) => {
            let mut problem = operation.example(status).unwrap();
            problem["message"] = json!(why);
            reply(operation, Reply(status, Some(problem)))
        }
        Fault::Busy(wait) => {
            let mut busy = reply(operation, Reply(429, operation.example(429)));
            if let Some(wait) = wait {
                busy.headers_mut().insert("retry-after", wait.parse().unwrap());
            }
            busy
        }
        Fault::Elsewhere(url) => (StatusCode::TEMPORARY_REDIRECT, [("location", url)]).into_response(),
        Fault::Endless => {
            let more = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 65_536])));
            Body::from_stream(more).into_response()
        }
    }
}

fn reply(operation: Operation, Reply(status, body): Reply) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    let Some(body) = body else { return status.into_response() };
    operation.check(status.as_u16(), &body);
    (status, axum::Json(body)).into_response()
}

#[test]
fn what_the_description_does_not_allow_is_noticed() {
    let create = Operation::find("POST", "/v2/droplets").unwrap();
    let good =
        json!({"name": "a", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64", "tags": ["a"], "user_data": "x"});
    assert!(create.wrong("/v2/droplets", &[], Some(&good)).is_empty());
    for (key, value) in
        [("size", Value::Null), ("name", json!("a b")), ("tags", json!("a")), ("cloud_init", json!("x"))]
    {
        let mut bad = good.clone();
        bad[key] = value;
        assert!(!create.wrong("/v2/droplets", &[], Some(&bad)).is_empty(), "{bad}");
    }
    assert!(!create.wrong("/v2/droplets", &[], None).is_empty());
    let list = Operation::find("GET", "/v2/droplets").unwrap();
    let query = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    assert!(list.wrong("/v2/droplets", &query("per_page", "200"), None).is_empty());
    assert!(!list.wrong("/v2/droplets", &query("per_page", "201"), None).is_empty());
    assert!(!list.wrong("/v2/droplets", &query("tag", "a"), None).is_empty());
    let destroy = Operation::find("DELETE", "/v2/droplets").unwrap();
    assert!(!destroy.wrong("/v2/droplets", &[], None).is_empty(), "all of them would go");
    assert!(Operation::find("PUT", "/v2/droplets").is_none());
}
