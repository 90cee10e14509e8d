//! Turns after the one that made the plan.

use super::{Outcome, Turn};
use crate::reply;
use domain::{
    launch::{is_variable, variable},
    names::server_slug,
    plan::{
        self, Candidate, Need,
        follow::{Follow, follow},
    },
};
use edge::Error;
use protocol::{
    chat::RequiredCredential,
    plan::{Alternative, Capability},
};
use std::collections::BTreeMap;

impl Turn {
    /// `None`: the message is a request of its own.
    pub(super) async fn follow(&mut self, message: &str, gave: bool) -> Result<Option<Outcome>, Error> {
        let Some(plan) = &self.session.plan else {
            return Ok(gave.then(|| Outcome::Say(reply::STORED.to_owned())));
        };
        let meant = follow(message, plan);
        if !self.session.waits() {
            return Ok(match meant {
                Follow::Yes | Follow::Cancel => Some(Outcome::Say(reply::where_we_are(&self.session))),
                Follow::Add { server, key } => {
                    let outcome = self.add(server, key);
                    // What was refused changes nothing: the agent that there is stays.
                    if matches!(outcome, Outcome::Missing) {
                        self.session.reopen();
                    }
                    Some(outcome)
                }
                // The servers that are there do not have the new variable yet.
                _ if gave && self.extended => {
                    self.session.reopen();
                    Some(self.settle())
                }
                _ if gave => Some(Outcome::Say(reply::STORED.to_owned())),
                _ => None,
            });
        }
        Ok(match meant {
            Follow::Cancel => {
                self.session.clear();
                Some(Outcome::Say(reply::CANCELLED.to_owned()))
            }
            Follow::Use { wanted, instead_of } => Some(self.replace(&wanted, instead_of.as_deref()).await?),
            Follow::Add { server, key } => Some(self.add(server, key)),
            Follow::Without { key } => Some(self.without(&key)),
            Follow::Yes => Some(self.settle()),
            Follow::New if gave || message.trim().is_empty() => Some(self.settle()),
            Follow::New => None,
        })
    }

    fn add(&mut self, server: Option<String>, key: String) -> Outcome {
        if !is_variable(&key) {
            return Outcome::Say(format!("{key} would change how the server is started, so it cannot be set."));
        }
        let chosen = self.session.chosen();
        let target = match (server, chosen.as_slice()) {
            (Some(server), _) => chosen.iter().find(|c| c.server == server).map(|c| c.name.clone()),
            (None, [one]) => Some(one.name.clone()),
            (None, _) => None,
        };
        let Some(target) = target else {
            let names: Vec<&str> = chosen.iter().map(|choice| choice.server.as_str()).collect();
            return Outcome::Say(format!(
                "Which server needs {key}? Say for example: {} needs {key}.",
                names.join(" or ")
            ));
        };
        if let Some(waived) = self.session.waived.get_mut(&target) {
            waived.remove(&key);
        }
        self.session.added.entry(target).or_default().insert(key);
        self.settle()
    }

    fn without(&mut self, key: &str) -> Outcome {
        let named = |missing: &&RequiredCredential| variable(&missing.credential_key) == key;
        let waived: Vec<(String, String)> = {
            let chosen = self.session.chosen();
            let missing = self.session.missing.iter().filter(named);
            let owned = missing.filter_map(|missing| {
                let owner = chosen.iter().find(|choice| choice.server == missing.mcp_server)?;
                Some((owner.name.clone(), missing.credential_key.clone()))
            });
            owned.collect()
        };
        if waived.is_empty() {
            return Outcome::Say(format!("{key} is not among what is missing."));
        }
        for (owner, key) in waived {
            if let Some(added) = self.session.added.get_mut(&owner) {
                added.remove(&key);
            }
            self.session.waived.entry(owner).or_default().insert(key);
        }
        self.settle()
    }

    /// Puts another server in the place of a chosen one, if it is an alternative for that need.
    async fn replace(&mut self, wanted: &str, instead_of: Option<&str>) -> Result<Outcome, Error> {
        let Some(plan) = self.session.plan.clone() else { return Ok(Outcome::Say(reply::HELP.to_owned())) };
        let place = plan.capabilities.iter().enumerate().find_map(|(nth, capability)| {
            let meant = instead_of.is_none_or(|old| is_chosen(capability, old));
            let alternative = capability.alternatives.iter().find(|alternative| is_called(alternative, wanted))?;
            meant.then(|| (nth, alternative.clone()))
        });
        let Some((nth, alternative)) = place else {
            return Ok(Outcome::Say(reply::no_such_alternative(wanted, &plan)));
        };
        let need = plan.capabilities[nth].need.clone();
        let server = self.state.edge.database.catalog_server_get(&self.caller, &alternative.name).await?;
        let candidate =
            Candidate { server, confidence: alternative.confidence, known: 0.0, why: "You asked for it.".to_owned() };
        let rules = plan::Rules { asked: true, ..self.rules() };
        let one = Need { need, candidates: vec![candidate] };
        let mut planned = plan::plan(&plan.request, &[one], &rules, &BTreeMap::new());
        let Some(mut capability) = planned.plan.capabilities.pop() else { return Ok(self.settle()) };
        if capability.chosen.is_none() {
            return Ok(Outcome::Say(capability.reason));
        }
        let old = plan.capabilities[nth].chosen.as_ref();
        capability.alternatives = old
            .map(|c| Alternative { name: c.name.clone(), title: c.title.clone(), confidence: c.confidence })
            .into_iter()
            .chain(plan.capabilities[nth].alternatives.iter().filter(|a| a.name != alternative.name).cloned())
            .collect();
        self.session.entries.extend(planned.chosen.into_iter().map(|(name, prepared)| (name, prepared.server)));
        if let Some(plan) = &mut self.session.plan {
            plan.capabilities[nth] = capability;
        }
        self.give_unique_names();
        Ok(self.settle())
    }

    /// Two servers of one plan are never called the same.
    fn give_unique_names(&mut self) {
        let taken: Vec<String> = self.present.iter().map(|present| present.name.clone()).collect();
        let mut given = BTreeMap::<String, String>::new();
        let Some(plan) = &mut self.session.plan else { return };
        for choice in plan.capabilities.iter_mut().filter_map(|capability| capability.chosen.as_mut()) {
            let present = self.present.iter().find(|p| p.catalog_name.as_ref() == Some(&choice.name));
            let name = match (present, given.get(&choice.name)) {
                (Some(present), _) => present.name.clone(),
                (None, Some(name)) => name.clone(),
                (None, None) => domain::names::unique(&server_slug(&choice.name), |name| {
                    taken.iter().any(|taken| taken == name) || given.values().any(|given| given == name)
                }),
            };
            given.insert(choice.name.clone(), name.clone());
            choice.server = name;
        }
    }
}

fn is_chosen(capability: &Capability, called: &str) -> bool {
    let called = called.to_lowercase();
    capability.chosen.as_ref().is_some_and(|choice| {
        choice.server == called || choice.name.eq_ignore_ascii_case(&called) || choice.title.to_lowercase() == called
    })
}

fn is_called(alternative: &Alternative, called: &str) -> bool {
    let called = called.to_lowercase();
    alternative.name.eq_ignore_ascii_case(&called)
        || server_slug(&alternative.name) == called
        || alternative.title.to_lowercase() == called
}
