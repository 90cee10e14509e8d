//! What a toolbox may say.
//!
//! Its own fields are checked, and a wrong one is refused. What comes from a server (definitions, lines of its log) is cut
//! to fit instead: refusing it would let one hostile server keep the whole toolbox from checking in.

#[cfg(test)]
mod tests;

use edge::Error;
use protocol::{
    event::{EventUpload, Happening},
    server::Tool,
    toolbox::CheckInRequest,
};
use serde_json::Value;

const SERVERS: usize = 200;
const EVENTS: usize = 500;
const TOOLS: usize = 512;
const LINES: usize = 20;
/// Characters of a line, or of a sentence for a person.
const LINE: usize = 2_000;
/// Bytes of one tool's definition.
const DEFINITION: usize = 256 * 1024;

/// Where a gateway listens: a plain HTTP address.
pub(crate) fn gateway(text: &str) -> Result<(), Error> {
    let url = reqwest::Url::parse(text).ok().filter(|_| text.len() <= 300);
    match url {
        Some(url) if matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty() => Ok(()),
        _ => Err(Error::invalid(
            "The gateway's address is not one.",
            "Send where the gateway listens, e.g. https://box.example:8443/mcp.",
        )),
    }
}

/// The digest of a certificate, as the database keeps it.
pub(crate) fn certificate(text: Option<&str>) -> Result<(), Error> {
    match text {
        Some(text) if !is_digest(text) => Err(Error::invalid(
            "The certificate's digest is not one.",
            "Send the SHA-256 of its DER as 64 digits, lower-case hex.",
        )),
        _ => Ok(()),
    }
}

/// SHA-256, hex.
fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A version, a boot id: short and printable.
pub(crate) fn word(text: &str) -> Result<(), Error> {
    if (1..=100).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::invalid("A version or boot id is not one.", "Send 1 to 100 printable ASCII characters."))
}

pub(crate) fn checkin(request: &mut CheckInRequest) -> Result<(), Error> {
    gateway(&request.gateway)?;
    word(&request.version)?;
    word(&request.boot_id)?;
    if request.servers.len() > SERVERS {
        return Err(Error::invalid("A toolbox has 200 servers at most.", "Report those of the desired state only."));
    }
    let numbers = [request.sequence, request.known_generation, request.applied_generation, request.revocation_sequence];
    if numbers.into_iter().any(|number| i64::try_from(number).is_err()) {
        return Err(Error::invalid("A counter is out of range.", "Send the counters as they were received."));
    }
    request.trouble.as_mut().map(line);
    for server in &mut request.servers {
        if i32::try_from(server.revision).is_err() {
            return Err(Error::invalid("A revision is out of range.", "Send the revision as it was received."));
        }
        server.detail.as_mut().map(line);
        server.pinned.as_mut().map(line);
        tail(&mut server.log_tail);
        if let Some(tools) = &mut server.tools {
            tools.retain(fits);
            tools.truncate(TOOLS);
            tools.iter_mut().for_each(|tool| scrub(&mut tool.definition));
        }
    }
    Ok(())
}

/// What an event says is a server's, a model's or a caller's word too.
pub(crate) fn events(upload: &mut EventUpload) -> Result<(), Error> {
    if !(1..=EVENTS).contains(&upload.events.len()) {
        return Err(Error::invalid("An upload has 1 to 500 events.", "Send them in several."));
    }
    let signed = |number: u64| i64::try_from(number).is_ok();
    for event in &mut upload.events {
        let counts = match &event.what {
            Happening::Call(calls) => signed(calls.count) && signed(calls.micros),
            Happening::Lost(lost) => signed(lost.count),
            _ => true,
        };
        if !signed(event.number) || !counts {
            return Err(Error::invalid("A number is out of range.", "Send numbers below 2^63."));
        }
        match &mut event.what {
            Happening::Call(calls) => {
                calls.flags.truncate(LINES);
                let texts = [&mut calls.server, &mut calls.tool, &mut calls.arguments, &mut calls.outcome];
                texts
                    .into_iter()
                    .chain(&mut calls.values)
                    .chain(&mut calls.trace_id)
                    .chain(&mut calls.flags)
                    .for_each(line);
            }
            Happening::ToolChanged(changed) => {
                [&mut changed.tool, &mut changed.before, &mut changed.now].into_iter().for_each(line);
            }
            Happening::Refusal(refusal) => [&mut refusal.host, &mut refusal.why].into_iter().for_each(line),
            Happening::Deployment(deployment) => {
                deployment.detail.as_mut().map(line);
                tail(&mut deployment.log_tail);
            }
            Happening::ToolRequest(request) => {
                request.tools.truncate(LINES);
                request.tools.iter_mut().chain([&mut request.need, &mut request.reason]).for_each(line);
            }
            Happening::Lost(_) => {}
        }
    }
    Ok(())
}

/// A tool that does not fit is not recorded, so nothing can be granted to call it.
fn fits(tool: &Tool) -> bool {
    let name = (1..=128).contains(&tool.name.len()) && tool.name.bytes().all(|byte| byte.is_ascii_graphic());
    name && is_digest(&tool.digest) && tool.definition.to_string().len() <= DEFINITION
}

fn tail(lines: &mut Vec<String>) {
    let surplus = lines.len().saturating_sub(LINES);
    lines.drain(..surplus);
    lines.iter_mut().for_each(line);
}

fn line(text: &mut String) {
    clean(text);
    if let Some((end, _)) = text.char_indices().nth(LINE) {
        text.truncate(end);
    }
}

/// Postgres keeps no NUL in text, in whatever way it is written.
fn clean(text: &mut String) {
    if text.contains('\0') {
        text.retain(|c| c != '\0');
    }
}

fn scrub(value: &mut Value) {
    match value {
        Value::String(text) => clean(text),
        Value::Array(items) => items.iter_mut().for_each(scrub),
        Value::Object(fields) => {
            if fields.keys().any(|key| key.contains('\0')) {
                *fields =
                    std::mem::take(fields).into_iter().map(|(key, value)| (key.replace('\0', ""), value)).collect();
            }
            fields.values_mut().for_each(scrub);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
