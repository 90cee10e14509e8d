//! The PostgREST door: `POST <rest>/rpc/<function>`, where a Postgres connection cannot be had.
//!
//! Spoken over our own HTTP client: the crate `postgrest` 1.6 brings rustls-webpki 0.101 and h2 0.3, for which
//! advisories stand without a fix (RUSTSEC-2026-0098, -0099, -0104, -0258).

mod answer;
mod signer;

pub use signer::Signer;

use crate::{Caller, Error, caller::Role};
use protocol::chat::Secret;
use reqwest::{
    Client, RequestBuilder, Response,
    header::{ACCEPT, CONTENT_TYPE, HeaderValue},
    redirect::Policy,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};

/// Where PostgREST is and what it wants to know.
pub struct Options {
    /// The root of its paths: `https://<ref>.supabase.co/rest/v1`, or a PostgREST's own address.
    pub url: String,
    /// Supabase's publishable key, for the header `apikey`; a PostgREST of one's own wants none.
    pub key: Option<Secret>,
    /// Signs for callers that bring no JWT which PostgREST knows: toolboxes and the control plane.
    pub signer: Option<Signer>,
    pub connect_timeout: Duration,
    /// For one call, answer included.
    pub call_timeout: Duration,
}

impl Options {
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            key: None,
            signer: None,
            connect_timeout: Duration::from_secs(3),
            call_timeout: Duration::from_secs(20),
        }
    }
}

#[derive(Clone)]
pub(crate) struct PostgRest(Arc<Inner>);

struct Inner {
    client: Client,
    root: String,
    key: Option<HeaderValue>,
    signer: Option<Signer>,
}

/// As the direct door allows: one answer of Postgres is bounded by what we asked for, but a proxy's is not.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;

impl PostgRest {
    pub(crate) fn new(options: Options) -> Result<Self, Error> {
        let client = Client::builder()
            .connect_timeout(options.connect_timeout)
            .timeout(options.call_timeout)
            .redirect(Policy::none())
            .user_agent("agentopia")
            .build()
            .map_err(Error::unexpected)?;
        let root = options.url.trim_end_matches('/').to_owned();
        let key = options.key.map(|key| hidden(key.expose())).transpose()?;
        Ok(Self(Arc::new(Inner { client, root, key, signer: options.signer })))
    }

    pub(crate) async fn call<R: DeserializeOwned>(
        &self,
        caller: &Caller,
        function: &'static str,
        arguments: &(impl Serialize + ?Sized),
    ) -> Result<R, Error> {
        let body = serde_json::to_vec(arguments).map_err(Error::unexpected)?;
        let request = self.0.client.post(format!("{}/rpc/{function}", self.0.root));
        let request = request.header("content-profile", "api").header(CONTENT_TYPE, "application/json");
        let request = request.header(ACCEPT, "application/json").body(body);
        let response = self.identified(request, caller)?.send().await.map_err(Error::unavailable)?;
        let status = response.status();
        let body = bounded(response).await?;
        if status.is_success() { answer::result(&body) } else { Err(answer::refusal(status, &body)) }
    }

    /// A user's own token goes on; for the others we sign. Nobody in particular has no token.
    fn identified(&self, mut request: RequestBuilder, caller: &Caller) -> Result<RequestBuilder, Error> {
        if let Some(key) = &self.0.key {
            request = request.header("apikey", key.clone());
        }
        let token = match (caller.claims.role, caller.token()) {
            (Role::Anon, _) => return Ok(request),
            (Role::Authenticated, Some(token)) => hidden(&format!("Bearer {}", token.expose()))?,
            (_, _) => {
                let signer = self.0.signer.as_ref();
                let signer = signer.ok_or_else(|| Error::unexpected("no key to sign for this caller with"))?;
                hidden(&format!("Bearer {}", signer.sign(&caller.claims)?))?
            }
        };
        Ok(request.header("authorization", token))
    }
}

/// A header that no log prints.
fn hidden(value: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Error::unexpected("a token holds control characters"))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn bounded(mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Error::unavailable)? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Error::unexpected("an answer is larger than 32 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
