//! Which function answers what.

use super::{Parts, search::Search};
use crate::{accounts, trouble::Trouble};
use axum::{Router, response::Redirect, routing::get};
use capability::Minter;
use edge::{Context, Route};
use sealing::Vault;
use std::sync::Arc;

/// Everything that is served; what `/openapi.json` shows and the coverage test walks.
pub const TABLES: &[&[Route]] =
    &[accounts::ROUTES, agents::ROUTES, chat::ROUTES, toolboxes::ROUTES, tools::ROUTES, vault::ROUTES];

/// All functions behind one edge.
pub(super) async fn router(parts: &Parts<'_>, context: &Context, minter: Arc<Minter>) -> Result<Router, Trouble> {
    let Search { selector, importer, .. } = Search::load(parts.home, &context.database).await?.warmed();
    let model = models::language::from_env(|name| std::env::var(name).ok()).map_err(|error| {
        Trouble::new(
            "The language model that the environment names cannot be used.",
            "Mend or unset AGENTOPIA_MODEL_URL, AGENTOPIA_MODEL, ANTHROPIC_API_KEY or OPENAI_API_KEY; none is needed.",
        )
        .caused_by(&error)
    })?;
    let (wrap, here) = (parts.keys.vault.clone(), context.clone());
    let secrets = Vault::new(context.database.clone(), wrap.clone());
    let find = Arc::new(selector.clone());
    let chat = chat::State::local(here.clone(), minter.clone(), secrets.clone(), find).with_model(model);
    let router = Router::new()
        // Whoever opens the address in a browser sees what is served.
        .route("/", get(async || Redirect::to("/docs")))
        .merge(accounts::router(parts.accounts.clone()))
        .merge(agents::router(agents::State::local(here.clone(), minter.clone(), secrets)))
        .merge(chat::router(chat))
        .merge(toolboxes::router(toolboxes::State::local(here.clone(), minter.clone(), parts.url)))
        .merge(tools::router(tools::State::local(here.clone(), selector, importer, minter.clone())))
        .merge(vault::router(vault::State::local(here, wrap, minter)));
    Ok(edge::app(router, TABLES, context))
}
