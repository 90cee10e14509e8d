//! What a call of a tool can do at worst.
//!
//! The name decides first: its verb, or `Destructive` when it has none that is known. What the server says of itself in
//! `annotations` (MCP, "Tool annotations": hints, untrusted) may only raise that. So a server that calls its
//! `delete_everything` read-only gains nothing, and one that warns is believed. A `readOnlyHint` on a tool with an
//! unknown name is fit to be shown to a person, and changes no class.

#[cfg(test)]
mod tests;

use protocol::capability::RiskClass::{self, *};
use serde_json::Value;

const READ: &[&str] = &[
    "get",
    "list",
    "read",
    "search",
    "find",
    "describe",
    "show",
    "view",
    "lookup",
    "count",
    "check",
    "compare",
    "diff",
    "convert",
    "calculate",
    "explain",
    "validate",
    "browse",
    "inspect",
    "preview",
    "status",
    "open",
    "peek",
    "tail",
    "head",
    "grep",
    "stat",
    "echo",
    "ping",
    "help",
    "analyze",
    "analyse",
    "resolve",
    "retrieve",
    "load",
    "tree",
];
const WRITE: &[&str] = &[
    "create", "add", "set", "update", "write", "edit", "insert", "put", "append", "save", "store", "move", "rename",
    "copy", "merge", "comment", "assign", "enable", "disable", "start", "upsert", "commit", "label", "fork", "tag",
    "record", "remember", "register", "schedule", "import", "mkdir", "make", "new", "pin", "mark", "link", "toggle",
];
const DESTRUCTIVE: &[&str] = &[
    "delete",
    "remove",
    "drop",
    "destroy",
    "truncate",
    "clear",
    "purge",
    "reset",
    "kill",
    "wipe",
    "revoke",
    "cancel",
    "archive",
    "overwrite",
    "uninstall",
    "unpublish",
    "erase",
    "replace",
    "terminate",
    "stop",
    "forget",
    "unlink",
];
const EGRESS: &[&str] = &[
    "send",
    "post",
    "publish",
    "upload",
    "tweet",
    "fetch",
    "download",
    "request",
    "notify",
    "share",
    "invite",
    "navigate",
    "push",
    "reply",
    "email",
    "forward",
    "crawl",
    "scrape",
    "broadcast",
    "deploy",
];
const EXEC: &[&str] = &["run", "exec", "execute", "eval", "evaluate", "shell", "bash", "spawn", "invoke", "sudo"];

/// Words that raise the class wherever they stand in a name: `get_and_delete`, `search_web`, `list_then_exec`.
const TELLING: &[(&[&str], RiskClass)] = &[
    (DESTRUCTIVE, Destructive),
    (&["web", "url", "urls", "http", "https", "webhook", "internet", "online", "email"], Egress),
    (&["exec", "execute", "eval", "shell", "bash", "terminal", "command", "sudo"], Exec),
];

/// The class of a tool by its name and its definition as the server gave it.
pub fn classify(name: &str, definition: &Value) -> RiskClass {
    by_name(name).max(by_annotations(&definition["annotations"]))
}

fn by_name(name: &str) -> RiskClass {
    let words = words(name);
    // The first word that is a verb: what stands before it is the product, as in `slack_post_message`.
    let verb = words.iter().find_map(|word| verb(word)).unwrap_or(Destructive);
    let told = words.iter().flat_map(|word| {
        TELLING.iter().filter(move |(list, _)| list.contains(&word.as_str())).map(|(_, class)| *class)
    });
    told.fold(verb, RiskClass::max)
}

fn verb(word: &str) -> Option<RiskClass> {
    [(READ, Read), (WRITE, Write), (DESTRUCTIVE, Destructive), (EGRESS, Egress), (EXEC, Exec)]
        .into_iter()
        .find_map(|(list, class)| list.contains(&word).then_some(class))
}

fn by_annotations(annotations: &Value) -> RiskClass {
    let says = |hint: &str, value: bool| annotations[hint].as_bool() == Some(value);
    [
        (says("readOnlyHint", false), Write),
        (says("destructiveHint", true), Destructive),
        (says("openWorldHint", true), Egress),
    ]
    .into_iter()
    .filter_map(|(said, class)| said.then_some(class))
    .fold(Read, RiskClass::max)
}

/// `getTinyImage`, `get-tiny-image` and `get_tiny_image` are the same three words.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars().take(256) {
        if !c.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase()) {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}
