//! A toolbox's own token: by it the control plane knows which machine calls. It lives a minute.
//!
//! The caller finds the key by [`claimed_toolbox`], then calls [`verify`] with it. The toolbox is that of the verified
//! claims; the claimed one proves nothing.

use crate::{CONTROL_PLANE, KeyError, PublicKey, Refusal, SigningKey, jws, mint::audience};
use protocol::ids::ToolboxId;
use serde::{Deserialize, Serialize};

const TYPE: &str = "device+jwt";
const LIFE: i64 = 60;
/// A toolbox's clock may be ahead by this much.
const AHEAD: i64 = 30;
const LIMIT: usize = 2048;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    iat: i64,
    exp: i64,
    jti: String,
}

/// Who calls, and the nonce that makes the call one of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceClaims {
    pub toolbox: ToolboxId,
    pub jti: String,
}

pub fn sign(key: &SigningKey, toolbox: ToolboxId, now: i64) -> Result<String, KeyError> {
    let claims =
        Claims { iss: audience(toolbox), aud: CONTROL_PLANE.into(), iat: now, exp: now + LIFE, jti: jws::random_id()? };
    Ok(jws::sign(key, "device", TYPE, &claims))
}

/// The toolbox that an unverified token names.
pub fn claimed_toolbox(token: &str) -> Result<ToolboxId, Refusal> {
    toolbox(&jws::parse(token, TYPE, LIMIT)?.unverified::<Claims>()?)
}

pub fn verify(public_key: &PublicKey, token: &str, now: i64) -> Result<DeviceClaims, Refusal> {
    let claims: Claims = jws::parse(token, TYPE, LIMIT)?.open(public_key)?;
    if claims.aud != CONTROL_PLANE {
        return Err(Refusal::Audience);
    }
    if claims.iat > now + AHEAD {
        return Err(Refusal::NotYet);
    }
    if now >= claims.exp || claims.exp - claims.iat > LIFE {
        return Err(Refusal::Expired);
    }
    Ok(DeviceClaims { toolbox: toolbox(&claims)?, jti: claims.jti })
}

fn toolbox(claims: &Claims) -> Result<ToolboxId, Refusal> {
    let id = claims.iss.strip_prefix("toolbox:").ok_or(Refusal::Malformed)?;
    id.parse().map_err(|_| Refusal::Malformed)
}
