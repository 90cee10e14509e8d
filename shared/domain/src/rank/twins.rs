//! Entries that are the same server under another name.

use super::Entry;
use crate::text::words;
use std::collections::HashSet;

/// What was seen so far, best first: the first of twins stays.
#[derive(Default)]
pub(super) struct Twins(HashSet<String>);

impl Twins {
    pub(super) fn is_new(&mut self, entry: &Entry) -> bool {
        let keys = keys(entry);
        if keys.iter().any(|key| self.0.contains(key)) {
            return false;
        }
        self.0.extend(keys);
        true
    }
}

/// Words of a description that nearly every entry has.
const COMMON: [&str; 14] =
    ["a", "an", "the", "mcp", "server", "model", "context", "protocol", "for", "to", "that", "and", "with", "simple"];
/// Before a name: it was published again by somebody else.
const REPUBLISHERS: [&str; 4] = ["iflow-mcp-", "mseep-", "mcpbind-", "universal-mcp-"];

fn keys(entry: &Entry) -> Vec<String> {
    let mut keys = Vec::with_capacity(4);
    let description = words(&entry.description);
    keys.push(format!("text {}", description.join(" ")));
    let mut telling: Vec<&str> = description.iter().map(String::as_str).filter(|word| !COMMON.contains(word)).collect();
    telling.sort_unstable();
    telling.dedup();
    if telling.len() > 2 {
        keys.push(format!("words {}", telling.join(" ")));
    }
    if let Some(package) = &entry.package {
        keys.push(format!("package {package}"));
        let last = package.rsplit(['/', ':']).next().unwrap_or_default().replace(['_', '.'], "-");
        let original = REPUBLISHERS.iter().find_map(|prefix| last.strip_prefix(prefix)).unwrap_or(&last);
        keys.push(format!("called {original}"));
    }
    keys
}
