//! Long work, as named steps with the time that each took. On standard error: standard output is for data.

use indicatif::{ProgressBar, ProgressStyle};
use std::{
    cell::Cell,
    io::IsTerminal,
    time::{Duration, Instant},
};

pub(crate) struct Step {
    name: String,
    started: Instant,
    bar: Option<ProgressBar>,
    ended: bool,
    /// When a note was last printed.
    said: Cell<Instant>,
}

impl Step {
    pub(crate) fn start(name: impl Into<String>) -> Self {
        let name = name.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_message(name.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { name, started: Instant::now(), bar, ended: false, said: Cell::new(Instant::now()) }
    }

    /// What it is doing now.
    pub(crate) fn note(&self, note: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {note}", self.name)),
            // A log is not flooded.
            None if self.said.get().elapsed() > Duration::from_secs(2) => {
                self.said.set(Instant::now());
                eprintln!("  {:<34} {note}", self.name);
            }
            None => {}
        }
    }

    pub(crate) fn done(self) {
        self.end("ok", "");
    }

    pub(crate) fn done_with(self, note: &str) {
        self.end("ok", note);
    }

    pub(crate) fn failed(self) {
        self.end("FAILED", "");
    }

    fn end(mut self, mark: &str, note: &str) {
        self.print(mark, note);
    }

    fn print(&mut self, mark: &str, note: &str) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let note = if note.is_empty() { String::new() } else { format!("  {note}") };
        eprintln!("  {:<34} {mark:>6} {:>6.1} s{note}", self.name, self.started.elapsed().as_secs_f64());
    }

    /// Runs `work` as a step.
    pub(crate) async fn run<T, E>(name: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let step = Self::start(name);
        let result = work.await;
        if result.is_ok() {
            step.done()
        } else {
            step.failed()
        }
        result
    }
}

/// Work that was left by an error has failed.
impl Drop for Step {
    fn drop(&mut self) {
        self.print("FAILED", "");
    }
}
