//! From what was found for each need to a plan: one chosen server for each, or none and why.
//!
//! A need is never filled with the nearest wrong thing: below [`Rules::threshold`] nothing is chosen. Servers that a
//! toolbox cannot run, or that it could only try to sign in to, are alternatives at most; those that their publisher gave
//! up, or whose package nobody could confirm, are not even that. One that everybody knows is chosen although its publisher
//! maintains it no longer, and that is said: what would come next is some stranger's, and would get the same keys.

pub mod follow;
#[cfg(test)]
mod tests;

use crate::{
    credentials::title,
    launch::{Launch, Refusal, launch},
    names::{inline, server_slug, unique},
};
use protocol::{
    catalog::ServerJson,
    plan::{Alternative, Capability, Choice, Plan},
    server::Source,
};
use std::collections::{BTreeMap, BTreeSet};

const ALTERNATIVES_MAX: usize = 4;
const REASON_MAX: usize = 300;
const NEED_MAX: usize = 200;
/// So well known are the seed's, and what is downloaded as often as those.
const WELL_KNOWN: f32 = 0.9;

/// What was found for one need, best first.
#[derive(Clone, Debug)]
pub struct Need {
    pub need: String,
    pub candidates: Vec<Candidate>,
}

#[derive(Clone, Debug)]
pub struct Candidate {
    pub server: ServerJson,
    /// The chance that it does what the need asks, 0 to 1.
    pub confidence: f32,
    /// How well known it is, 0 to 1.
    pub known: f32,
    pub why: String,
}

#[derive(Clone, Debug)]
pub struct Rules {
    /// Least confidence of a server that is chosen unasked.
    pub threshold: f32,
    /// The user asked for the candidates by name: they need not be sure enough, and may be tried.
    pub asked: bool,
    /// Servers that the user already has: catalog name to short name. They keep it.
    pub present: BTreeMap<String, String>,
    /// Short names that the user's other servers have.
    pub taken: BTreeSet<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { threshold: crate::rank::ANSWERED, asked: false, present: BTreeMap::new(), taken: BTreeSet::new() }
    }
}

impl Rules {
    fn is_sure(&self, candidate: &Candidate) -> bool {
        self.asked || candidate.confidence >= self.threshold
    }
}

/// A plan, and the entry and launch of every server that it chose, by catalog name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Planned {
    pub plan: Plan,
    pub chosen: BTreeMap<String, Prepared>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    pub server: ServerJson,
    pub launch: Launch,
}

/// Why a candidate is not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unfit {
    #[error("its publisher gave it up")]
    GivenUp,
    #[error("nobody could confirm that its package is what it says")]
    Unconfirmed,
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("it is a service at its publisher's address that does not say how one signs in")]
    SignIn,
}

/// How a candidate would be run.
fn fit(candidate: &Candidate, asked: bool) -> Result<Launch, Unfit> {
    if is_unmaintained(candidate) && candidate.known < WELL_KNOWN {
        return Err(Unfit::GivenUp);
    }
    let meta = &candidate.server.meta;
    if meta.get("io.agentopia/unverified").and_then(serde_json::Value::as_bool) == Some(true) {
        return Err(Unfit::Unconfirmed);
    }
    let launch = launch(&candidate.server)?;
    if launch.address().is_some() && launch.inputs_unknown && !asked {
        return Err(Unfit::SignIn);
    }
    Ok(launch)
}

fn is_unmaintained(candidate: &Candidate) -> bool {
    candidate.server.meta.get("io.agentopia/status").and_then(|status| status.as_str()) == Some("deprecated")
}

/// Makes the plan. `picks` are catalog names that a language model or the user prefers, by need; one that is not among
/// that need's candidates, or that may not be chosen, changes nothing.
pub fn plan(request: &str, needs: &[Need], rules: &Rules, picks: &BTreeMap<usize, String>) -> Planned {
    // Which candidates may be chosen for which need; the same server may be so for several.
    let fitting: Vec<Vec<(&Candidate, Launch)>> = needs
        .iter()
        .map(|need| {
            let good = need.candidates.iter().filter(|candidate| rules.is_sure(candidate));
            good.filter_map(|candidate| Some((candidate, fit(candidate, rules.asked).ok()?))).collect()
        })
        .collect();
    let mut naming = Naming { rules, given: BTreeMap::new() };
    let mut planned =
        Planned { plan: Plan { request: request.to_owned(), capabilities: Vec::new() }, ..Planned::default() };
    for (nth, need) in needs.iter().enumerate() {
        let wanted = picks.get(&nth).and_then(|name| fitting[nth].iter().find(|(c, _)| &c.server.name == name));
        let best = wanted.or_else(|| preferred(&fitting, nth));
        let chosen = best.map(|(candidate, launch)| {
            let prepared = Prepared { server: candidate.server.clone(), launch: launch.clone() };
            planned.chosen.insert(candidate.server.name.clone(), prepared);
            choice(candidate, launch, &mut naming)
        });
        let reason = match best {
            Some((candidate, _)) if is_unmaintained(candidate) => {
                format!("{}; its publisher maintains it no longer", inline(&candidate.why, REASON_MAX))
            }
            Some((candidate, _)) => inline(&candidate.why, REASON_MAX),
            None => none_reason(need, rules),
        };
        planned.plan.capabilities.push(Capability {
            need: inline(&need.need, NEED_MAX),
            alternatives: alternatives(need, chosen.as_ref(), rules.threshold),
            chosen,
            reason,
        });
    }
    planned
}

/// How much less confident than the best a server may be to be preferred for what else speaks for it.
const NEAR: f32 = 0.15;
/// The same for one that is preferred because it serves another need too.
const SHARING: f32 = 0.08;

/// Among those nearly as sure as the best for this need, the one that most speaks for.
fn preferred<'a>(fitting: &'a [Vec<(&'a Candidate, Launch)>], nth: usize) -> Option<&'a (&'a Candidate, Launch)> {
    let serves = |name: &str| {
        let lists = fitting.iter().filter(|list| near(list, SHARING).any(|(c, _)| c.server.name == name));
        lists.count().saturating_sub(1) as f32
    };
    // The first of equals: candidates come best first.
    near(&fitting[nth], NEAR)
        .fold(None, |kept: Option<(f32, &(&Candidate, Launch))>, next| {
            let (candidate, launch) = next;
            let worth = candidate.confidence + merit(candidate, launch) + 0.2 * serves(&candidate.server.name);
            match kept {
                Some((best, _)) if best >= worth => kept,
                _ => Some((worth, next)),
            }
        })
        .map(|(_, best)| best)
}

fn near<'a>(list: &'a [(&'a Candidate, Launch)], margin: f32) -> impl Iterator<Item = &'a (&'a Candidate, Launch)> {
    let best = list.iter().map(|(c, _)| c.confidence).fold(f32::MIN, f32::max);
    list.iter().filter(move |(c, _)| c.confidence >= best - margin)
}

/// What speaks for a server beside that it fits: it is well known; it says which keys it wants, so that they can be asked
/// for before it fails; it needs no image registry and nobody else's machine; its user has little to look up.
fn merit(candidate: &Candidate, launch: &Launch) -> f32 {
    let required = || launch.inputs.iter().filter(|input| input.required);
    let says_its_keys = if required().any(|input| input.secret) { 0.06 } else { 0.0 };
    let settings = required().filter(|input| !input.secret).count().min(2) as f32;
    let elsewhere = if matches!(launch.source, Source::Oci { .. } | Source::Remote { .. }) { 0.1 } else { 0.0 };
    0.12 * candidate.known + says_its_keys - 0.05 * settings - elsewhere
}

fn choice(candidate: &Candidate, launch: &Launch, naming: &mut Naming<'_>) -> Choice {
    Choice {
        name: candidate.server.name.clone(),
        title: title(&candidate.server),
        server: naming.name(&candidate.server),
        confidence: candidate.confidence.clamp(0.0, 1.0),
        package: launch.package.clone(),
        inputs_unknown: launch.inputs_unknown,
    }
}

/// Gives each server of the plan one short name.
struct Naming<'a> {
    rules: &'a Rules,
    given: BTreeMap<String, String>,
}

impl Naming<'_> {
    fn name(&mut self, server: &ServerJson) -> String {
        if let Some(name) = self.rules.present.get(&server.name).or_else(|| self.given.get(&server.name)) {
            return name.clone();
        }
        let name = unique(&server_slug(&server.name), |name| {
            self.rules.taken.contains(name) || self.given.values().any(|given| given == name)
        });
        self.given.insert(server.name.clone(), name.clone());
        name
    }
}

/// What else does it, surely enough: the nearest wrong thing is no alternative either.
fn alternatives(need: &Need, chosen: Option<&Choice>, threshold: f32) -> Vec<Alternative> {
    let sure = need.candidates.iter().filter(|c| c.confidence >= threshold);
    let others = sure.filter(|c| chosen.is_none_or(|chosen| chosen.name != c.server.name));
    // What nobody could confirm, or what its publisher gave up, is not even proposed.
    let proper = others.filter(|c| !matches!(fit(c, false), Err(Unfit::GivenUp | Unfit::Unconfirmed)));
    proper
        .take(ALTERNATIVES_MAX)
        .map(|c| Alternative {
            name: c.server.name.clone(),
            title: title(&c.server),
            confidence: c.confidence.clamp(0.0, 1.0),
        })
        .collect()
}

fn none_reason(need: &Need, rules: &Rules) -> String {
    match need.candidates.first() {
        None => "Nothing in the catalog does this.".to_owned(),
        Some(best) if !rules.is_sure(best) => {
            "Nothing in the catalog fits well enough to be chosen unasked.".to_owned()
        }
        Some(best) => match fit(best, rules.asked) {
            Err(why) => format!("{} would fit, but {why}.", title(&best.server)),
            Ok(_) => "Nothing in the catalog fits well enough to be chosen unasked.".to_owned(),
        },
    }
}
