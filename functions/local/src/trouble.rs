//! What a command says when it cannot do its work: what, why, and what next.

use crate::terminal::lines;
use std::fmt;

#[derive(Debug)]
pub struct Trouble {
    what: String,
    why: Vec<String>,
    next: String,
}

impl Trouble {
    /// `what` is a sentence about the outcome, `next` one that says what to do; it may be a command.
    pub fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), why: Vec::new(), next: next.into() }
    }

    /// A reason in words.
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// The chain of an error.
    pub fn caused_by(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            if self.why.last() != Some(&text) {
                self.why.push(text);
            }
            next = error.source();
        }
        self
    }

    pub fn what(&self) -> &str {
        &self.what
    }

    pub fn next(&self) -> &str {
        &self.next
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", lines(&self.what))?;
        for why in &self.why {
            write!(f, "\n  why:  {}", lines(why).replace('\n', "\n        "))?;
        }
        write!(f, "\n  next: {}", lines(&self.next))
    }
}

impl std::error::Error for Trouble {}

/// A file operation that failed.
pub fn file(what: &str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Trouble {
    let what = format!("{what} {} failed.", path.display());
    let parent = path.parent().unwrap_or(path).display().to_string();
    move |error| {
        Trouble::new(what, format!("Check that {parent} exists and that you may write there."))
            .because(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_reaches_the_terminal_as_text() {
        let said = Trouble::new("It said \u{1b}]0;owned\u{7}.", "Look.").because("first\nsecond \u{1b}[2J").to_string();
        assert!(!said.contains(['\u{1b}', '\u{7}']), "{said:?}");
        assert_eq!(said, "error: It said  ]0;owned .\n  why:  first\n        second  [2J\n  next: Look.");
    }
}
