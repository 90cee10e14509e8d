//! Which function answers what.

use super::Parts;
use crate::{accounts, trouble::Trouble};
use axum::Router;
use capability::Minter;
use edge::{Context, Route};
use sealing::Vault;
use std::sync::Arc;

/// Everything that is served; what `/openapi.json` shows and the coverage test walks.
pub const TABLES: &[&[Route]] = &[accounts::ROUTES, agents::ROUTES, toolboxes::ROUTES, vault::ROUTES];

/// All functions behind one edge.
pub(super) async fn router(parts: &Parts<'_>, context: &Context, minter: Arc<Minter>) -> Result<Router, Trouble> {
    let wrap = parts.keys.vault.clone();
    let secrets = Vault::new(context.database.clone(), wrap.clone());
    let router = Router::new()
        .merge(accounts::router(parts.accounts.clone()))
        .merge(agents::router(agents::State::local(context.clone(), minter.clone(), secrets)))
        .merge(toolboxes::router(toolboxes::State::local(context.clone(), minter.clone(), parts.url)))
        .merge(vault::router(vault::State::local(context.clone(), wrap, minter)));
    Ok(edge::app(router, TABLES, context))
}
