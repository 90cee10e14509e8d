//! One turn: read what the user says, plan, see what is missing, make the agent.
//!
//! Round trips to the database: one to open, the search's, two for each credential that is given, one to end (which
//! also makes the agent, in the same transaction).

mod deploy;
mod follow;
pub(crate) mod given;
mod planning;

use crate::{State, events::Reporter, reply, session::Session};
use database::{
    Caller,
    session::{Message, Opened, Present},
    toolbox::Reachable,
};
use domain::{credentials, launch::file};
use edge::Error;
use protocol::{
    chat::{ChatReply, ChatRequest, ChatStatus, RequiredCredential, RequiredFile},
    ids::{AgentId, SessionId},
};
use std::collections::{BTreeMap, BTreeSet};

/// Longest text of one message that is remembered, in characters.
const REMEMBERED_MAX: usize = 16 * 1024;

pub(crate) struct Turn {
    state: State,
    caller: Caller,
    report: Reporter,
    id: SessionId,
    version: i32,
    session: Session,
    present: Vec<Present>,
    /// The only toolbox's state.
    toolbox: Option<String>,
    /// Which keys the vault has, by catalog name.
    stored: BTreeMap<String, BTreeSet<String>>,
    /// Toolboxes with a server that starts again with a new value.
    restarted: Vec<Reachable>,
    /// A chosen server has a variable that it had not before.
    extended: bool,
}

/// How a turn ends.
pub(crate) enum Outcome {
    /// Words about the plan.
    Say(String),
    /// Words that concern no plan.
    Aside(String),
    /// The same, and something is wrong that the user can mend.
    Trouble(String),
    /// The plan waits for what is missing.
    Missing,
    Made {
        agent: AgentId,
        text: String,
    },
}

impl Turn {
    /// Refuses a session that is not there.
    pub(crate) async fn open(
        state: &State,
        caller: Caller,
        request: &ChatRequest,
        new: SessionId,
        report: Reporter,
    ) -> Result<Self, Error> {
        let opened: Opened<Session> = state.edge.database.session_open(&caller, request.session_id).await?;
        let mut stored = BTreeMap::<_, BTreeSet<_>>::new();
        for credential in opened.credentials {
            stored.entry(credential.server).or_default().insert(credential.key);
        }
        let (id, version, mut session) = match opened.session {
            Some(held) => (held.id, held.version, held.state),
            None => (new, 0, Session::default()),
        };
        session.toolbox_id = request.toolbox_id.or(session.toolbox_id);
        Ok(Self {
            state: state.clone(),
            caller,
            report,
            id,
            version,
            session,
            present: opened.servers,
            toolbox: opened.toolbox,
            stored,
            restarted: Vec::new(),
            extended: false,
        })
    }

    /// Does the whole turn. `request` loses its secrets on the way.
    pub(crate) async fn run(mut self, request: ChatRequest) -> Result<ChatReply, Error> {
        let ChatRequest { message, mut credentials, files, .. } = request;
        let message = self.take_from_message(&readable(&message), &mut credentials);
        let gave = !credentials.is_empty() || !files.is_empty();
        let report = self.report.clone();
        let unused = self.sort_files(&files, &mut credentials)?;
        drop(files);
        if !credentials.is_empty() {
            report.step("credentials", self.store(&credentials)).await?;
        }
        drop(credentials);
        let outcome = self.decide(&message, gave).await?;
        let outcome = match outcome {
            Outcome::Missing if self.session.missing.is_empty() => report.step("create", self.deploy(&message)).await?,
            outcome => outcome,
        };
        self.end(&message, outcome, &unused).await
    }

    /// What the message means here.
    async fn decide(&mut self, message: &str, gave: bool) -> Result<Outcome, Error> {
        if let Some(outcome) = self.follow(message, gave).await? {
            return Ok(outcome);
        }
        let report = self.report.clone();
        report.step("plan", self.plan(message)).await
    }

    /// The plan is as it should be: what is still missing for it?
    fn settle(&mut self) -> Outcome {
        self.session.missing = self.missing();
        Outcome::Missing
    }

    fn missing(&self) -> Vec<RequiredCredential> {
        let none = BTreeSet::new();
        let mut missing = Vec::new();
        for choice in self.session.chosen() {
            let Some((entry, launch)) = self.session.launch(&choice.name) else { continue };
            let stored = self.stored.get(&choice.name).unwrap_or(&none);
            let waived = self.session.waived.get(&choice.name).unwrap_or(&none);
            let wanted = credentials::missing(entry, &choice.server, &launch, stored);
            missing.extend(wanted.into_iter().filter(|w| !waived.contains(&w.credential_key)));
            let added = self.session.added.get(&choice.name).unwrap_or(&none);
            let declared = |key: &str| launch.inputs.iter().any(|input| input.key == key && input.required);
            let more = added.iter().filter(|key| !stored.contains(*key) && !declared(key));
            missing.extend(more.map(|key| credentials::added(entry, &choice.server, key)));
        }
        missing
    }

    /// Remembers the turn and answers.
    async fn end(mut self, message: &str, outcome: Outcome, unused: &[String]) -> Result<ChatReply, Error> {
        let status = self.session.status();
        let aside = matches!(outcome, Outcome::Aside(_)) && !self.session.waits();
        let (mut text, status, made) = match outcome {
            Outcome::Say(text) | Outcome::Aside(text) => (text, status, None),
            Outcome::Trouble(text) => (text, ChatStatus::Error, None),
            Outcome::Missing => (reply::missing(&self.session), status, None),
            Outcome::Made { agent, text } => (text, status, Some(agent)),
        };
        text.push_str(&reply::unused_files(unused));
        if made.is_none() {
            let messages = said(message, &text);
            let turn = self.record(&self.session, &messages);
            self.state.edge.database.session_save(&self.caller, &turn).await?;
        }
        futures::future::join_all(self.restarted.iter().map(|one| self.state.wake.toolbox(one.id, &one.gateway))).await;
        self.report.text(&self.id.to_string(), &text);
        let pending = status == ChatStatus::PendingCredentials;
        let missing = if pending { std::mem::take(&mut self.session.missing) } else { Vec::new() };
        let (files, required_credentials): (Vec<_>, _) =
            missing.into_iter().partition(|missing| file(&missing.credential_key).is_some());
        Ok(ChatReply {
            reply: text,
            session_id: self.id,
            required_credentials,
            required_files: files.iter().filter_map(required_file).collect(),
            status,
            agent_created: made.is_some(),
            agent_id: self.session.agent_id.filter(|_| !aside),
            run_id: None,
            plan: self.session.plan.filter(|_| !aside),
        })
    }

    fn record<'t>(&self, session: &'t Session, messages: &'t [Message]) -> database::session::Turn<'t, Session> {
        database::session::Turn { session_id: self.id, version: self.version, state: session, messages }
    }
}

fn required_file(missing: &RequiredCredential) -> Option<RequiredFile> {
    let steps = missing.instructions.iter().map(|step| format!(" {step}")).collect::<String>();
    Some(RequiredFile {
        key: file(&missing.credential_key)?.to_owned(),
        description: format!("For {}: {}.{steps}", missing.mcp_server, missing.description.trim_end_matches('.')),
        file_type: "credential".to_owned(),
    })
}

/// Without controls, which no sentence needs and the database does not keep.
pub(crate) fn readable(message: &str) -> String {
    message.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// What both sides said, as it is remembered.
pub(crate) fn said(message: &str, reply: &str) -> Vec<Message> {
    let bounded = |text: &str| text.chars().take(REMEMBERED_MAX).collect::<String>();
    vec![
        Message { role: "user".to_owned(), content: bounded(message) },
        Message { role: "assistant".to_owned(), content: bounded(reply) },
    ]
}
