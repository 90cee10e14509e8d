//! Entries that are the same server under another name.

use super::Entry;
use crate::text::words;
use std::collections::HashSet;

/// What was seen so far, best first: the first of twins stays.
#[derive(Default)]
pub(super) struct Twins(HashSet<String>);

impl Twins {
    pub(super) fn is_new(&mut self, entry: &Entry) -> bool {
        let Keys { same, name } = keys(entry);
        // Two servers may have one name; a server and its republished copy are one.
        let copied = name.as_ref().is_some_and(|(called, fork)| {
            self.0.contains(&format!("fork {called}")) || (*fork && self.0.contains(&format!("original {called}")))
        });
        if copied || same.iter().any(|key| self.0.contains(key)) {
            return false;
        }
        self.0.extend(same);
        self.0.extend(name.map(|(called, fork)| format!("{} {called}", if fork { "fork" } else { "original" })));
        true
    }
}

struct Keys {
    /// Entries that share one are the same.
    same: Vec<String>,
    /// What the package is called without its republisher's prefix, and whether it had one.
    name: Option<(String, bool)>,
}

/// Words of a description that nearly every entry has.
const COMMON: [&str; 14] =
    ["a", "an", "the", "mcp", "server", "model", "context", "protocol", "for", "to", "that", "and", "with", "simple"];
/// Before a name: it was published again by somebody else.
const REPUBLISHERS: [&str; 4] = ["iflow-mcp-", "mseep-", "mcpbind-", "universal-mcp-"];

fn keys(entry: &Entry) -> Keys {
    let mut same = Vec::new();
    for description in entry.descriptions() {
        let description = words(description);
        let mut telling: Vec<&str> =
            description.iter().map(String::as_str).filter(|word| !COMMON.contains(word)).collect();
        telling.sort_unstable();
        telling.dedup();
        if telling.len() > 2 {
            same.push(format!("words {}", telling.join(" ")));
        }
        same.push(format!("text {}", description.join(" ")));
    }
    let name = entry.package.as_ref().map(|package| {
        let last = package.rsplit(['/', ':']).next().unwrap_or_default().replace(['_', '.'], "-");
        let original = REPUBLISHERS.iter().find_map(|prefix| last.strip_prefix(prefix));
        (original.unwrap_or(&last).to_owned(), original.is_some() || entry.fork)
    });
    same.extend(entry.package.as_ref().map(|package| format!("package {package}")));
    Keys { same, name }
}
