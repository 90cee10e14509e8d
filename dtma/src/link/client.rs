//! Requests, signed by the toolbox's own key; answers, bounded before they are read.

use crate::ledger::Identity;
use protocol::{ids::ToolboxId, problem::Problem};
use serde::{Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};
use url::Url;

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(30);
const REPLY_LIMIT: usize = 16 << 20;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the control plane does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// The problem's own words, and what it says to do.
    #[error("the control plane refused ({status}): {detail}")]
    Refused { status: u16, detail: String, fix: Option<String> },
    #[error("the control plane's answer is longer than {REPLY_LIMIT} bytes")]
    TooLong,
    #[error("the control plane's answer is not what was expected")]
    Shape(#[from] serde_json::Error),
    #[error("'{0}' is not the address of a control plane")]
    Address(String),
    #[error("the request could not be signed")]
    Signing(#[from] capability::KeyError),
    #[error("a credential could not be opened")]
    Opening(#[from] sealing::delivery::DeliveryError),
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

impl Client {
    pub fn new(base: &str) -> Result<Self, Error> {
        let bad = || Error::Address(base.chars().take(200).collect());
        let base = Url::parse(base).map_err(|_| bad())?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(bad());
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("dtma/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            // A redirect would carry the token elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(1)
            .build()
            .map_err(Error::Unreachable)?;
        Ok(Self { http, base })
    }

    pub(super) async fn post<R: DeserializeOwned>(
        &self,
        path: &str,
        bearer: &str,
        body: &impl Serialize,
    ) -> Result<R, Error> {
        let url = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let request = self.http.post(url).bearer_auth(bearer).json(body);
        let mut response = request.send().await.map_err(Error::Unreachable)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Error::Unreachable)? {
            if bytes.len() + chunk.len() > REPLY_LIMIT {
                return Err(Error::TooLong);
            }
            bytes.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(serde_json::from_slice(&bytes)?);
        }
        let problem: Option<Problem> = serde_json::from_slice(&bytes).ok();
        Err(match problem {
            Some(problem) => Error::Refused { status: status.as_u16(), detail: words(&problem), fix: problem.fix },
            None => Error::Refused { status: status.as_u16(), detail: "it gave no reason".into(), fix: None },
        })
    }
}

fn words(problem: &Problem) -> String {
    let text = problem.detail.clone().unwrap_or_else(|| problem.title.clone());
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}

/// A client that says which toolbox it is.
#[derive(Clone)]
pub struct Device {
    pub client: Client,
    pub identity: Arc<Identity>,
    pub toolbox: ToolboxId,
}

impl Device {
    pub(super) async fn post<R: DeserializeOwned>(
        &self,
        path: &str,
        now: i64,
        body: &impl Serialize,
    ) -> Result<R, Error> {
        let token = capability::device::sign(&self.identity.0, self.toolbox, now)?;
        self.client.post(path, &token, body).await
    }
}
