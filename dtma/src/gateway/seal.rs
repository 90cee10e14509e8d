//! `requestState`: what a server gives a client to bring back. On its way it is in the hands of whoever calls, so it is
//! bound to the caller, to what was called with which arguments, and to an hour.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use protocol::ids::AgentId;
use ring::{
    digest::{SHA256, digest},
    hmac,
    rand::SystemRandom,
};

/// Seconds for which a state is good.
const GOOD: i64 = 3600;

/// Who calls what with which arguments.
pub(super) type Bound = [u8; 32];

/// `names`: of the server, of the tool or method, and of what that is about.
pub(super) fn bound(agent: AgentId, names: [&str; 3], arguments: &str) -> Bound {
    // A client may write the same arguments otherwise when it calls again.
    let arguments = mcp::json::digest(arguments).unwrap_or_else(|_| arguments.to_owned());
    // Nothing but the last can have a line break in it.
    let [server, tool, about] = names;
    let text = format!("{agent}\n{arguments}\n{server}\n{tool}\n{about}");
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    out
}

/// The key lives as long as the daemon: after a restart a client calls anew.
pub(super) struct Seal(hmac::Key);

impl Default for Seal {
    fn default() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self(key.expect("the system has random numbers"))
    }
}

impl Seal {
    pub(super) fn close(&self, bound: &Bound, now: i64, state: &str) -> String {
        let until = now + GOOD;
        let tag = BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, &text(bound, until, state)));
        format!("{until}.{tag}.{state}")
    }

    /// The state, when it was closed for the same call and is not old.
    pub(super) fn open<'s>(&self, bound: &Bound, now: i64, sealed: &'s str) -> Option<&'s str> {
        let (until, rest) = sealed.split_once('.')?;
        let (tag, state) = rest.split_once('.')?;
        let until = until.parse().ok().filter(|until| (now..=now + GOOD).contains(until))?;
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.0, &text(bound, until, state), &tag).ok()?;
        Some(state)
    }
}

fn text(bound: &Bound, until: i64, state: &str) -> Vec<u8> {
    [&bound[..], &until.to_be_bytes(), state.as_bytes()].concat()
}
