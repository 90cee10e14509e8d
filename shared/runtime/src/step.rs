//! One answer of the model.

use crate::{Entry, Journal, JournalError};
use models::language::{Error, Language, Reply, Request};
use serde_json::json;
use std::time::Duration;
use tokio::{
    sync::mpsc::unbounded_channel,
    time::{Instant, sleep_until},
};

/// Pieces of text are written down together this often, so that a stream costs a few round trips and not hundreds.
const FLUSH: Duration = Duration::from_millis(400);

pub(crate) enum Step {
    Answered(Result<Reply, Error>),
    /// Its user asked the run to stop.
    Cancelled,
}

/// Asks the model, and writes its text down while it comes. `watch` sees each piece at once.
pub(crate) async fn ask(
    model: &dyn Language,
    request: &Request,
    journal: &dyn Journal,
    watch: &(dyn Fn(&Entry) + Send + Sync),
) -> Result<Step, JournalError> {
    let (pieces, mut coming) = unbounded_channel::<String>();
    let mut deltas = move |piece: &str| {
        watch(&delta(piece.to_owned()));
        // The receiver lives as long as this future.
        let _ = pieces.send(piece.to_owned());
    };
    let answer = model.respond(request, &mut deltas);
    tokio::pin!(answer);
    let (mut text, mut due) = (String::new(), Instant::now());
    loop {
        // Cancel-safe: `answer` is polled on and never started again, `recv` loses no piece, and `text` outlives the arms.
        tokio::select! {
            reply = &mut answer => {
                while let Ok(piece) = coming.try_recv() {
                    text.push_str(&piece);
                }
                let cancel = !text.is_empty() && journal.append(vec![delta(text)], None).await?;
                return Ok(if cancel { Step::Cancelled } else { Step::Answered(reply) });
            }
            Some(piece) = coming.recv() => {
                if text.is_empty() {
                    due = Instant::now() + FLUSH;
                }
                text.push_str(&piece);
            }
            () = sleep_until(due), if !text.is_empty() => {
                if journal.append(vec![delta(std::mem::take(&mut text))], None).await? {
                    return Ok(Step::Cancelled);
                }
            }
        }
    }
}

fn delta(text: String) -> Entry {
    Entry::new("model.delta", json!({"text": text}))
}
