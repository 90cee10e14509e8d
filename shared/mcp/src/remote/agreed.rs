//! What was agreed with a server behind a URL, as far as its headers need it.

use crate::{
    message::Message,
    mirrored::{Mirrored, marked},
};
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Tools whose marks are remembered.
const TOOLS: usize = 4096;

#[derive(Default)]
pub(super) struct Agreed(Mutex<State>);

#[derive(Default)]
struct State {
    session: Option<HeaderValue>,
    version: Option<String>,
    marked: HashMap<String, Vec<Mirrored>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialized {
    protocol_version: String,
}

#[derive(Deserialize)]
struct Listed {
    tools: Vec<Value>,
}

impl Agreed {
    pub(super) fn session(&self) -> Option<HeaderValue> {
        self.lock().session.clone()
    }

    pub(super) fn version(&self) -> Option<String> {
        self.lock().version.clone()
    }

    /// The arguments of a tool that go into headers too.
    pub(super) fn marked(&self, tool: &str) -> Option<Vec<Mirrored>> {
        self.lock().marked.get(tool).cloned()
    }

    pub(super) fn begin_session(&self, id: HeaderValue) {
        self.lock().session = Some(id);
    }

    /// Looks at the answer to a request of ours.
    pub(super) fn learn(&self, method: &str, answer: &str) {
        let Ok(message) = Message::parse(answer.as_bytes(), crate::json::Limits::ANSWER) else { return };
        let Some(result) = message.result() else { return };
        match method {
            "initialize" => {
                let said = serde_json::from_str::<Initialized>(result).ok();
                self.lock().version = said.map(|said| said.protocol_version);
            }
            // Only a stateless server reads such headers; whoever opened a session is none.
            "tools/list" if self.lock().version.is_none() => {
                let Ok(listed) = serde_json::from_str::<Listed>(result) else { return };
                let mut state = self.lock();
                for tool in listed.tools {
                    let Some(name) = tool["name"].as_str() else { continue };
                    let marked = marked(&tool);
                    if marked.is_empty() {
                        state.marked.remove(name);
                    } else if state.marked.len() < TOOLS {
                        state.marked.insert(name.to_owned(), marked);
                    }
                }
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
