//! A user's account at DigitalOcean, as far as toolboxes' machines are concerned: found, made and destroyed by their tag.

use super::failure::Failure;
use protocol::chat::Secret;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// A page of 200 droplets, each some kilobytes.
const REPLY: usize = 2 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(5);
/// Of what DigitalOcean says, for a person.
const WORDS: usize = 300;
/// A wait that is told to us and not longer is waited here; the rest is the caller's.
const PATIENCE: u32 = 5;
const WAITS: u32 = 2;
/// What a client is told to wait at most, and when DigitalOcean does not say how long.
const LONGEST: u32 = 3600;
const UNSAID: u32 = 60;
/// The image whose firewall and packages `infra/cloud-init.yaml` counts on.
const IMAGE: &str = "ubuntu-24-04-x64";

/// Where DigitalOcean answers.
pub(super) struct Api {
    client: reqwest::Client,
    base: Url,
}

/// One attempt's dealings with one account.
pub(super) struct Account<'a> {
    pub(super) api: &'a Api,
    pub(super) token: &'a Secret,
    /// All of them end by then.
    pub(super) until: Instant,
}

#[derive(Deserialize)]
struct Droplet {
    id: u64,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Listed {
    droplets: Vec<Droplet>,
}

#[derive(Deserialize)]
struct Created {
    droplet: Droplet,
}

pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) tag: &'a str,
    pub(super) region: &'a str,
    pub(super) size: &'a str,
    pub(super) user_data: &'a Secret,
}

impl Api {
    /// `base` must be https, or this machine's loopback. The token goes there and is never sent on to where that leads.
    pub(super) fn new(base: &str) -> Option<Self> {
        let base = Url::parse(base).ok()?;
        let loopback = base.host_str() == Some("127.0.0.1");
        if base.scheme() != "https" && !loopback {
            return None;
        }
        let builder = reqwest::Client::builder().connect_timeout(CONNECT).redirect(reqwest::redirect::Policy::none());
        let builder = if loopback { builder.no_proxy() } else { builder.https_only(true) };
        Some(Self { client: builder.build().ok()?, base })
    }
}

impl Account<'_> {
    /// The droplets that carry the tag, the oldest first.
    pub(super) async fn find(&self, tag: &str) -> Result<Vec<u64>, Failure> {
        let url = self.url(&[], &[("tag_name", tag), ("per_page", "200")])?;
        let listed: Listed = read(self.send(self.api.client.get(url)).await?, self.until).await?;
        let ours = listed.droplets.into_iter().filter(|droplet| droplet.tags.iter().any(|held| held == tag));
        let mut ids: Vec<_> = ours.map(|droplet| droplet.id).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    pub(super) async fn create(&self, wanted: &Wanted<'_>) -> Result<u64, Failure> {
        let body = json!({
            "name": wanted.name, "region": wanted.region, "size": wanted.size, "image": IMAGE,
            "tags": ["agentopia", wanted.tag], "user_data": wanted.user_data.expose(),
            // It would need a port of its own.
            "with_droplet_agent": false,
        });
        let request = self.api.client.post(self.url(&[], &[])?).json(&body);
        let created: Created = read(self.send(request).await?, self.until).await?;
        Ok(created.droplet.id)
    }

    /// Destroys what carries the tag, and nothing else. What is gone already is well.
    pub(super) async fn destroy(&self, tag: &str) -> Result<(), Failure> {
        self.delete(self.url(&[], &[("tag_name", tag)])?).await
    }

    /// Destroys one droplet that [`Self::find`] has found.
    pub(super) async fn destroy_one(&self, id: u64) -> Result<(), Failure> {
        self.delete(self.url(&[&id.to_string()], &[])?).await
    }

    async fn delete(&self, url: Url) -> Result<(), Failure> {
        let reply = self.sent(self.api.client.delete(url)).await?;
        if reply.status() == StatusCode::NOT_FOUND { Ok(()) } else { accepted(reply, self.until).await.map(drop) }
    }

    fn url(&self, under: &[&str], query: &[(&str, &str)]) -> Result<Url, Failure> {
        let mut url = self.api.base.clone();
        let mut path = url.path_segments_mut().map_err(|()| Failure::Silent("the address takes no path".into()))?;
        path.pop_if_empty().extend(["v2", "droplets"]).extend(under);
        drop(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        accepted(self.sent(request).await?, self.until).await
    }

    /// With a reply of any status. Where DigitalOcean asks for a short wait, it is waited for.
    async fn sent(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let request = request.bearer_auth(self.token.expose().trim());
        let mut waits = 0;
        loop {
            let again = request.try_clone().ok_or_else(|| Failure::Silent("a request cannot be repeated".into()))?;
            let reply = timeout_at(self.until, again.send()).await.map_err(|late| Failure::Silent(late.into()))?;
            let reply = reply.map_err(unanswered)?;
            if reply.status() != StatusCode::TOO_MANY_REQUESTS {
                return Ok(reply);
            }
            let seconds = retry_after(&reply);
            let ready = Instant::now() + Duration::from_secs(seconds.into());
            if seconds > PATIENCE || waits == WAITS || ready >= self.until {
                return Err(Failure::Busy(seconds));
            }
            waits += 1;
            sleep(Duration::from_secs(seconds.into())).await;
        }
    }
}

/// Whether a request may have been carried out is what counts.
fn unanswered(error: reqwest::Error) -> Failure {
    if error.is_builder() {
        // What cannot stand in a header is no token.
        return Failure::Token;
    }
    if error.is_connect() { Failure::Unreachable(error) } else { Failure::Silent(error.into()) }
}

fn retry_after(reply: &Response) -> u32 {
    let said = reply.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
    said.map_or(UNSAID, |seconds: u32| seconds.clamp(1, LONGEST))
}

async fn accepted(reply: Response, until: Instant) -> Result<Response, Failure> {
    let status = reply.status();
    if status.is_success() {
        return Ok(reply);
    }
    let why = read::<Value>(reply, until).await.ok();
    let why = words(why.as_ref().and_then(|body| body["message"].as_str()).unwrap_or(status.as_str()));
    Err(match status {
        StatusCode::UNAUTHORIZED => Failure::Token,
        StatusCode::FORBIDDEN => Failure::Rights(why),
        StatusCode::REQUEST_TIMEOUT => Failure::Silent(why.into()),
        status if status.is_client_error() => Failure::Refused(why),
        status => Failure::Silent(format!("{status}: {why}").into()),
    })
}

/// Another's words as one line that cannot move a cursor.
fn words(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS).collect()
}

async fn read<T: for<'a> Deserialize<'a>>(mut reply: Response, until: Instant) -> Result<T, Failure> {
    let mut body = Vec::new();
    let chunk = async |reply: &mut Response| match timeout_at(until, reply.chunk()).await {
        Ok(chunk) => chunk.map_err(|error| Failure::Silent(error.into())),
        Err(late) => Err(Failure::Silent(late.into())),
    };
    while let Some(part) = chunk(&mut reply).await? {
        if body.len() + part.len() > REPLY {
            return Err(Failure::Silent("an answer of more than 2 MiB".into()));
        }
        body.extend_from_slice(&part);
    }
    serde_json::from_slice(&body).map_err(|error| Failure::Silent(error.into()))
}
