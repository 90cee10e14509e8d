//! What the chat says. Names, titles and reasons come from strangers: they are shown on one line, bounded, and never as
//! anything else than text.

use crate::session::Session;
use domain::{
    launch::{Launch, file, host},
    names::inline,
};
use protocol::plan::{Capability, Plan};
use std::fmt::Write;

const HOST_MAX: usize = 120;

pub(crate) const HELP: &str = "Tell me what should be done, in a sentence or two: for example, \"Create a ticket in Linear \
     whenever a new GitHub issue is opened\". I find the servers that can do it, ask for the keys that are missing, and \
     run them on your own machine.";
pub(crate) const CANCELLED: &str =
    "The plan is dropped; nothing was created. Tell me whenever you want something else done.";
pub(crate) const STORED: &str = "It is stored, encrypted, in your vault. Servers that use it start again with it.";

/// Nothing was chosen. `no_match`: the message asks for nothing that a server could do.
pub(crate) fn nothing_fits(plan: &Plan, no_match: bool) -> String {
    if no_match || plan.capabilities.is_empty() {
        return format!("I see nothing in this that a server in the catalog could do. {HELP}");
    }
    let mut text = String::from("I found no server that fits well enough, so I have created nothing.\n");
    for capability in &plan.capabilities {
        none(&mut text, capability);
    }
    text.push_str("Try other words, or name a product; importing the full catalog (agentopia catalog import) adds thousands of servers.");
    text
}

/// What is chosen, and what is still wanted.
pub(crate) fn missing(session: &Session) -> String {
    let mut text = chosen(session);
    let files = session.missing.iter().filter(|wanted| file(&wanted.credential_key).is_some()).count();
    let counts = [(session.missing.len() - files, "value"), (files, "file")];
    let counts: Vec<String> =
        counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| counted(count, what)).collect();
    let _ = writeln!(text, "\nBefore I can create the agent I need {}:", counts.join(" and "));
    for wanted in &session.missing {
        let (key, what) = match file(&wanted.credential_key) {
            Some(key) => (key, "the file "),
            None => (wanted.credential_key.as_str(), ""),
        };
        let _ = writeln!(text, "- {what}{key} for {}: {}", wanted.mcp_server, wanted.description);
    }
    text.push_str("Each is stored encrypted and reaches only the server that it is for, on your own machine.");
    text
}

/// The agent is there. `toolbox` is how the machine is that runs its servers.
pub(crate) fn made(session: &Session, launches: &[(String, Launch)], toolbox: Option<&str>) -> String {
    let mut text = chosen(session);
    let names: Vec<&str> = launches.iter().map(|(name, _)| name.as_str()).collect();
    let request = session.plan.as_ref().map(|plan| inline(&plan.request, 200)).unwrap_or_default();
    let _ = writeln!(text, "\nI have created the agent for: {request}");
    let (subject, is) = if names.len() == 1 { ("Its server", "is") } else { ("Its servers", "are") };
    let doing = match launches.iter().all(|(_, launch)| launch.address().is_some()) {
        true => "being connected to from your machine now",
        false => "being deployed in Docker on your machine now",
    };
    let when = match toolbox {
        Some("pending") => "will be deployed as soon as a machine has enrolled as your toolbox".to_owned(),
        Some("offline") => {
            "will be deployed as soon as your machine checks in again, which it has not done lately (see: agentopia doctor)"
                .to_owned()
        }
        _ => format!("{is} {doing}"),
    };
    let _ = writeln!(text, "{subject} {} {when}.", names.join(" and "));
    for (name, launch) in launches {
        let reach = match launch.hosts.as_slice() {
            [] if launch.address().is_some() => "runs at its publisher's, and not on your machine".to_owned(),
            [] => "has no network".to_owned(),
            hosts if hosts.iter().any(|host| host == "*") => {
                "may reach public addresses, and nothing in your network".to_owned()
            }
            hosts => format!("may reach {} only", hosts.join(", ")),
        };
        let _ = writeln!(text, "- {name} {reach}.");
    }
    text.push_str("See the tools with: agentopia tools");
    text
}

/// The state of a session that was asked nothing new.
pub(crate) fn where_we_are(session: &Session) -> String {
    match session.agent_id {
        Some(agent) => format!("The agent {agent} is there already. See its tools with: agentopia tools"),
        None => missing(session),
    }
}

pub(crate) fn no_such_alternative(wanted: &str, plan: &Plan) -> String {
    let mut text = format!("{} is not among the alternatives. These are:\n", inline(wanted, 80));
    for capability in &plan.capabilities {
        let names: Vec<&str> = capability.alternatives.iter().map(|a| a.name.as_str()).collect();
        let _ = writeln!(
            text,
            "- {}: {}",
            capability.need,
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        );
    }
    text.push_str("Say for example: use NAME instead of the one that is chosen.");
    text
}

pub(crate) fn unused_files(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!("\nNot used: {}. Only credentials that a server asks for are kept.", names.join(", "))
}

fn chosen(session: &Session) -> String {
    let mut text = String::from("This is the plan:\n");
    for capability in session.plan.iter().flat_map(|plan| &plan.capabilities) {
        let Some(choice) = &capability.chosen else {
            none(&mut text, capability);
            continue;
        };
        // No measurement is certainty.
        let sure = (choice.confidence * 100.0).round().min(99.0);
        let _ = writeln!(
            text,
            "- {}: {} ({}), {sure} % sure. {}",
            capability.need, choice.title, choice.server, capability.reason
        );
        if let Some(host) = choice.address().and_then(host) {
            let _ = writeln!(
                text,
                "  It is a service at {}: what the agent gives it leaves your machine.",
                inline(host, HOST_MAX)
            );
        }
        if choice.inputs_unknown {
            let _ = writeln!(
                text,
                "  It does not say what it needs. If it wants a key, say: {} needs THE_KEY.",
                choice.server
            );
        }
    }
    text
}

fn none(text: &mut String, capability: &Capability) {
    let _ = writeln!(text, "- {}: none. {}", capability.need, capability.reason);
    if !capability.alternatives.is_empty() {
        let names: Vec<&str> = capability.alternatives.iter().map(|alternative| alternative.name.as_str()).collect();
        let _ = writeln!(text, "  Perhaps: {}. To try one, say: use {}", names.join(", "), names[0]);
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("one {noun}") } else { format!("{count} {noun}s") }
}
