//! A server that its publisher runs: the address and the headers are all that there is to say.

use super::{Launch, Refusal, check, inputs::Inputs, says_all_inputs};
use protocol::{
    catalog::{Package, Remote, ServerJson},
    server::Source,
};
use std::collections::BTreeMap;

const ADDRESS_MAX: usize = 1000;

pub(super) fn prepare(server: &ServerJson, remote: &Remote) -> Result<Launch, Refusal> {
    if remote.kind != "streamable-http" {
        return Err(Refusal::Stream);
    }
    if !is_address(&remote.url) || remote.url.contains(['{', '}']) {
        return Err(Refusal::Address);
    }
    let mut inputs = Inputs::default();
    let mut env = BTreeMap::new();
    for header in &remote.headers {
        let given = header.value.is_some() || header.default.is_some();
        if !given && !header.is_required {
            continue;
        }
        let key = check::key_from(&header.name);
        let value = match inputs.resolve(&key, header)? {
            None if given => continue,
            // What the user has to give is the header as a whole.
            None => format!("{{{key}}}"),
            Some(value) => value,
        };
        if !is_header(&header.name, &value) {
            return Err(Refusal::Header);
        }
        env.insert(header.name.clone(), value);
    }
    Ok(Launch {
        source: Source::Remote { url: remote.url.clone() },
        package: Package {
            registry_type: Package::REMOTE.to_owned(),
            identifier: remote.url.clone(),
            ..Package::default()
        },
        args: Vec::new(),
        env,
        inputs: inputs.into_wanted(),
        hosts: Vec::new(),
        inputs_unknown: remote.headers.is_empty() && !says_all_inputs(server),
    })
}

/// The header, its name and its value, for a key that stands in none: `X_API_KEY` is the header `X-API-KEY`, and any other
/// is what its bearer proves himself with.
pub fn header(key: &str) -> (String, String) {
    if key.starts_with("X_") {
        (key.replace('_', "-"), format!("{{{key}}}"))
    } else {
        ("Authorization".to_owned(), format!("Bearer {{{key}}}"))
    }
}

/// The host of an https URL, with its port if it has one.
pub fn host(url: &str) -> Option<&str> {
    url.strip_prefix("https://")?.split(['/', '?', '#']).next()
}

/// Whether it is an https URL whose host no secret chooses.
pub(crate) fn is_address(url: &str) -> bool {
    host(url).is_some_and(|host| {
        // A secret in the host's name would choose whom all of them are sent to.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
        url.len() <= ADDRESS_MAX
            && !host.is_empty()
            && host.bytes().all(plain)
            && !url.chars().any(|c| c.is_control() || c == ' ')
    })
}

/// Whether it may be sent: what the protocol and HTTP say themselves is nobody's to set.
pub(crate) fn is_header(name: &str, value: &str) -> bool {
    const OURS: [&str; 9] = [
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "upgrade",
        "te",
        "accept",
        "last-event-id",
    ];
    let lower = name.to_ascii_lowercase();
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    (1..=100).contains(&name.len())
        && name.bytes().all(token)
        && !OURS.contains(&&*lower)
        && !lower.starts_with("mcp-")
        && value.bytes().all(|b| (0x20..0x7f).contains(&b))
}
