//! A server behind a URL (streamable HTTP), made to look like one behind a pair of byte streams, so that a `Connection` can
//! be opened over it: each line that goes in is a request of its own, and what comes back, in whatever form, becomes lines.
//!
//! One task takes the lines, one for each message waits for what comes of it, one listens for what the server says by itself
//! where there is a session. All end with the streams.

mod agreed;
mod answer;
pub(crate) mod events;
mod failure;
pub(crate) mod headers;

use crate::{
    code,
    connection::lines::{Line, Lines},
    json::Limits,
    message::Message,
    reply,
};
use agreed::Agreed;
use answer::{Place, Wanted, is};
use bytes::Bytes;
use failure::Failure;
use reqwest::{
    Response, StatusCode,
    header::{ACCEPT, HeaderMap, HeaderValue},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
    time::Duration,
};
use tokio::{
    io::{AsyncWriteExt, DuplexStream, duplex},
    sync::{Notify, mpsc},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, timeout},
};

/// Bytes on their way through either stream.
const PIPE: usize = 256 << 10;
/// Messages of the server that wait to be read.
const QUEUE: usize = 64;
/// The longest line that is sent; a `Connection` bounds its requests lower.
const LONGEST: usize = 64 << 20;
/// For what is only told, and for a farewell.
const TOLD: Duration = Duration::from_secs(30);
const FAREWELL: Duration = Duration::from_secs(2);
/// Until a stream that broke off is taken up again, where the server says nothing else, and at most.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Where a server is. It has no `Debug`: the URL and the headers may hold credentials.
pub struct Endpoint {
    /// It follows no redirects, or credentials would go elsewhere.
    pub http: reqwest::Client,
    pub url: reqwest::Url,
    /// With every request.
    pub headers: HeaderMap,
    /// Longest message that the server may send. Of all together, four times as much may be on its way.
    pub max_message: usize,
}

/// What `Connection::open` wants.
pub struct Streams {
    pub output: DuplexStream,
    pub input: DuplexStream,
}

/// Nothing is sent before something is written.
pub fn streams(endpoint: Endpoint) -> Streams {
    let (output, answers) = duplex(PIPE);
    let (input, lines) = duplex(PIPE);
    let (say, said) = mpsc::channel(QUEUE);
    tokio::spawn(write(answers, said));
    let bridge = Bridge {
        endpoint,
        agreed: Agreed::default(),
        say,
        under_way: Mutex::default(),
        coming: AtomicUsize::new(0),
        lost: Notify::new(),
    };
    tokio::spawn(Arc::new(bridge).run(lines));
    Streams { output, input }
}

struct Bridge {
    endpoint: Endpoint,
    agreed: Agreed,
    /// Towards whoever reads the lines.
    say: mpsc::Sender<Bytes>,
    /// Requests by their ids, to be ended when they are cancelled.
    under_way: Mutex<HashMap<String, AbortHandle>>,
    /// Bytes of messages that are not whole yet.
    coming: AtomicUsize,
    /// The server is not there, or has forgotten the session.
    lost: Notify,
}

/// The request whose answer is a stream of what changes.
const SUBSCRIBE: &str = "subscriptions/listen";

impl Bridge {
    async fn run(self: Arc<Self>, lines: DuplexStream) {
        let mut lines = Lines::new(lines, LONGEST);
        let mut tasks = JoinSet::new();
        loop {
            let line = tokio::select! {
                // Cancel-safe: what was read of a line stays in the buffer.
                line = lines.next() => line,
                // Cancel-safe: work that is not joined stays in the set.
                Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
                // Cancel-safe: a permit is kept.
                () = self.lost.notified() => break,
            };
            match line {
                Ok(Some(Line::Whole(line))) => self.take(&mut tasks, line).await,
                Ok(Some(Line::TooLong(_))) => {}
                Ok(None) | Err(_) => break,
            }
        }
        tasks.shutdown().await;
        if self.agreed.session().is_some() {
            let farewell = self.endpoint.http.delete(self.endpoint.url.clone());
            let farewell = farewell.headers(self.endpoint.headers.clone()).headers(headers::common(&self.agreed));
            // Whoever does not hear it forgets the session in time.
            let _ = timeout(FAREWELL, farewell.send()).await;
        }
    }

    async fn take(self: &Arc<Self>, tasks: &mut JoinSet<()>, line: Bytes) {
        let Ok(message) = Message::parse(&line, Limits::ANSWER) else { return };
        match (message.method.as_deref(), message.id()) {
            (Some(_), Some(id)) => {
                let (bridge, sent, id) = (self.clone(), line.clone(), id.as_json().to_owned());
                let mut under_way = self.under_way();
                let task = tasks.spawn(async move {
                    bridge.request(&sent).await;
                });
                under_way.insert(id, task);
            }
            // Whatever comes next may only come after it.
            (Some("notifications/initialized"), None) => {
                self.tell(&line).await;
                tasks.spawn(self.clone().listen());
            }
            (Some("notifications/cancelled"), None) => {
                if let Some(task) = message.request_id().and_then(|id| self.under_way().remove(id)) {
                    task.abort();
                }
                // A stateless server sees that nobody listens any more.
                if self.agreed.version().is_some() {
                    let bridge = self.clone();
                    tasks.spawn(async move { bridge.tell(&line).await });
                }
            }
            _ => {
                let bridge = self.clone();
                tasks.spawn(async move { bridge.tell(&line).await });
            }
        }
    }

    /// Sends a request; its answer, or why there is none, becomes a line.
    async fn request(&self, line: &Bytes) {
        let Ok(message) = Message::parse(line, Limits::ANSWER) else { return };
        let (Some(id), Some(method)) = (message.id(), message.method.as_deref()) else { return };
        let wanted = Wanted { id: id.as_json(), method };
        let result = match method {
            SUBSCRIBE => self.subscribe(line, &message, wanted).await,
            _ => self.exchange(line, &message, wanted, &[]).await,
        };
        let id = wanted.id;
        self.under_way().remove(id);
        if let Err(failure) = result {
            tracing::debug!(%failure, method, "a remote server gave no answer");
            self.say(&reply::error(Some(id), code::INTERNAL, &failure.to_string(), None)).await;
            // What has not begun cannot end: then the error is all that there is to say.
            let begun = !matches!(method, "initialize" | "server/discover");
            if begun && matches!(failure, Failure::Lost | Failure::Away(_)) {
                self.lost.notify_one();
            }
        }
    }

    /// `before` is said once the server takes the request.
    async fn exchange(
        &self,
        line: &Bytes,
        message: &Message<'_>,
        wanted: Wanted<'_>,
        before: &[Value],
    ) -> Result<(), Failure> {
        let response = self.post(line, message).await?;
        if response.status().is_success() {
            if wanted.method == "initialize"
                && let Some(session) = response.headers().get(headers::SESSION)
            {
                self.agreed.begin_session(session.clone());
            }
            for said in before {
                self.say(said.to_string().as_bytes()).await;
            }
        }
        self.answer(response, wanted).await
    }

    /// A stateless server's stream of what changes: asked for again each time that it breaks off. What may have changed
    /// meanwhile is said to have changed.
    async fn subscribe(&self, line: &Bytes, message: &Message<'_>, wanted: Wanted<'_>) -> Result<(), Failure> {
        let (mut missed, mut pause) = (Vec::new(), PAUSE);
        loop {
            let begun = Instant::now();
            match self.exchange(line, message, wanted, &missed).await {
                Err(Failure::Broken | Failure::Broke(_)) => {}
                Err(Failure::Status(status)) if status.is_server_error() => {}
                over => return over,
            }
            missed = changes(message);
            pause = longer(pause, begun);
            sleep(pause).await;
        }
    }

    /// Sends what has no answer.
    async fn tell(&self, line: &Bytes) {
        let Ok(message) = Message::parse(line, Limits::ANSWER) else { return };
        match timeout(TOLD, self.post(line, &message)).await {
            Ok(Ok(response)) if response.status().is_success() => {}
            Ok(Ok(response)) => tracing::debug!(status = %response.status(), "a remote server took no notification"),
            Ok(Err(failure)) => tracing::debug!(%failure, "a remote server was not told"),
            Err(_) => tracing::debug!("a remote server was not told in time"),
        }
    }

    async fn post(&self, line: &Bytes, message: &Message<'_>) -> Result<Response, Failure> {
        let request = self.endpoint.http.post(self.endpoint.url.clone()).headers(self.endpoint.headers.clone());
        Ok(request.headers(headers::of(message, &self.agreed)).body(line.clone()).send().await?)
    }

    /// Hears what the server says outside of answers, for as long as there is a session; a server may have no such stream.
    async fn listen(self: Arc<Self>) {
        let (mut place, mut pause) = (Place::default(), PAUSE);
        loop {
            let begun = Instant::now();
            match self.get(&place).await {
                Ok(mut response) if response.status().is_success() && is(&response, "text/event-stream") => {
                    if self.read(&mut response, &mut place, None).await.is_err() {
                        return;
                    }
                }
                Ok(response) if response.status() == StatusCode::NOT_FOUND && self.agreed.session().is_some() => {
                    return self.lost.notify_one();
                }
                Ok(response) if response.status().is_server_error() => {}
                Ok(_) => return,
                Err(Failure::Away(_)) => return self.lost.notify_one(),
                Err(failure) => tracing::debug!(%failure, "a remote server's own stream is not to be had"),
            }
            pause = longer(pause, begun);
            sleep(place.retry.unwrap_or(pause).clamp(PAUSE, LONGEST_PAUSE)).await;
        }
    }

    async fn get(&self, place: &Place) -> Result<Response, Failure> {
        let mut own = headers::common(&self.agreed);
        own.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(Ok(last)) = place.last.as_deref().map(HeaderValue::from_str) {
            own.insert(headers::LAST_EVENT, last);
        }
        let request = self.endpoint.http.get(self.endpoint.url.clone()).headers(self.endpoint.headers.clone());
        Ok(request.headers(own).send().await?)
    }

    /// Waits while whoever reads is behind.
    async fn say(&self, text: &[u8]) {
        // A break between two tokens of JSON is a space; none stands inside of one.
        let line: Vec<u8> = text.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
        // Whoever read is gone, and this task with it soon.
        let _ = self.say.send(line.into()).await;
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, AbortHandle>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause after this one: of a stream that had lasted, the first again.
fn longer(pause: Duration, begun: Instant) -> Duration {
    if begun.elapsed() > LONGEST_PAUSE { PAUSE } else { (pause * 2).min(LONGEST_PAUSE) }
}

/// Everything that a subscription is about, as if it had changed.
fn changes(message: &Message<'_>) -> Vec<Value> {
    let params: Value = serde_json::from_str(message.params().unwrap_or("{}")).unwrap_or_default();
    let wanted = &params["notifications"];
    let lists =
        ["tools", "prompts", "resources"].into_iter().filter(|kind| wanted[format!("{kind}ListChanged")] == true);
    let lists = lists.map(|kind| json!({"jsonrpc": "2.0", "method": format!("notifications/{kind}/list_changed")}));
    let resources = wanted["resourceSubscriptions"].as_array().into_iter().flatten();
    let updated = |uri| json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}});
    lists.chain(resources.map(updated)).collect()
}

async fn write(mut answers: DuplexStream, mut said: mpsc::Receiver<Bytes>) {
    while let Some(line) = said.recv().await {
        if answers.write_all(&line).await.is_err() || answers.write_all(b"\n").await.is_err() {
            return;
        }
    }
}
