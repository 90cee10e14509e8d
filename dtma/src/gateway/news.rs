//! What one server says without being asked, to one stream.

use super::{
    Caller, Gateway, call,
    exchange::level,
    registry::{Registry, Server},
    sessions::Session,
};
use capability::Checked;
use mcp::{
    Connection, Message,
    connection::{Event, Watch},
    json::Limits,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::broadcast::{Receiver, error::RecvError};

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

pub(super) struct News {
    registry: Registry,
    server: Arc<str>,
    connection: Connection,
    events: Receiver<Event>,
    wish: Wish,
    /// To be told instead of what was lost.
    instead: VecDeque<Value>,
}

enum Wish {
    /// Everything, of resources what the session subscribes to.
    Session(Arc<Session>),
    /// What one `subscriptions/listen` is about.
    Stream { id: Value, kinds: Vec<&'static str>, watches: Vec<(String, Watch)> },
}

impl News {
    pub(super) fn of_session(caller: &Caller<'_>, session: &Arc<Session>) -> Option<Self> {
        let server = caller.server.as_ref()?;
        Some(Self::new(&caller.gateway.registry, server, Wish::Session(session.clone())))
    }

    /// `honoured` is told what of it the server can give.
    pub(super) async fn of_stream(
        caller: &Caller<'_>,
        id: &str,
        kinds: [(&'static str, bool); 2],
        resources: Vec<String>,
        honoured: &mut Map<String, Value>,
    ) -> Option<Self> {
        let server = caller.server.as_ref().filter(|server| caller.may_all(server))?;
        let capabilities = &server.connection.peer().capabilities;
        let tells = |kind: &str| capabilities[kind]["listChanged"] == true;
        let kinds: Vec<_> = kinds.into_iter().filter(|(kind, wanted)| *wanted && tells(kind)).map(|(k, _)| k).collect();
        honoured.extend(kinds.iter().map(|kind| (format!("{kind}ListChanged"), true.into())));
        let mut watches = Vec::new();
        for uri in resources {
            if let Ok(watch) = server.connection.watch(&uri).await {
                watches.push((uri, watch));
            }
        }
        if !watches.is_empty() {
            let uris: Vec<&str> = watches.iter().map(|(uri, _)| &**uri).collect();
            honoured.insert("resourceSubscriptions".into(), uris.into());
        }
        // It was read as an id before.
        let id = serde_json::from_str(id).ok()?;
        Some(Self::new(&caller.gateway.registry, server, Wish::Stream { id, kinds, watches }))
    }

    fn new(registry: &Registry, server: &Server, wish: Wish) -> Self {
        let (connection, events) = (server.connection.clone(), server.connection.events());
        let (registry, server) = (registry.clone(), server.name.clone());
        Self { registry, server, connection, events, wish, instead: VecDeque::new() }
    }

    pub(super) fn allowed(&self, gateway: &Gateway, checked: &Checked) -> bool {
        gateway.registry.get(&self.server).is_some_and(|server| call::may_all(checked, &server))
    }

    /// After a change of the servers: there may be another connection to this one, which knows of no subscription.
    pub(super) async fn follow(&mut self, gateway: &Gateway) {
        let Some(server) = gateway.registry.get(&self.server) else { return };
        if server.connection.is(&self.connection) {
            return;
        }
        self.connection = server.connection.clone();
        self.events = self.connection.events();
        for resource in self.watched() {
            let Ok(watch) = self.connection.watch(&resource).await else { continue };
            match &mut self.wish {
                Wish::Session(session) => drop(session.watch(&resource, watch)),
                Wish::Stream { watches, .. } => {
                    watches.retain(|(uri, _)| *uri != resource);
                    watches.push((resource, watch));
                }
            }
        }
    }

    /// The next message; none when it is not for this stream. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        let message = match self.instead.pop_front() {
            Some(message) => Some(message),
            None => match self.events.recv().await {
                Ok(Event::ListChanged(kind)) => self.changed(kind),
                Ok(Event::Notification(line)) => self.notice(&line),
                Err(RecvError::Lagged(_)) => {
                    self.instead = self.anything();
                    None
                }
                // Until there is another connection.
                Err(RecvError::Closed) => std::future::pending().await,
            },
        };
        let whole = |text: &[u8]| Message::parse(text, Limits::ANSWER).is_ok();
        self.registry.snapshot().scrubber.json(message?.to_string().into_bytes(), whole)
    }

    fn watched(&self) -> Vec<String> {
        match &self.wish {
            Wish::Session(session) => session.watched(),
            Wish::Stream { watches, .. } => watches.iter().map(|(uri, _)| uri.clone()).collect(),
        }
    }

    /// That whatever can change may have changed.
    fn anything(&self) -> VecDeque<Value> {
        let lists = ["prompts", "resources"].into_iter().filter_map(|kind| self.changed(kind));
        let resources = self.watched().into_iter().filter_map(|uri| {
            let told = json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}});
            self.notice(told.to_string().as_bytes())
        });
        lists.chain(resources).collect()
    }

    fn changed(&self, kind: &str) -> Option<Value> {
        let method = format!("notifications/{kind}/list_changed");
        match &self.wish {
            // The list of tools is the gateway's own.
            _ if kind == "tools" => None,
            Wish::Session(_) => Some(json!({"jsonrpc": "2.0", "method": method})),
            Wish::Stream { id, kinds, .. } if kinds.contains(&kind) => {
                Some(json!({"jsonrpc": "2.0", "method": method, "params": {"_meta": {SUBSCRIPTION: id}}}))
            }
            Wish::Stream { .. } => None,
        }
    }

    fn notice(&self, line: &[u8]) -> Option<Value> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Elicited {
            elicitation_id: String,
        }
        let message = Message::parse(line, Limits::ANSWER).ok()?;
        let params = message.params().unwrap_or("{}");
        let wanted = match (message.method.as_deref()?, &self.wish) {
            ("notifications/resources/updated", _) => about(message.target()?, &self.watched()),
            ("notifications/message", Wish::Session(session)) => {
                level(params).is_none_or(|level| session.level().is_none_or(|least| level >= least))
            }
            ("notifications/elicitation/complete", Wish::Session(session)) => {
                serde_json::from_str::<Elicited>(params).is_ok_and(|told| session.visits(&told.elicitation_id))
            }
            _ => false,
        };
        let mut value: Value = wanted.then(|| serde_json::from_slice(line).ok()).flatten()?;
        // A subscription of ours at the server is none of the client's.
        let empty = value.pointer_mut("/params/_meta").and_then(Value::as_object_mut).is_some_and(|meta| {
            meta.remove(SUBSCRIPTION);
            meta.is_empty()
        });
        match &self.wish {
            Wish::Stream { id, .. } => value["params"]["_meta"][SUBSCRIPTION] = id.clone(),
            Wish::Session(_) if empty => drop(value["params"].as_object_mut()?.remove("_meta")),
            Wish::Session(_) => {}
        }
        Some(value)
    }
}

/// A change can be of a part of what is watched.
fn about(uri: &str, watched: &[String]) -> bool {
    watched.iter().any(|watched| {
        let rest = uri.strip_prefix(&**watched);
        rest.is_some_and(|rest| rest.is_empty() || watched.ends_with('/') || rest.starts_with(['/', '#', '?']))
    })
}
