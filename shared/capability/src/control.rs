//! A short token by which the control plane itself speaks to a toolbox.

use crate::{CONTROL_PLANE, KeyError, Minter, Refusal, Verifier, jws, mint::audience};
use protocol::ids::ToolboxId;
use serde::{Deserialize, Serialize};

pub(crate) const TYPE: &str = "control+jwt";
const LIFE: i64 = 60;
const AHEAD: i64 = 30;
const LIMIT: usize = 2048;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Check in now instead of at the next interval.
    Wake,
    /// Show what a server wrote.
    Logs,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    act: Action,
    iat: i64,
    exp: i64,
    jti: String,
}

pub fn sign(minter: &Minter, toolbox: ToolboxId, action: Action, now: i64) -> Result<String, KeyError> {
    let claims = Claims {
        iss: CONTROL_PLANE.into(),
        aud: audience(toolbox),
        act: action,
        iat: now,
        exp: now + LIFE,
        jti: jws::random_id()?,
    };
    Ok(minter.sign(TYPE, &claims))
}

/// What the control plane asks for, when the token is its own, for this toolbox and of this minute.
pub fn verify(verifier: &Verifier, token: &str, now: i64) -> Result<Action, Refusal> {
    let parts = jws::parse(token, TYPE, LIMIT)?;
    let key = verifier.key(&parts.kid).ok_or(Refusal::UnknownKey)?;
    let claims: Claims = parts.open(&key)?;
    if claims.iss != CONTROL_PLANE || claims.aud != verifier.audience() {
        return Err(Refusal::Audience);
    }
    let now = verifier.time(now);
    if claims.iat > now + AHEAD {
        return Err(Refusal::NotYet);
    }
    if now >= claims.exp || claims.exp - claims.iat > LIFE {
        return Err(Refusal::Expired);
    }
    Ok(claims.act)
}
