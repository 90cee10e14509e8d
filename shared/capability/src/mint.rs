//! Making capabilities: the control plane's side.

use crate::{CONTROL_PLANE, KeyError, MAX_LIFE, MAX_TOKEN, SigningKey, jws};
use protocol::{
    capability::{Claims, GrantedTool},
    ids::*,
};

pub(crate) const TYPE: &str = "capability+jwt";

#[derive(Debug, thiserror::Error)]
pub enum MintError {
    #[error("the capability would be larger than any toolbox accepts: {0} bytes")]
    TooLarge(usize),
    #[error("the capability would have ended before it began, or live too long")]
    Life,
    #[error("the claims do not come from `Bearer::claims`")]
    Foreign,
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Calls that a capability allows unless its maker says otherwise: more than any agent makes in a quarter of an hour, and few
/// enough to end a loop that nobody watches.
pub const CALLS: u64 = 100_000;

/// Whom a capability is for.
#[derive(Clone, Copy, Debug)]
pub struct Bearer {
    pub toolbox: ToolboxId,
    pub owner: UserId,
    pub agent: AgentId,
    pub run: Option<RunId>,
    /// The agent's revocation epoch.
    pub epoch: u64,
}

impl Bearer {
    /// Claims from `now` until 15 minutes later, or until `until` when a grant ends before that.
    pub fn claims(&self, tools: Vec<GrantedTool>, now: i64, until: Option<i64>) -> Result<Claims, MintError> {
        let exp = (now + MAX_LIFE).min(until.unwrap_or(i64::MAX));
        if exp <= now {
            return Err(MintError::Life);
        }
        Ok(Claims {
            iss: CONTROL_PLANE.into(),
            aud: audience(self.toolbox),
            sub: format!("agent:{}", self.agent),
            own: self.owner,
            run: self.run,
            jti: jws::random_id()?,
            iat: now,
            nbf: now,
            exp,
            ep: self.epoch,
            calls: Some(CALLS),
            tools,
        })
    }
}

pub(crate) fn audience(toolbox: ToolboxId) -> String {
    format!("toolbox:{toolbox}")
}

/// The control plane's signing key and its id.
pub struct Minter {
    kid: String,
    key: SigningKey,
}

impl Minter {
    pub fn from_pkcs8(kid: impl Into<String>, der: &[u8]) -> Result<Self, KeyError> {
        Ok(Self { kid: kid.into(), key: SigningKey::from_pkcs8(der)? })
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// A token that a toolbox will accept; claims that none would are refused here, where somebody sees it.
    pub fn mint(&self, claims: &Claims) -> Result<String, MintError> {
        if claims.iss != CONTROL_PLANE {
            return Err(MintError::Foreign);
        }
        if claims.exp <= claims.iat || claims.exp - claims.iat > MAX_LIFE {
            return Err(MintError::Life);
        }
        let token = jws::sign(&self.key, &self.kid, TYPE, claims);
        if token.len() > MAX_TOKEN { Err(MintError::TooLarge(token.len())) } else { Ok(token) }
    }

    pub(crate) fn sign(&self, typ: &str, claims: &impl serde::Serialize) -> String {
        jws::sign(&self.key, &self.kid, typ, claims)
    }
}
