use crate::{PublicKey, Refusal, arguments::Constraint};
use protocol::{
    capability::{Claims, GrantedTool, RiskClass},
    ids::*,
};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What stood in a token whose signature is good.
pub(super) struct Token {
    /// As it was shown.
    text: Box<str>,
    pub(super) claims: Claims,
    pub(super) agent: AgentId,
    pub(super) kid: String,
    pub(super) key: PublicKey,
    /// Server, then tool, to the places in `claims.tools`: the same tool may be granted twice, for different arguments.
    granted: HashMap<String, HashMap<String, Vec<usize>>>,
    constraints: Vec<Constraint>,
    pub(super) calls: Arc<AtomicU64>,
}

impl Token {
    pub(super) fn new(text: &str, claims: Claims, kid: String, key: PublicKey) -> Result<Self, Refusal> {
        let agent = claims.sub.strip_prefix("agent:").ok_or(Refusal::Malformed)?;
        let agent = agent.parse().map_err(|_| Refusal::Malformed)?;
        let mut granted: HashMap<_, HashMap<_, Vec<_>>> = HashMap::new();
        for (place, tool) in claims.tools.iter().enumerate() {
            let server = granted.entry(tool.server.clone()).or_default();
            server.entry(tool.tool.clone()).or_default().push(place);
        }
        let constraints = claims.tools.iter().map(|_| Constraint::default()).collect();
        Ok(Self { text: text.into(), claims, agent, kid, key, granted, constraints, calls: Arc::default() })
    }
}

/// A token that is good now. It answers what it allows; it does not answer for later (see `Verifier::recheck`).
pub struct Checked {
    pub(super) token: Arc<Token>,
    pub(super) read_only: bool,
}

impl Checked {
    /// Whether it was made from this very token.
    pub fn is_of(&self, token: &str) -> bool {
        *self.token.text == *token
    }

    pub fn claims(&self) -> &Claims {
        &self.token.claims
    }

    pub fn agent(&self) -> AgentId {
        self.token.agent
    }

    pub fn owner(&self) -> UserId {
        self.token.claims.own
    }

    pub fn run(&self) -> Option<RunId> {
        self.token.claims.run
    }

    /// When calls under way have to end, seconds since the epoch.
    pub fn expires_at(&self) -> i64 {
        self.token.claims.exp
    }

    /// True when a server is named at all: `/mcp/<server>` of any other is as if it did not exist.
    pub fn knows_server(&self, server: &str) -> bool {
        self.token.granted.contains_key(server)
    }

    /// Whether a tool may be shown: what `allows` says, before the arguments are known. Counts nothing.
    pub fn shows(&self, server: &str, tool: &str, digest: &str) -> bool {
        self.places(server, tool, digest).is_ok()
    }

    /// Whether a call may go on, and by which line of the token. `digest` is of the tool's definition as it is now;
    /// `arguments` is an object, empty when the call has none. Names are compared byte by byte.
    pub fn allows(&self, server: &str, tool: &str, digest: &str, arguments: &Value) -> Result<&GrantedTool, Refusal> {
        let tools = &self.token.claims.tools;
        let place = self
            .places(server, tool, digest)?
            .into_iter()
            .find(|place| self.token.constraints[*place].holds(tools[*place].args.as_ref(), arguments))
            .ok_or(Refusal::Arguments)?;
        let made = self.token.calls.fetch_add(1, Ordering::Relaxed);
        if self.token.claims.calls.is_some_and(|most| made >= most) {
            return Err(Refusal::Exhausted);
        }
        Ok(&tools[place])
    }

    fn places(&self, server: &str, tool: &str, digest: &str) -> Result<Vec<usize>, Refusal> {
        let tools = &self.token.claims.tools;
        let mut places =
            self.token.granted.get(server).and_then(|server| server.get(tool)).ok_or(Refusal::NotGranted)?.clone();
        places.retain(|place| tools[*place].digest == digest);
        if places.is_empty() {
            return Err(Refusal::Changed);
        }
        places.retain(|place| !self.read_only || tools[*place].class == RiskClass::Read);
        if places.is_empty() { Err(Refusal::Stale) } else { Ok(places) }
    }
}
