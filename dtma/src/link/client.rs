//! Requests, signed by the toolbox's own key; answers, bounded before they are read.

use crate::ledger::Identity;
use protocol::{Timestamp, ids::ToolboxId, problem::Problem};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::{Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};
use url::Url;

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(30);
const REPLY_LIMIT: usize = 16 << 20;
const LEAST_WAIT: Duration = Duration::from_secs(1);
const MOST_WAIT: Duration = Duration::from_secs(600);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the control plane does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// The problem's own words, and what it says to do.
    #[error("the control plane refused ({status}): {detail}")]
    Refused {
        status: u16,
        detail: String,
        fix: Option<String>,
        /// When it wants to be asked again, within bounds of ours.
        retry_after: Option<Duration>,
    },
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

impl Error {
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
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
        let retry_after = retry_after(response.headers());
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
            Some(problem) => {
                Error::Refused { status: status.as_u16(), detail: words(&problem), fix: problem.fix, retry_after }
            }
            None => {
                let detail = "it gave no reason".into();
                Error::Refused { status: status.as_u16(), detail, fix: None, retry_after }
            }
        })
    }
}

/// Seconds, or a date (RFC 9110, section 10.2.3). Another's wish: neither a hammer nor a farewell.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match text.parse::<i64>() {
        Ok(seconds) => seconds,
        Err(_) => jiff::fmt::rfc2822::parse(text).ok()?.timestamp().duration_since(Timestamp::now()).as_secs(),
    };
    Some(Duration::from_secs(seconds.try_into().unwrap_or(0)).clamp(LEAST_WAIT, MOST_WAIT))
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
    pub(crate) async fn post<R: DeserializeOwned>(
        &self,
        path: &str,
        now: i64,
        body: &impl Serialize,
    ) -> Result<R, Error> {
        let token = capability::device::sign(&self.identity.0, self.toolbox, now)?;
        self.client.post(path, &token, body).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_to_be_left_alone_is_heard_within_bounds() {
        let wish = |text: &str| retry_after(&[(RETRY_AFTER, text.parse().unwrap())].into_iter().collect());
        assert_eq!(wish("30"), Some(Duration::from_secs(30)));
        assert_eq!((wish("0"), wish("-5")), (Some(LEAST_WAIT), Some(LEAST_WAIT)));
        assert_eq!(wish("99999999999"), Some(MOST_WAIT));
        assert_eq!(wish("Fri, 31 Dec 2100 23:59:59 GMT"), Some(MOST_WAIT));
        assert_eq!(wish("Wed, 21 Oct 2015 07:28:00 GMT"), Some(LEAST_WAIT));
        assert_eq!((wish("soon"), retry_after(&HeaderMap::new())), (None, None));
    }
}
