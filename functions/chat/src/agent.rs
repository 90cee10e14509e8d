//! A turn that an existing agent answers, by a run of it.

use crate::{
    State,
    events::{Event, Reporter},
    runner::Begun,
    turn::{readable, said},
};
use database::Caller;
use domain::credentials::redact;
use edge::Error;
use protocol::{
    chat::{ChatReply, ChatRequest, ChatStatus},
    ids::{AgentId, RunId, SessionId},
};
use runtime::{Ended, Entry};
use std::sync::Mutex;
use uuid::Uuid;

pub(crate) struct AgentTurn {
    state: State,
    caller: Caller,
    report: Reporter,
    agent: AgentId,
    id: SessionId,
    message: String,
    run: Begun,
}

impl AgentTurn {
    pub(crate) async fn open(
        state: &State,
        caller: Caller,
        agent: AgentId,
        request: &ChatRequest,
        new: SessionId,
        report: Reporter,
    ) -> Result<Self, Error> {
        if !request.credentials.is_empty() || !request.files.is_empty() {
            return Err(Error::invalid(
                "A message to an agent carries no credentials and no files.",
                "Store them with POST /api/vault/credentials, or leave agent_id out.",
            ));
        }
        let message = redact(&readable(&request.message), &[]);
        let (id, begins) = request.session_id.map_or((new, true), |id| (id, false));
        let run = state.runner.begin(state, caller.clone(), agent, Some((id, begins)), message.clone()).await?;
        Ok(Self { state: state.clone(), caller, report, agent, id, message, run })
    }

    pub(crate) fn run_id(&self) -> RunId {
        self.run.row.id
    }

    pub(crate) async fn run(self) -> Result<ChatReply, Error> {
        let run_id = self.run_id();
        let speaking = Mutex::new(None);
        let report = self.report.clone();
        let outcome = self.run.drive(&|entry| show(&report, &speaking, entry)).await.map_err(Error::internal)?;
        let status = if outcome.ended == Ended::Finished { ChatStatus::Success } else { ChatStatus::Error };
        if outcome.ended != Ended::Finished {
            self.report.text(&Uuid::now_v7().to_string(), &outcome.text);
        }
        let messages = said(&self.message, &outcome.text);
        match self.state.edge.database.session_say(&self.caller, self.id, &messages).await {
            // Its user has deleted the conversation meanwhile; what the agent did is told all the same.
            Ok(()) | Err(database::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(ChatReply {
            reply: outcome.text,
            session_id: self.id,
            required_credentials: Vec::new(),
            required_files: Vec::new(),
            status,
            agent_created: false,
            agent_id: Some(self.agent),
            run_id: Some(run_id),
            plan: None,
        })
    }
}

/// An entry of the journal as AG-UI events. `speaking` is the text message that is open.
fn show(report: &Reporter, speaking: &Mutex<Option<String>>, entry: &Entry) {
    let text = |key: &str| entry.data.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    // A panic in another holder leaves nothing half done here.
    let mut speaking = speaking.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match entry.kind {
        "model.delta" if !text("text").is_empty() => {
            let message_id = speaking.clone().unwrap_or_else(|| {
                let message_id = Uuid::now_v7().to_string();
                report.send(Event::TextMessageStart { message_id: message_id.clone(), role: "assistant" });
                message_id
            });
            *speaking = Some(message_id.clone());
            report.send(Event::TextMessageContent { message_id, delta: text("text") });
        }
        "model.answered" | "run.finished" => {
            if let Some(message_id) = speaking.take() {
                report.send(Event::TextMessageEnd { message_id });
            }
        }
        "tool.called" => {
            let tool_call_id = text("id");
            report.send(Event::ToolCallStart { tool_call_id: tool_call_id.clone(), tool_call_name: text("tool") });
            let delta = entry.data.get("arguments").map(ToString::to_string).unwrap_or_default();
            report.send(Event::ToolCallArgs { tool_call_id: tool_call_id.clone(), delta });
            report.send(Event::ToolCallEnd { tool_call_id });
        }
        "tool.returned" => report.send(Event::ToolCallResult {
            message_id: Uuid::now_v7().to_string(),
            tool_call_id: text("id"),
            content: text("output"),
            role: "tool",
        }),
        _ => {}
    }
}
