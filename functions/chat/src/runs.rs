//! Runs of agents without a conversation, and every run's journal.

use crate::{State, turn::readable};
use axum::{
    Json,
    extract::State as From,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event as Line, KeepAlive},
    },
};
use database::{Caller, Database, run::Journal};
use edge::{Error, Path, User, request::carry};
use futures::stream;
use http::{HeaderMap, StatusCode};
use protocol::{
    ids::{AgentId, RunId},
    run::{Run, RunCreate, RunReply, RunState},
};
use std::{collections::VecDeque, convert::Infallible, time::Duration};
use tokio::time::Instant;

/// Between two looks at a journal that has nothing new.
const POLL: Duration = Duration::from_millis(300);
/// A stream ends then; its reader comes back with `Last-Event-ID`.
const STREAM_MAX: Duration = Duration::from_secs(14 * 60);

/// Starts a run. In one process it goes on by itself and this answers at once; where the process stops with the answer,
/// this answers when the run has ended.
pub(crate) async fn create(
    user: User,
    Path(agent): Path<AgentId>,
    From(state): From<State>,
    edge::Json(request): edge::Json<RunCreate>,
) -> Result<(StatusCode, Json<Run>), Error> {
    let caller = user.caller();
    if request.message.len() > 8 * 1024 {
        return Err(Error::invalid("The message is longer than 8 KiB.", "Say it in fewer words."));
    }
    let message = domain::credentials::redact(&readable(&request.message), &[]);
    let begun = state.runner.begin(&state, caller.clone(), agent, None, message).await?;
    let row = begun.row.clone();
    if state.background {
        tokio::spawn(carry(async move {
            if let Err(error) = begun.drive(&|_| {}).await {
                tracing::error!(%error, "a run ended without its journal");
            }
        }));
        return Ok((StatusCode::ACCEPTED, Json(row)));
    }
    begun.drive(&|_| {}).await.map_err(Error::internal)?;
    Ok((StatusCode::OK, Json(state.edge.database.run_get(&caller, row.id).await?.run)))
}

pub(crate) async fn get(user: User, Path(id): Path<RunId>, From(state): From<State>) -> Result<Json<RunReply>, Error> {
    Ok(Json(state.edge.database.run_get(&user.caller(), id).await?))
}

pub(crate) async fn cancel(user: User, Path(id): Path<RunId>, From(state): From<State>) -> Result<Json<Run>, Error> {
    Ok(Json(state.edge.database.run_cancel(&user.caller(), id).await?))
}

/// The journal as server-sent events, until the run has ended.
pub(crate) async fn events(
    user: User,
    Path(id): Path<RunId>,
    headers: HeaderMap,
    From(state): From<State>,
) -> Result<Response, Error> {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let after = last.map_or(Ok(0), str::parse).map_err(|_| {
        Error::malformed(
            "Last-Event-ID is not a number.",
            "Send the id of the last event that you have, or leave it out.",
        )
    })?;
    let caller = user.caller();
    let first = state.edge.database.run_event_list(&caller, id, after).await?;
    let mut reader = Reader {
        database: state.edge.database.clone(),
        caller,
        id,
        after,
        ready: VecDeque::new(),
        ended: false,
        until: Instant::now() + STREAM_MAX,
    };
    reader.take(first);
    let lines = stream::unfold(reader, |mut reader| async move {
        reader.next().await.map(|line| (Ok::<_, Infallible>(line), reader))
    });
    Ok(Sse::new(lines).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response())
}

struct Reader {
    database: Database,
    caller: Caller,
    id: RunId,
    after: i64,
    ready: VecDeque<Line>,
    /// Nothing will be added to the journal any more.
    ended: bool,
    until: Instant,
}

impl Reader {
    fn take(&mut self, journal: Journal) {
        // Events and state were read in one statement: an ended run with no events left has no more.
        self.ended = journal.run.state != RunState::Running && journal.events.is_empty();
        for event in journal.events {
            self.after = event.sequence;
            let data = serde_json::to_string(&event).unwrap_or_default();
            self.ready.push_back(Line::default().id(event.sequence.to_string()).event(event.kind).data(data));
        }
    }

    async fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            if self.ended || Instant::now() > self.until {
                return None;
            }
            let journal = match self.database.run_event_list(&self.caller, self.id, self.after).await {
                Ok(journal) => journal,
                // The reader comes back and reads on from where it was.
                Err(_) => return None,
            };
            let waits = journal.events.is_empty() && journal.run.state == RunState::Running;
            self.take(journal);
            if waits {
                tokio::time::sleep(POLL).await;
            }
        }
    }
}
