//! A client of the official MCP Registry API, as patient as a public service needs.

use protocol::Timestamp;
use reqwest::{Client, StatusCode, header::RETRY_AFTER, redirect::Policy};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::time::Duration;
use url::Url;

/// The registry of the protocol's maintainers.
pub const OFFICIAL: &str = "https://registry.modelcontextprotocol.io";

const PAGE: &str = "100";
const ATTEMPTS: u32 = 8;
const TIMEOUT: Duration = Duration::from_secs(20);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Bytes of a page: a hundred entries of the largest size that anybody needs.
const PAGE_MAX: usize = 32 * 1024 * 1024;
const META: &str = "io.modelcontextprotocol.registry/official";

/// Where to read, and how fast to try again.
#[derive(Clone)]
pub struct Registry {
    client: Client,
    url: Url,
    /// The first wait after a failure; it doubles each time.
    pub backoff: Duration,
}

/// One entry as it came, unchecked.
#[derive(Clone, Debug, PartialEq)]
pub struct RawEntry {
    pub server: Value,
    pub status: String,
    pub updated_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RegistryPage {
    pub entries: Vec<RawEntry>,
    /// None on the last page.
    pub next: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("{0:?} is not the address of a registry: it starts with http:// or https:// and has a host")]
    Address(String),
    #[error("the registry does not answer")]
    Unreachable(#[source] reqwest::Error),
    #[error("the registry answered {0}")]
    Refused(StatusCode),
    #[error("the registry's page is larger than {PAGE_MAX} bytes")]
    TooLarge,
    #[error("the registry's page cannot be read: {0}")]
    Malformed(String),
    #[error("the registry repeats its cursor")]
    Loop,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    /// Each is read by itself: one that is no JSON for us costs only itself.
    #[serde(borrow)]
    servers: Vec<&'a RawValue>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    next_cursor: Option<String>,
}

impl Registry {
    pub fn new(url: &str) -> Result<Self, RegistryError> {
        let wrong = || RegistryError::Address(url.chars().take(200).collect());
        let parsed = Url::parse(url.trim_end_matches('/')).map_err(|_| wrong())?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() || parsed.query().is_some() {
            return Err(wrong());
        }
        let client =
            Client::builder().timeout(TIMEOUT).redirect(Policy::none()).build().map_err(RegistryError::Unreachable)?;
        Ok(Self { client, url: parsed, backoff: Duration::from_millis(250) })
    }

    /// As it is kept: one spelling for one registry.
    pub fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// The page behind `cursor`; tried again after whatever may pass.
    pub async fn page(&self, cursor: Option<&str>, since: Option<Timestamp>) -> Result<RegistryPage, RegistryError> {
        let mut wait = self.backoff;
        let mut attempt = 1;
        loop {
            let (error, asked) = match self.attempt(cursor, since).await {
                Ok(page) => return Ok(page),
                Err(failed) => failed,
            };
            if attempt == ATTEMPTS || !error.passes() {
                return Err(error);
            }
            tracing::debug!(attempt, %error, "the registry's page is tried again");
            tokio::time::sleep(asked.unwrap_or(wait).min(LONGEST_WAIT)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            attempt += 1;
        }
    }

    /// With an error comes how long the registry asks to wait.
    async fn attempt(
        &self,
        cursor: Option<&str>,
        since: Option<Timestamp>,
    ) -> Result<RegistryPage, (RegistryError, Option<Duration>)> {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v0.1", "servers"]);
        }
        let mut query = vec![("limit", PAGE.to_owned()), ("version", "latest".to_owned())];
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        query.extend(since.map(|since| ("updated_since", since.to_string())));
        url.query_pairs_mut().extend_pairs(query);
        let plain = |error| (error, None);
        let mut response = self.client.get(url).send().await.map_err(RegistryError::Unreachable).map_err(plain)?;
        let status = response.status();
        if !status.is_success() {
            let seconds =
                response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
            return Err((RegistryError::Refused(status), seconds.map(Duration::from_secs)));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(RegistryError::Unreachable).map_err(plain)? {
            if bytes.len() + chunk.len() > PAGE_MAX {
                return Err((RegistryError::TooLarge, None));
            }
            bytes.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&bytes);
        let envelope: Envelope<'_> =
            serde_json::from_str(&text).map_err(|error| plain(RegistryError::Malformed(error.to_string())))?;
        let next = envelope.metadata.next_cursor.filter(|next| !next.is_empty());
        if next.is_some() && next.as_deref() == cursor {
            return Err((RegistryError::Loop, None));
        }
        Ok(RegistryPage {
            entries: envelope.servers.into_iter().map(|entry| RawEntry::new(entry.get())).collect(),
            next,
        })
    }
}

impl RegistryError {
    /// Whether the same request may succeed later.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Refused(status) => {
                status.is_server_error()
                    || matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
            }
            Self::Unreachable(_) | Self::Malformed(_) | Self::Loop => true,
            Self::Address(_) | Self::TooLarge => false,
        }
    }
}

impl RawEntry {
    /// What is no JSON for us (a number beyond all measure, half a character, too deep) has nothing in it.
    fn new(text: &str) -> Self {
        let mut entry: Value = serde_json::from_str(text).unwrap_or_default();
        let meta = entry.get("_meta").and_then(|meta| meta.get(META)).cloned().unwrap_or_default();
        let text = |key: &str| meta.get(key).and_then(Value::as_str);
        Self {
            status: text("status").unwrap_or("active").to_owned(),
            updated_at: text("updatedAt").and_then(|time| time.parse().ok()),
            server: entry.get_mut("server").map(Value::take).unwrap_or_default(),
        }
    }
}
