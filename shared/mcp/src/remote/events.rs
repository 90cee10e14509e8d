//! Server-sent events (WHATWG HTML, 9.2.6), cut out of a body as it comes. Bounded: what is not an event yet is no longer
//! than one may be.

use std::time::Duration;

/// One event; comments and events without data are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) data: String,
    pub(crate) id: Option<String>,
    /// How long the server wants us to wait before we come back.
    pub(crate) retry: Option<Duration>,
}

/// The stream is no text, or one of its events is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spoilt;

pub(crate) struct Events {
    /// What was not cut yet.
    rest: Vec<u8>,
    /// Bytes of `rest` in which there is no line break.
    searched: usize,
    /// The event that its lines have said so far.
    so_far: Event,
    most: usize,
}

impl Events {
    pub(crate) fn new(most: usize) -> Self {
        Self { rest: Vec::new(), searched: 0, so_far: Event::default(), most }
    }

    /// Bytes that are no whole event yet.
    pub(crate) fn held(&self) -> usize {
        self.rest.len() + self.so_far.data.len()
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// The next event that is whole.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, Spoilt> {
        let mut from = 0;
        let mut found = None;
        while found.is_none() {
            let start = from.max(self.searched);
            let Some(at) = memchr::memchr(b'\n', &self.rest[start..]).map(|at| start + at) else {
                self.searched = self.rest.len();
                break;
            };
            let line = self.rest[from..at].strip_suffix(b"\r").unwrap_or(&self.rest[from..at]);
            let line = std::str::from_utf8(line).map_err(|_| Spoilt)?;
            if line.is_empty() {
                let event = std::mem::take(&mut self.so_far);
                found = (!event.data.is_empty() || event.retry.is_some() || event.id.is_some()).then_some(event);
            } else {
                field(&mut self.so_far, line);
            }
            from = at + 1;
            if self.so_far.data.len() > self.most {
                return Err(Spoilt);
            }
        }
        self.rest.drain(..from);
        self.searched = self.searched.saturating_sub(from);
        if self.rest.len() > self.most && self.searched == self.rest.len() {
            return Err(Spoilt);
        }
        Ok(found)
    }
}

fn field(event: &mut Event, line: &str) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    let value = value.strip_prefix(' ').unwrap_or(value);
    match name {
        "data" => {
            if !event.data.is_empty() {
                event.data.push('\n');
            }
            event.data.push_str(value);
        }
        "id" if !value.contains('\0') && value.len() <= 1024 => event.id = Some(value.to_owned()),
        "retry" => event.retry = value.parse().ok().map(Duration::from_millis),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(events: &mut Events) -> Vec<Event> {
        std::iter::from_fn(|| events.next().expect("an event stream")).collect()
    }

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let text =
            ": hello\r\nid: 7\nretry: 250\ndata\n\nevent: message\ndata: {\"a\":\ndata:1}\r\n\r\n\n\ndata: later";
        let said = |data: &str| Event { data: data.into(), ..Event::default() };
        let wanted = [
            Event { id: Some("7".into()), retry: Some(Duration::from_millis(250)), ..Event::default() },
            said("{\"a\":\n1}"),
        ];
        for step in 1..text.len() {
            let mut events = Events::new(100);
            let mut found = Vec::new();
            for part in text.as_bytes().chunks(step) {
                events.push(part);
                found.append(&mut all(&mut events));
            }
            assert_eq!(found, wanted, "in parts of {step}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused_however_it_is_written() {
        for bad in ["x".repeat(200), format!("data: {}", "x".repeat(200)), "data: xxxxx\n".repeat(40)] {
            let mut events = Events::new(100);
            let mut result = Ok(None);
            for part in bad.as_bytes().chunks(7) {
                events.push(part);
                result = result.and(events.next());
            }
            assert_eq!(result, Err(Spoilt));
        }
        // The positive control.
        let mut events = Events::new(100);
        events.push(format!("data: {}\n\n", "x".repeat(90)).as_bytes());
        assert_eq!(events.next().map(|event| event.map(|event| event.data.len())), Ok(Some(90)));
    }
}
