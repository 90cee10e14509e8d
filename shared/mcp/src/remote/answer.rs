//! Reading what a server answers, in either form, until the answer that is wanted is there.

use super::{Bridge, LONGEST_PAUSE, PAUSE, events::Events, failure::Failure};
use crate::{json::Limits, message::Message};
use reqwest::{Response, StatusCode, header::CONTENT_TYPE};
use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// How long a stream may go on after it has brought its answer, so that its connection can be used again.
const REST: Duration = Duration::from_secs(1);

/// The request whose answer a body is expected to hold: its id as JSON text, and its method.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) id: &'a str,
    pub(super) method: &'a str,
}

/// Where a stream of events was when it broke off.
#[derive(Default)]
pub(super) struct Place {
    pub(super) last: Option<String>,
    pub(super) retry: Option<Duration>,
}

impl Bridge {
    pub(super) async fn answer(&self, response: Response, wanted: Wanted<'_>) -> Result<(), Failure> {
        let status = response.status();
        if status == StatusCode::NOT_FOUND && self.agreed.session().is_some() {
            return Err(Failure::Lost);
        }
        if status.is_success() && is(&response, "text/event-stream") {
            return self.follow(response, wanted).await;
        }
        let refused = match status {
            _ if status.is_success() => Failure::NoAnswer,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::Credentials(status),
            _ => Failure::Status(status),
        };
        if !is(&response, "application/json") {
            return Err(refused);
        }
        let body = self.bounded(response).await?;
        let Ok(message) = Message::parse(&body, Limits::ANSWER) else { return Err(refused) };
        match message.error() {
            _ if message.is_answer() && message.id().is_some_and(|id| id.as_json() == wanted.id) => {
                self.agreed.learn(wanted.method, message.text());
                self.say(&body).await;
            }
            // A refusal may name no request (JSON-RPC 2.0, section 5); this can only be about ours.
            Some(error) => {
                let id = wanted.id;
                self.say(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}").as_bytes()).await;
            }
            None => return Err(refused),
        }
        Ok(())
    }

    /// Reads a stream until it brings the answer, also where it breaks off in between.
    async fn follow(&self, mut response: Response, wanted: Wanted<'_>) -> Result<(), Failure> {
        let mut place = Place::default();
        loop {
            if self.read(&mut response, &mut place, Some(wanted)).await? {
                // The answer is through; what is left is at most the end of the stream.
                let _ = timeout(REST, async { while let Ok(Some(_)) = response.chunk().await {} }).await;
                return Ok(());
            }
            // Without an id there is nothing that it could be taken up at.
            if place.last.is_none() {
                return Err(Failure::Broken);
            }
            sleep(place.retry.unwrap_or(PAUSE).min(LONGEST_PAUSE)).await;
            response = self.get(&place).await?;
            if !response.status().is_success() || !is(&response, "text/event-stream") {
                return Err(Failure::Broken);
            }
        }
    }

    /// Passes on what a stream brings, until its end or the answer; true with the answer.
    pub(super) async fn read(
        &self,
        response: &mut Response,
        place: &mut Place,
        wanted: Option<Wanted<'_>>,
    ) -> Result<bool, Failure> {
        let mut events = Events::new(self.endpoint.max_message);
        let mut coming = self.coming();
        loop {
            while let Some(event) = events.next().map_err(|_| Failure::Spoilt)? {
                place.last = event.id.or(place.last.take());
                place.retry = event.retry.or(place.retry);
                if event.data.is_empty() {
                    continue;
                }
                let answered = wanted.filter(|wanted| {
                    let message = Message::parse(event.data.as_bytes(), Limits::ANSWER);
                    message.is_ok_and(|m| m.is_answer() && m.id().is_some_and(|id| id.as_json() == wanted.id))
                });
                if let Some(wanted) = answered {
                    self.agreed.learn(wanted.method, &event.data);
                }
                self.say(event.data.as_bytes()).await;
                if answered.is_some() {
                    return Ok(true);
                }
            }
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    events.push(&chunk);
                    coming.are(events.held())?;
                }
                Ok(None) | Err(_) => return Ok(false),
            }
        }
    }

    async fn bounded(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        let mut coming = self.coming();
        while let Some(chunk) = response.chunk().await? {
            coming.are(body.len() + chunk.len())?;
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn coming(&self) -> Coming<'_> {
        Coming { all: &self.coming, own: 0, most: self.endpoint.max_message }
    }
}

/// What one answer adds to all that is on its way.
struct Coming<'a> {
    all: &'a AtomicUsize,
    own: usize,
    most: usize,
}

impl Coming<'_> {
    fn are(&mut self, bytes: usize) -> Result<(), Failure> {
        let all = self.all.fetch_add(bytes, Relaxed) + bytes - self.own;
        self.all.fetch_sub(std::mem::replace(&mut self.own, bytes), Relaxed);
        if bytes > self.most || all > 4 * self.most { Err(Failure::Spoilt) } else { Ok(()) }
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Relaxed);
    }
}

pub(super) fn is(response: &Response, kind: &str) -> bool {
    let said = response.headers().get(CONTENT_TYPE).and_then(|said| said.to_str().ok()).unwrap_or_default();
    said.split(';').next().is_some_and(|said| said.trim().eq_ignore_ascii_case(kind))
}
