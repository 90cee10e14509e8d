//! Short names of servers, and texts of strangers made fit to be shown.
//!
//! A server's short name is what a user types (`time.get_current_time`), what addresses its endpoint (`/mcp/time`) and
//! what separates its tools from others' (`time__get_current_time`), so it has no dot, slash or underscore.

#[cfg(test)]
mod tests;
mod text;

pub use text::{inline, is_invisible};

/// Longest short name, in characters.
pub const SERVER_NAME_MAX: usize = 40;

/// Names that mean something else at the toolbox's gateway or on a command line.
const RESERVED: [&str; 14] = [
    "agentopia",
    "call-tool",
    "dtma",
    "find-tool",
    "healthz",
    "logs",
    "mcp",
    "metrics",
    "need-more-tools",
    "none",
    "server",
    "servers",
    "tools",
    "wake",
];

/// Words that say only that something is a server.
const NOISE: [&str; 9] =
    ["modelcontextprotocol", "mcp", "mcps", "mcpserver", "server", "servers", "latest", "official", "stdio"];

/// True for `[a-z0-9-]{1,40}` that starts and ends with a letter or digit and is not reserved.
pub fn is_server_name(name: &str) -> bool {
    (1..=SERVER_NAME_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !RESERVED.contains(&name)
}

/// The short name for a catalog entry or a package: `io.modelcontextprotocol/time` is `time`, `mcp-server-github` is
/// `github`. Always a valid server name.
pub fn server_slug(identifier: &str) -> String {
    // From the most telling part to the least: the last path segment, then the owner or scope before it.
    let mut parts = identifier.rsplit('/');
    let last = parts.next().unwrap_or_default();
    let before = parts.next().map(|part| part.rsplit('.').next().unwrap_or(part)).unwrap_or_default();
    [last, before]
        .iter()
        .map(|part| slug(part))
        .find(|slug| is_server_name(slug))
        .unwrap_or_else(|| prefixed(&words(last).join("-")))
}

/// `slug`, or with the lowest number after it that makes it free.
pub fn unique(slug: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(slug) {
        return slug.to_owned();
    }
    let mut number = 2_u64;
    loop {
        let suffix = format!("-{number}");
        let kept = cut(slug, SERVER_NAME_MAX - suffix.len());
        let candidate = format!("{kept}{suffix}");
        if !taken(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

fn slug(part: &str) -> String {
    let words = words(part);
    let mut telling = words.iter().enumerate().filter(|(_, word)| !NOISE.contains(&word.as_str()));
    let (Some(first), Some(last)) = (telling.clone().next(), telling.next_back()) else { return String::new() };
    cut(&words[first.0..=last.0].join("-"), SERVER_NAME_MAX).to_owned()
}

/// Lower-case runs of letters and digits; whatever else, and all that is not ASCII, separates.
fn words(part: &str) -> Vec<String> {
    // A tag or digest of an image, or a version of a package, is no name.
    let part = part.trim_start_matches('@');
    let part = part.split(['@', ':']).next().unwrap_or(part);
    part.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_ascii_lowercase).collect()
}

fn prefixed(rest: &str) -> String {
    cut(&format!("server-{}", if rest.is_empty() { "1" } else { rest }), SERVER_NAME_MAX).to_owned()
}

/// At most `max` bytes of an ASCII name, without a dash at the end.
fn cut(name: &str, max: usize) -> &str {
    name[..name.len().min(max)].trim_end_matches('-')
}
