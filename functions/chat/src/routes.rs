use crate::{
    State,
    agent::AgentTurn,
    events::{self, Event, Reporter},
    session::{Session, SessionCreated, SessionMessage, SessionReply},
    turn::{Turn, given},
};
use axum::{
    Json,
    extract::State as From,
    response::{IntoResponse, Response},
};
use edge::{Error, Path, User, request::carry};
use http::{HeaderMap, StatusCode, header};
use protocol::{
    chat::{ChatReply, ChatRequest},
    ids::{RunId, SessionId},
};
use tokio::sync::oneshot;

/// Room for ten files of 64 KiB in base64.
const BODY_MAX: usize = 2 * 1024 * 1024;

/// One turn, as JSON or as events. What cannot become a turn is refused as a problem in both. A turn goes on when its caller
/// leaves: what it has begun is finished, and the session remembers it.
pub(crate) async fn chat(
    user: User,
    headers: HeaderMap,
    From(state): From<State>,
    edge::Json(request): edge::Json<ChatRequest, BODY_MAX>,
) -> Result<Response, Error> {
    let new = SessionId::new();
    if !wants_events(&headers) {
        let turn =
            async move { Either::open(&state, &user, &request, new, Reporter::default()).await?.run(request).await };
        return Ok(Json(tokio::spawn(carry(turn)).await.map_err(Error::internal)??).into_response());
    }
    let (report, received) = Reporter::channel();
    let (begun, begins) = oneshot::channel();
    tokio::spawn(carry(async move {
        let turn = match Either::open(&state, &user, &request, new, report.clone()).await {
            Ok(turn) => turn,
            // Whoever has left needs no refusal.
            Err(error) => return drop(begun.send(Err(error))),
        };
        let _ = begun.send(Ok(()));
        let (thread_id, run_id) = (request.session_id.unwrap_or(new), turn.run_id());
        report.send(Event::RunStarted { thread_id, run_id });
        match turn.run(request).await {
            Ok(reply) => {
                report.send(Event::StateSnapshot { snapshot: Box::new(reply) });
                report.send(Event::RunFinished { thread_id, run_id });
            }
            Err(error) => report.failed(&error),
        }
    }));
    begins.await.map_err(Error::internal)??;
    Ok(events::stream(received))
}

/// A turn that plans, or one that an agent answers.
enum Either {
    Plan(Box<Turn>),
    Agent(Box<AgentTurn>),
}

impl Either {
    async fn open(
        state: &State,
        user: &User,
        request: &ChatRequest,
        new: SessionId,
        report: Reporter,
    ) -> Result<Self, Error> {
        given::check(&request.message, &request.credentials, &request.files)?;
        Ok(match request.agent_id {
            Some(agent) => {
                Self::Agent(Box::new(AgentTurn::open(state, user.caller(), agent, request, new, report).await?))
            }
            None => Self::Plan(Box::new(Turn::open(state, user.caller(), request, new, report).await?)),
        })
    }

    /// A turn that plans is no run that can be asked for later; its events bear an id all the same.
    fn run_id(&self) -> RunId {
        match self {
            Self::Plan(_) => RunId::new(),
            Self::Agent(turn) => turn.run_id(),
        }
    }

    async fn run(self, request: ChatRequest) -> Result<ChatReply, Error> {
        match self {
            Self::Plan(turn) => turn.run(request).await,
            Self::Agent(turn) => turn.run().await,
        }
    }
}

pub(crate) fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("text/event-stream"))
}

pub(crate) async fn create(user: User, From(state): From<State>) -> Result<(StatusCode, Json<SessionCreated>), Error> {
    let made = state.edge.database.session_create(&user.caller(), SessionId::new()).await?;
    Ok((StatusCode::CREATED, Json(SessionCreated { session_id: made.id, created_at: made.created_at })))
}

pub(crate) async fn get(
    user: User,
    Path(id): Path<SessionId>,
    From(state): From<State>,
) -> Result<Json<SessionReply>, Error> {
    let read = state.edge.database.session_get::<Session>(&user.caller(), id).await?;
    let messages = read.messages.into_iter().map(|said| SessionMessage {
        role: said.message.role,
        content: said.message.content,
        at: said.at,
    });
    Ok(Json(SessionReply {
        id: read.id,
        created_at: read.created_at,
        updated_at: read.updated_at,
        status: read.state.status(),
        agent_id: read.state.agent_id,
        messages: messages.collect(),
        required_credentials: read.state.missing,
        plan: read.state.plan,
    }))
}

pub(crate) async fn delete(
    user: User,
    Path(id): Path<SessionId>,
    From(state): From<State>,
) -> Result<StatusCode, Error> {
    state.edge.database.session_delete(&user.caller(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
