//! From the server: answers to their callers, requests refused, notifications on to whoever listens.

use super::{
    Answer, Event, Kind, Said, Shared,
    lines::{Line, Lines},
    pending::{Lost, Pending},
};
use crate::{
    code,
    json::{Limits, Refused},
    message::Message,
    reply,
};
use bytes::Bytes;
use std::sync::{Arc, atomic::Ordering::Relaxed};
use tokio::io::AsyncRead;

/// Longest line, in bytes, that is told to whoever listens.
const EVENT: usize = 256 << 10;

/// Reads until the server or the connection ends.
pub(super) async fn run(shared: Arc<Shared>, reader: impl AsyncRead + Unpin, max: usize) {
    let mut lines = Lines::new(reader, max);
    let mut closed = shared.closed.subscribe();
    loop {
        let line = tokio::select! {
            // Not cancel-safe, and need not be: the connection is over when the other arm wins.
            line = lines.next() => line,
            _ = closed.wait_for(|closed| *closed) => break,
        };
        match line {
            Ok(Some(Line::Whole(line))) => take(&shared, line),
            Ok(Some(Line::TooLong(head))) => spoilt(&shared, &head, Refused::Envelope("longer than allowed")),
            Ok(None) | Err(_) => break,
        }
    }
    shared.close();
}

fn take(shared: &Shared, line: Bytes) {
    if line.iter().all(u8::is_ascii_whitespace) {
        return;
    }
    let message = match Message::parse(&line, Limits::ANSWER) {
        Ok(message) => message,
        Err(refused) => return spoilt(shared, &line, refused),
    };
    let id = message.id().map(|id| id.as_json());
    match (&message.method, id) {
        (None, id) => match id.and_then(|id| id.parse().ok()) {
            Some(id) if Answer::new(line.clone(), &message).is_some_and(|a| Pending::settle(shared, id, Ok(a))) => {
                shared.counters.answers.fetch_add(1, Relaxed);
            }
            _ => {
                shared.counters.unknown.fetch_add(1, Relaxed);
            }
        },
        (Some(method), Some(id)) => {
            if let Some(mut reply) = question(shared, &line, &message, method, id) {
                reply.push(b'\n');
                shared.outbox.push(&reply);
            }
        }
        (Some(method), None) => notice(shared, &line, &message, method),
    }
}

/// What the server asks; the answer to it, when nobody else gives one.
fn question(shared: &Shared, line: &Bytes, message: &Message<'_>, method: &str, id: &str) -> Option<Vec<u8>> {
    if method == "ping" {
        return Some(reply::result(id, "{}"));
    }
    let Some(kind) = Kind::question(method) else {
        return Some(reply::error(Some(id), code::METHOD_NOT_FOUND, "not offered by this client", None));
    };
    let said = Said::new(shared, kind, line, message);
    let lost = said.map_or(Err(Lost::Full), |said| shared.pending.ask(id, said)).err()?;
    let (code, why) = match lost {
        Lost::Idle => (code::INTERNAL, "no call is under way whose caller could be asked"),
        Lost::Unclear => (code::INTERNAL, "calls of several callers are under way: it cannot be told whom to ask"),
        Lost::Deaf => (code::METHOD_NOT_FOUND, "not offered by the client of this call"),
        Lost::Full => (code::INTERNAL, "too many questions wait for answers"),
    };
    Some(reply::error(Some(id), code, why, None))
}

fn notice(shared: &Shared, line: &Bytes, message: &Message<'_>, method: &str) {
    let event = match method {
        "notifications/tools/list_changed" => Event::ListChanged("tools"),
        "notifications/resources/list_changed" => Event::ListChanged("resources"),
        "notifications/prompts/list_changed" => Event::ListChanged("prompts"),
        "notifications/progress" => {
            // Our tokens are our ids; any other is nobody's.
            let call = message.progress().and_then(|token| token.parse().ok());
            return tell(shared, call, Kind::Progress, line, message);
        }
        "notifications/cancelled" => {
            let call = message.request_id().and_then(|id| shared.pending.answered(id));
            return tell(shared, call, Kind::Withdrawn, line, message);
        }
        "notifications/message" => {
            let said = Said::new(shared, Kind::Log, line, message);
            match said.map_or(Err(Lost::Full), |said| shared.pending.tell_cause(said)) {
                Err(Lost::Idle) => Event::Notification(line.clone()),
                _ => return,
            }
        }
        _ => Event::Notification(line.clone()),
    };
    // So many of them may be kept that none may be large.
    if line.len() > EVENT {
        return;
    }
    // Nobody listening is fine.
    let _ = shared.events.send(event);
}

fn tell(shared: &Shared, call: Option<u64>, kind: Kind, line: &Bytes, message: &Message<'_>) {
    let Some(call) = call else { return };
    if let Some(said) = Said::new(shared, kind, line, message) {
        shared.pending.tell(call, said);
    }
}

/// A line that cannot be used. When it was an answer, its caller learns at once instead of waiting in vain.
fn spoilt(shared: &Shared, line: &[u8], refused: Refused) {
    shared.counters.garbage.fetch_add(1, Relaxed);
    tracing::debug!(%refused, bytes = line.len(), "dropped a line of a server");
    if let Some(id) = guess_id(line) {
        Pending::settle(shared, id, Err(refused));
    }
}

/// The first thing in the line that looks like an id of ours. A wrong guess fails a call of the same server only, and
/// only of one that breaks the protocol.
fn guess_id(line: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(line, b"\"id\":")? + 5;
    let digits = line[at..].iter().skip_while(|b| **b == b' ').take_while(|b| b.is_ascii_digit());
    String::from_utf8(digits.take(20).copied().collect()).ok()?.parse().ok()
}
