//! What the server of one call asks of a client of sessions, and what the client answers.

use super::sessions::Session;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The client's answer to one question.
pub(super) struct Reply {
    /// The question, as whoever asked calls it.
    pub(super) theirs: String,
    /// The end of a JSON-RPC message: `"result":…` or `"error":…`.
    pub(super) text: String,
}

/// Open questions are taken back when it is dropped.
pub(super) struct Questions {
    session: Arc<Session>,
    sender: mpsc::Sender<Reply>,
    replies: mpsc::Receiver<Reply>,
    /// Our ids (JSON text) and theirs.
    open: Vec<(String, String)>,
}

impl Questions {
    pub(super) fn of(session: &Arc<Session>) -> Self {
        let (sender, replies) = mpsc::channel(super::sessions::ASKED);
        Self { session: session.clone(), sender, replies, open: Vec::new() }
    }

    /// The id under which the client is asked (JSON text); none when too much waits for it.
    pub(super) fn ask(&mut self, theirs: &str) -> Option<String> {
        let ours = self.session.ask(theirs, &self.sender)?;
        self.open.push((ours.clone(), theirs.to_owned()));
        Some(ours)
    }

    pub(super) async fn reply(&mut self) -> Reply {
        // It holds a sender itself, so there is always another.
        let Some(reply) = self.replies.recv().await else { std::future::pending().await };
        self.open.retain(|(_, theirs)| *theirs != reply.theirs);
        reply
    }

    /// Our id of a question that is not wanted any more.
    pub(super) fn withdraw(&mut self, theirs: &str) -> Option<String> {
        let at = self.open.iter().position(|(_, open)| open == theirs)?;
        let (ours, _) = self.open.swap_remove(at);
        self.session.forget(&ours);
        Some(ours)
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        for (ours, _) in &self.open {
            self.session.forget(ours);
        }
    }
}
