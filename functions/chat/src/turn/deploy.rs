//! Nothing is missing: the agent is made and its servers are asked for.

use super::{Outcome, Turn, said};
use crate::{reply, session::Session};
use database::{agent::NewAgent, server::Wanted};
use domain::{launch::Launch, names::inline};
use edge::Error;
use protocol::ids::AgentId;
use std::collections::BTreeSet;

const NAME_MAX: usize = 60;

impl Turn {
    /// The agent, its servers, its grants and the session's end state, in one transaction; then the toolbox is woken.
    pub(super) async fn deploy(&mut self, message: &str) -> Result<Outcome, Error> {
        let Some(plan) = self.session.plan.clone() else { return Ok(Outcome::Say(reply::HELP.to_owned())) };
        let servers: Vec<Wanted> =
            self.session.chosen().into_iter().filter_map(|c| self.wanted(&c.name, &c.server)).collect();
        if servers.is_empty() {
            return Ok(Outcome::Say(reply::nothing_fits(&plan, false)));
        }
        let agent = NewAgent {
            name: inline(&plan.request, NAME_MAX),
            request: plan.request.clone(),
            plan: Some(plan),
            workflow: None,
            toolbox_id: self.session.toolbox_id,
            servers,
        };
        let text = reply::made(&self.session, &self.hosts(), self.toolbox.as_deref());
        let messages = said(message, &text);
        let turn = self.record(&self.session, &messages);
        let made = match self.state.edge.database.session_agent_create(&self.caller, &turn, &agent).await {
            Ok(made) => made,
            // Something that the user can mend, such as having no toolbox: the plan stays, and "yes" tries again.
            Err(database::Error::Conflict { message, fix }) if !is_race(&message) => {
                return Ok(Outcome::Trouble(format!(
                    "The plan is ready, but the agent could not be made: {message} {fix} Then say yes."
                )));
            }
            Err(error) => return Err(error.into()),
        };
        rename(&mut self.session, &made.servers);
        self.session.agent_id = Some(made.agent_id);
        if let Some(old) = self.session.replaces.take() {
            self.retire(old).await;
        }
        if let Some(gateway) = &made.gateway {
            self.state.wake.toolbox(made.toolbox_id, gateway).await;
        }
        Ok(Outcome::Made {
            agent: made.agent_id,
            text: reply::made(&self.session, &self.hosts(), self.toolbox.as_deref()),
        })
    }

    /// The agent that the new one replaces; servers that both use stay.
    async fn retire(&self, old: AgentId) {
        if let Err(error) = self.state.edge.database.agent_delete(&self.caller, old).await {
            // Its user may have deleted it already.
            tracing::debug!(%old, %error, "the agent before was not deleted");
        }
    }

    fn wanted(&self, name: &str, short: &str) -> Option<Wanted> {
        let (_, launch) = self.session.launch(name)?;
        let stored = self.stored.get(name).cloned().unwrap_or_default();
        let waived = self.session.waived.get(name).cloned().unwrap_or_default();
        let added = self.session.added.get(name).cloned().unwrap_or_default();
        let mut env = launch.plain_env(&stored);
        let mut secrets: BTreeSet<String> = launch.secrets(&stored).into_iter().chain(added).collect();
        for key in waived.difference(&stored) {
            secrets.remove(key);
            // What would be made of it is not set either.
            env.retain(|_, value| !value.contains(&format!("{{{key}}}")));
        }
        Some(Wanted {
            name: None,
            suggested: short.to_owned(),
            catalog_name: Some(name.to_owned()),
            pinned: false,
            args: launch.args.clone(),
            env,
            hosts: launch.hosts.clone(),
            secrets: secrets.into_iter().collect(),
            source: launch.source,
        })
    }

    /// Servers that may connect to the outside.
    fn hosts(&self) -> Vec<(String, Launch)> {
        let chosen = self.session.chosen().into_iter();
        chosen.filter_map(|c| Some((c.server.clone(), self.session.launch(&c.name)?.1))).collect()
    }
}

/// Of two turns of one session at the same time, the later one is refused as a whole.
fn is_race(message: &str) -> bool {
    message.starts_with("Another message in this session")
}

/// The names that the servers got in the end: somebody else's deployment may have been quicker.
fn rename(session: &mut Session, made: &[database::agent::MadeServer]) {
    let names: Vec<(String, String)> =
        session.chosen().iter().map(|c| c.name.clone()).zip(made.iter().map(|server| server.name.clone())).collect();
    let Some(plan) = &mut session.plan else { return };
    for choice in plan.capabilities.iter_mut().filter_map(|capability| capability.chosen.as_mut()) {
        if let Some((_, name)) = names.iter().find(|(catalog, _)| *catalog == choice.name) {
            choice.server = name.clone();
        }
    }
}
