//! Which function answers what.

use super::Parts;
use crate::{accounts, trouble::Trouble};
use axum::Router;
use capability::Minter;
use edge::{Context, Route};
use std::sync::Arc;

/// Everything that is served; what `/openapi.json` shows and the coverage test walks.
pub const TABLES: &[&[Route]] = &[accounts::ROUTES, toolboxes::ROUTES];

/// All functions behind one edge.
pub(super) async fn router(parts: &Parts<'_>, context: &Context, minter: Arc<Minter>) -> Result<Router, Trouble> {
    let router = Router::new()
        .merge(accounts::router(parts.accounts.clone()))
        .merge(toolboxes::router(toolboxes::State::local(context.clone(), minter.clone(), parts.url)));
    Ok(edge::app(router, TABLES, context))
}
