//! Who calls: the claims that row-level security decides by.

use protocol::{
    chat::Secret,
    ids::{ToolboxId, UserId},
};
use serde::Serialize;
use std::{fmt, sync::Arc};

/// The principal of one call. Made from what the edge has verified, never from what a request says.
#[derive(Clone)]
pub struct Caller {
    pub(crate) claims: Claims,
    /// The caller's own JWT, which PostgREST verifies again.
    token: Option<Arc<Secret>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Claims {
    pub(crate) role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sub: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) toolbox_id: Option<ToolboxId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Anon,
    Authenticated,
    Toolbox,
    Service,
}

impl Caller {
    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self::new(Role::Anon, None, None)
    }

    pub fn user(user: UserId) -> Self {
        Self::new(Role::Authenticated, Some(user), None)
    }

    /// A toolbox, which sees of its owner's rows what concerns it.
    pub fn toolbox(toolbox: ToolboxId, owner: UserId) -> Self {
        Self::new(Role::Toolbox, Some(owner), Some(toolbox))
    }

    /// The control plane itself: the sweeper, minting, the catalog. Named functions only.
    pub fn service() -> Self {
        Self::new(Role::Service, None, None)
    }

    /// The JWT that the caller came with; PostgREST wants it, the direct door does not.
    pub fn with_token(mut self, jwt: Secret) -> Self {
        self.token = Some(Arc::new(jwt));
        self
    }

    pub fn token(&self) -> Option<&Secret> {
        self.token.as_deref()
    }

    fn new(role: Role, sub: Option<UserId>, toolbox_id: Option<ToolboxId>) -> Self {
        Self { claims: Claims { role, sub, toolbox_id }, token: None }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.claims.fmt(f)
    }
}
