//! One attempt to run a server: from its image to its end.

mod prepare;

use super::{Tail, Workshop, offer, task::Holding, with_source};
use crate::{
    docker::{self, labels},
    ledger::Pin,
    packages::Installed,
};
use prepare::Prepared;
use protocol::server::{ServerSpec, ServerState};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

/// From the start of its container until its tools are listed.
const ANSWER: Duration = Duration::from_secs(30);
/// For a container whose output ended to end too.
const LAST_WORDS: Duration = Duration::from_secs(3);
const GRACE: u32 = 2;

/// While Docker does not answer.
const LOOK: Duration = Duration::from_secs(2);
/// Times that a container which an earlier daemon started, and which runs still, is taken over again before it is given up: it
/// may be busy with one call for a while, or the way to it may not be free at once.
const TRIES: u32 = 5;

/// What the end of an attempt says of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It ended, or could not be begun.
    Over,
    /// Only the way to it ended; the container runs on.
    StillRuns,
    /// Docker does not answer.
    Unknown,
}

/// How an attempt ended.
pub(super) struct Ended {
    pub(super) end: End,
    pub(super) detail: String,
    pub(super) exit_code: Option<i64>,
    pub(super) log: Vec<String>,
    /// Its tools were listed.
    pub(super) listed: bool,
    pub(super) ran: Duration,
}

pub(super) struct Attempt {
    shop: Arc<Workshop>,
    spec: ServerSpec,
    digest: String,
    holding: Holding,
    tail: Tail,
    /// Further requirements for the package, and whether they were tried.
    with: Vec<String>,
    tried: bool,
    installed: Option<Installed>,
    pinning: Option<Pin>,
    /// How long a container had run when it was adopted.
    ran_before: Duration,
    lost: u32,
}

/// Why there is nothing to end yet.
struct Stopped {
    detail: String,
    exit_code: Option<i64>,
    log: Option<Vec<String>>,
    /// It was Docker that failed, not the server.
    docker: bool,
    /// It was Docker that did not answer.
    unknown: bool,
}

impl From<String> for Stopped {
    fn from(detail: String) -> Self {
        Self { detail, exit_code: None, log: None, docker: false, unknown: false }
    }
}

impl From<docker::Error> for Stopped {
    fn from(error: docker::Error) -> Self {
        // Pipes that are gone stay so, whatever Docker says.
        let docker = !matches!(error, docker::Error::Pipes { .. });
        Self { docker, unknown: error.is_unreachable(), ..error.to_string().into() }
    }
}

struct LastWords {
    end: End,
    exit_code: Option<i64>,
    /// When there is more to say than is known already.
    detail: Option<String>,
}

impl Attempt {
    pub(super) fn new(shop: Arc<Workshop>, spec: ServerSpec, digest: String, holding: Holding, tail: Tail) -> Self {
        Self {
            shop,
            spec,
            digest,
            holding,
            tail,
            with: vec![],
            tried: false,
            installed: None,
            pinning: None,
            ran_before: Duration::ZERO,
            lost: 0,
        }
    }

    /// Attempts in a row without its tools.
    pub(super) fn lost(&self) -> u32 {
        self.lost
    }

    pub(super) async fn once(&mut self, adopt: Option<String>) -> Ended {
        let begun = Instant::now();
        self.tail.begin();
        let mut listed = None;
        let adopted = adopt.is_some();
        let stopped = match self.live(adopt, &mut listed).await {
            Ok(()) => Stopped::from("it ended".to_owned()),
            Err(stopped) => stopped,
        };
        self.lost = if listed.is_some() { 0 } else { self.lost + 1 };
        let way = stopped.docker || adopted && self.lost <= TRIES;
        let unknown = if stopped.unknown { End::Unknown } else { End::Over };
        let (end, exit_code, detail) = match self.last_words(listed.is_some(), way).await {
            Some(LastWords { end, exit_code, detail }) => {
                let end = if end == End::Over { unknown } else { end };
                (end, exit_code.or(stopped.exit_code), detail.unwrap_or(stopped.detail))
            }
            None => (unknown, stopped.exit_code, stopped.detail),
        };
        let ran = listed.map_or(Duration::ZERO, |_: Instant| self.ran_before + begun.elapsed());
        Ended {
            end,
            detail,
            exit_code,
            log: stopped.log.unwrap_or_else(|| self.tail.report()),
            listed: listed.is_some(),
            ran,
        }
    }

    /// Many Python servers were written for the first generation of the `mcp` package and do not bound it: one that dies with
    /// a traceback under a newer one is installed once more with the older.
    pub(super) fn another_way(&mut self, ended: &Ended) -> bool {
        let newer = self.installed.as_ref().and_then(|i| i.mcp.as_deref()).is_some_and(|v| !v.starts_with(['0', '1']));
        let traceback = ended.log.iter().any(|line| line.contains("Error") || line.contains("Traceback"));
        if ended.end != End::Over || ended.listed || self.tried || !newer || !traceback {
            return false;
        }
        self.tried = true;
        self.with = vec!["mcp<2".into()];
        tracing::info!(server = %self.spec.name, "trying again with mcp<2");
        true
    }

    async fn live(&mut self, adopt: Option<String>, listed: &mut Option<Instant>) -> Result<(), Stopped> {
        let shop = self.shop.clone();
        let adopted = adopt.is_some();
        let Prepared { container, secrets, given } = match adopt {
            Some(container) => {
                // Also when it cannot be offered yet.
                self.holding.set(Some(container.clone()));
                self.adopt(container).await?
            }
            None => self.create().await?,
        };
        self.holding.set(Some(container.clone()));
        self.tail.hide(secrets.iter());
        let (engine, tail, id) = (shop.engine.clone(), self.tail.clone(), container.clone());
        let attaching = async move { engine.attach(&id, Box::new(move |bytes| tail.push(bytes))).await };
        let mut attached = shop.wire.run(attaching).await?;
        if let Some(given) = given {
            shop.engine.start(&container).await?;
            let giving = async move { attached.give(&given).await.map(|()| attached) };
            let gave = timeout(ANSWER, shop.wire.run(giving)).await;
            // Its own fault: what started it does not read.
            attached =
                gave.map_err(|_| "it took nothing of what it is given".to_owned())?.map_err(|e| with_source(&e))?;
        }
        // Longer than ours below, so that ours is the one that speaks.
        let options = mcp::connection::Options { handshake: ANSWER * 2, resume: adopted, ..Default::default() };
        let opening = async move { offer::open(attached.output, attached.input, options).await };
        let opened = timeout(ANSWER, shop.wire.run(opening)).await;
        let opened = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(mcp::Error::Closed)) => return Err("it ended before its tools were listed".to_owned().into()),
            Ok(Err(error)) => return Err(with_source(&error).into()),
            Err(_) => return Err(format!("it did not list its tools within {} s", ANSWER.as_secs()).into()),
        };
        *listed = Some(Instant::now());
        if let Some(pin) = self.pinning.as_mut().filter(|_| !self.with.is_empty()) {
            pin.with = self.with.clone();
            self.pin();
        }
        let started_at = async { shop.engine.exit(&container).await.ok().and_then(|exit| exit.started_at) };
        offer::until_it_ends(&shop, &self.spec, opened, secrets, started_at).await;
        Ok(())
    }

    /// Reported only when there is no failure to show: otherwise that stays until the server runs.
    fn state(&self, state: ServerState, detail: Option<String>) {
        self.shop.statuses.update(self.spec.id, |status| {
            if !matches!(status.state, ServerState::Failed | ServerState::BackingOff) {
                status.state = state;
                status.detail = detail;
            }
        });
    }

    /// What Docker says of the container's end; a container that ended is removed, so that the next attempt begins anew.
    /// `None` when there is no container.
    async fn last_words(&self, listed: bool, way: bool) -> Option<LastWords> {
        let container = self.holding.get()?;
        let engine = &self.shop.engine;
        // An error is the engine's; then the state is asked for all the same.
        let _ = engine.ended(&container, LAST_WORDS).await;
        let exit = match engine.exit(&container).await {
            Ok(exit) => Some(exit),
            // Somebody removed it.
            Err(docker::Error::NotFound(_)) => None,
            Err(error) => {
                return Some(LastWords { end: End::Unknown, exit_code: None, detail: Some(error.to_string()) });
            }
        };
        // It served until now, or Docker did not lead to it: what broke is the way, as when dockerd restarts and leaves
        // containers alone. Such a container is never replaced.
        if (listed || way) && exit.as_ref().is_some_and(|exit| exit.running) {
            return Some(LastWords { end: End::StillRuns, exit_code: None, detail: None });
        }
        let removed = async {
            engine.stop(&container, GRACE).await?;
            engine.remove(&container).await
        };
        match removed.await {
            Ok(()) => self.holding.set(None),
            Err(error) => tracing::warn!(server = %self.spec.name, %error, "an ended container could not be removed"),
        }
        let exit = exit.filter(|exit| !exit.running);
        let memory = if exit.as_ref().is_some_and(|exit| exit.out_of_memory) { " (out of memory)" } else { "" };
        let exit_code = exit.and_then(|exit| exit.code);
        let detail = exit_code.map(|code| match listed {
            true => format!("it exited with code {code}{memory}"),
            false => format!("it exited with code {code}{memory} before its tools were listed"),
        });
        Some(LastWords { end: End::Over, exit_code, detail })
    }

    /// Waits until Docker answers; then the container, when it runs still.
    pub(super) async fn once_docker_answers(&self) -> Option<String> {
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(container) = self.holding.get() else {
                match self.shop.engine.containers(self.shop.toolbox).await {
                    Ok(_) => return None,
                    Err(_) => continue,
                }
            };
            match self.shop.engine.exit(&container).await {
                Ok(exit) if exit.running => return Some(container),
                Ok(_) | Err(docker::Error::NotFound(_)) => return None,
                Err(_) => {}
            }
        }
    }

    fn name(&self) -> String {
        labels::name(self.shop.toolbox, self.spec.id)
    }
}
