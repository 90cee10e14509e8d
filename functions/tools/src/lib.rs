#![doc = include_str!("../README.md")]

mod capabilities;
mod catalog;
mod grants;
mod usage;

use ::catalog::{Selector, import::Importer};
use axum::{Router, extract::FromRef};
use capability::Minter;
use edge::{Context, Route, Wake};
use std::{sync::Arc, time::Duration};

/// Below what CloudFront waits for an answer.
const HOSTED_IMPORT: Duration = Duration::from_secs(45);

/// What the handlers share.
#[derive(Clone)]
pub struct State {
    edge: Context,
    selector: Selector,
    importer: Importer,
    /// How long an import is worked on before it is answered; none where the process lives on after an answer.
    import_for: Option<Duration>,
    minter: Arc<Minter>,
    wake: Wake,
}

impl State {
    /// For the embedded default: the toolbox is on this machine.
    pub fn local(edge: Context, selector: Selector, importer: Importer, minter: Arc<Minter>) -> Self {
        Self { wake: Wake::local(&edge, minter.clone()), edge, selector, importer, import_for: None, minter }
    }

    /// For hosted functions: toolboxes have public addresses.
    pub fn hosted(edge: Context, selector: Selector, importer: Importer, minter: Arc<Minter>) -> Self {
        let import_for = Some(HOSTED_IMPORT);
        Self { wake: Wake::hosted(&edge, minter.clone()), edge, selector, importer, import_for, minter }
    }
}

impl FromRef<State> for Context {
    fn from_ref(state: &State) -> Self {
        state.edge.clone()
    }
}

pub const ROUTES: &[Route] = &[
    catalog::SEARCH,
    catalog::SERVER,
    catalog::IMPORT,
    catalog::PROGRESS,
    grants::LIST,
    grants::CREATE,
    grants::DELETE,
    capabilities::CREATE,
    usage::GET,
];

pub fn router(state: State) -> Router {
    catalog::router().merge(grants::router()).merge(capabilities::router()).merge(usage::router()).with_state(state)
}
