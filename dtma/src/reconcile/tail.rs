//! The last lines that a server wrote to standard error, known secrets removed before they are kept.

use crate::scrub::Scrubber;
use protocol::chat::Secret;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::broadcast;

/// Lines kept, and characters of a line.
const LINES: usize = 200;
const WIDTH: usize = 2_000;
/// Lines in a report.
const REPORTED: usize = 20;

pub type Line = Arc<str>;

/// Cheap to clone; clones share the lines.
#[derive(Clone)]
pub struct Tail(Arc<Mutex<Inner>>);

struct Inner {
    lines: VecDeque<Line>,
    /// How many of them are of the present run, or more than are kept.
    run: usize,
    /// Bytes of a line that is not complete.
    rest: Vec<u8>,
    hidden: Scrubber,
    live: broadcast::Sender<Line>,
}

impl Default for Tail {
    fn default() -> Self {
        let live = broadcast::channel(256).0;
        Self(Arc::new(Mutex::new(Inner {
            lines: VecDeque::new(),
            run: 0,
            rest: Vec::new(),
            hidden: Scrubber::default(),
            live,
        })))
    }
}

impl Tail {
    /// Values that are never kept, from now on.
    pub fn hide<'a>(&self, secrets: impl Iterator<Item = &'a Secret>) {
        let server = Arc::from("");
        let hidden = Scrubber::new(secrets.map(|secret| (&server, secret)));
        self.inner(|inner| inner.hidden = hidden);
    }

    pub fn push(&self, bytes: &[u8]) {
        self.inner(|inner| {
            for byte in bytes {
                match byte {
                    b'\n' => inner.end_line(),
                    _ if inner.rest.len() < WIDTH * 4 => inner.rest.push(*byte),
                    _ => {}
                }
            }
        });
    }

    /// Begins a new run: what was written before stays for those who follow, and is not reported again.
    pub fn begin(&self) {
        self.inner(|inner| {
            inner.end_line();
            inner.run = 0;
        });
    }

    /// The last lines for a report.
    pub fn report(&self) -> Vec<String> {
        self.inner(|inner| {
            inner.end_line();
            let skip = inner.lines.len().saturating_sub(REPORTED.min(inner.run));
            inner.lines.iter().skip(skip).map(|line| line.to_string()).collect()
        })
    }

    /// Everything that is kept, and what comes from now on.
    pub fn follow(&self) -> (Vec<Line>, broadcast::Receiver<Line>) {
        self.inner(|inner| (inner.lines.iter().cloned().collect(), inner.live.subscribe()))
    }

    fn inner<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn end_line(&mut self) {
        let bytes = std::mem::take(&mut self.rest);
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end();
        if text.is_empty() {
            return;
        }
        let text = self.hidden.line(text);
        // Control characters could play with the reader's terminal.
        let line: Line = text.chars().filter(|c| !c.is_control() || *c == '\t').take(WIDTH).collect::<String>().into();
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.run = self.run.saturating_add(1);
        self.lines.push_back(line.clone());
        // Nobody may be following.
        let _ = self.live.send(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_and_the_last_are_reported() {
        let tail = Tail::default();
        for n in 0..30 {
            tail.push(b"li");
            tail.push(format!("ne {n}\r\n").as_bytes());
        }
        tail.push(b"unfinished \x1b[31mred");
        let report = tail.report();
        assert_eq!(report.len(), 20);
        assert_eq!((report[0].as_str(), report[19].as_str()), ("line 11", "unfinished [31mred"));
        tail.begin();
        assert!(tail.report().is_empty());
        tail.push(b"new\n");
        assert_eq!(tail.report(), ["new"]);
        assert_eq!(tail.follow().0.len(), 32);
    }

    #[test]
    fn a_secret_never_stays() {
        let tail = Tail::default();
        tail.hide([Secret::new("hunter2hunter2".into()), Secret::new("abc".into())].iter());
        tail.push(b"key=hunter2");
        tail.push(b"hunter2 aHVudGVyMmh1bnRlcjI= abc\n");
        assert_eq!(tail.report(), ["key=[redacted] [redacted] abc"]);
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let tail = Tail::default();
        tail.push(&vec![b'x'; 10_000_000]);
        assert_eq!(tail.report()[0].len(), WIDTH);
    }
}
