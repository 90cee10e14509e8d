//! Conversations. Their state is the chat's own; no secret is ever in it.

use crate::{
    Caller, Database, Error,
    agent::{MadeAgent, NewAgent},
};
use protocol::{Timestamp, ids::SessionId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

/// What a turn begins with.
#[derive(Clone, Debug, Deserialize)]
pub struct Opened<S> {
    /// Absent for a new session.
    pub session: Option<Held<S>>,
    /// Which credentials the vault has.
    pub credentials: Vec<Stored>,
    /// The user's servers.
    pub servers: Vec<Present>,
    /// The only toolbox's state: `pending`, `online`, `late` or `offline`.
    #[serde(default)]
    pub toolbox: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Held<S> {
    pub id: SessionId,
    pub version: i32,
    pub state: S,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Stored {
    pub server: String,
    pub key: String,
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Present {
    pub name: String,
    pub catalog_name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `user` or `assistant`.
    pub role: String,
    pub content: String,
}

/// What a turn made of a session.
#[derive(Clone, Debug, Serialize)]
pub struct Turn<'a, S> {
    pub session_id: SessionId,
    /// That the turn began with; 0 for a new session.
    pub version: i32,
    pub state: &'a S,
    pub messages: &'a [Message],
}

/// A session as it is read.
#[derive(Clone, Debug, Deserialize)]
pub struct Read<S> {
    pub id: SessionId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub state: S,
    pub messages: Vec<Said>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Said {
    #[serde(flatten)]
    pub message: Message,
    pub at: Timestamp,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Created {
    pub id: SessionId,
    pub created_at: Timestamp,
}

impl Database {
    pub async fn session_create(&self, caller: &Caller, id: SessionId) -> Result<Created, Error> {
        self.call(caller, "session_create", &json!({"session_id": id, "version": 0})).await
    }

    pub async fn session_open<S: DeserializeOwned>(
        &self,
        caller: &Caller,
        id: Option<SessionId>,
    ) -> Result<Opened<S>, Error> {
        self.call(caller, "session_open", &json!({"session_id": id})).await
    }

    pub async fn session_save<S: Serialize>(&self, caller: &Caller, turn: &Turn<'_, S>) -> Result<(), Error> {
        self.call(caller, "session_save", turn).await.map(|_: serde_json::Value| ())
    }

    /// Adds what was said in a turn that leaves the session's state as it is.
    pub async fn session_say(&self, caller: &Caller, id: SessionId, messages: &[Message]) -> Result<(), Error> {
        self.call(caller, "session_say", &json!({"session_id": id, "messages": messages}))
            .await
            .map(|_: serde_json::Value| ())
    }

    /// The agent and the session that asked for it, both or neither.
    pub async fn session_agent_create<S: Serialize>(
        &self,
        caller: &Caller,
        turn: &Turn<'_, S>,
        agent: &NewAgent,
    ) -> Result<MadeAgent, Error> {
        #[derive(Serialize)]
        struct Arguments<'a, S> {
            #[serde(flatten)]
            turn: &'a Turn<'a, S>,
            agent: &'a NewAgent,
        }
        self.call(caller, "session_agent_create", &Arguments { turn, agent }).await
    }

    pub async fn session_get<S: DeserializeOwned>(&self, caller: &Caller, id: SessionId) -> Result<Read<S>, Error> {
        self.call(caller, "session_get", &json!({"session_id": id})).await
    }

    pub async fn session_delete(&self, caller: &Caller, id: SessionId) -> Result<(), Error> {
        self.call(caller, "session_delete", &json!({"session_id": id})).await
    }
}
