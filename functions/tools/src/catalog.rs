//! `/api/catalog`: find a server, look at one, import a registry.

use crate::State;
use ::catalog::{
    import::ImportError,
    registry::{OFFICIAL, Registry, RegistryError},
};
use axum::{
    Json, Router,
    extract::State as From,
    routing::{get, post},
};
use edge::{Error, Operator, Path, Query, Route, User, Who};
use protocol::{
    catalog::{Import, ImportRequest, SearchReply, ServerJson},
    ids::ImportId,
};
use serde::Deserialize;

pub(crate) const SEARCH: Route =
    Route::get("/api/catalog/search", Who::User, "The servers for a request, as the chat selects them")
        .with_query(&["q", "limit"]);
pub(crate) const SERVER: Route = Route::get("/api/catalog/servers/{*name}", Who::User, "One entry of the catalog");
pub(crate) const IMPORT: Route =
    Route::post("/api/catalog/import", Who::Operator, "Import a registry, or go on with an import; how far it is");
pub(crate) const PROGRESS: Route = Route::get("/api/catalog/imports/{id}", Who::Operator, "How far an import is");

const LIMIT: usize = 10;
const LIMIT_MAX: usize = 50;

pub(crate) fn router() -> Router<State> {
    Router::new()
        .route(SEARCH.path, get(search))
        .route(SERVER.path, get(server))
        .route(IMPORT.path, post(import))
        .route(PROGRESS.path, get(progress))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    q: String,
    #[serde(default)]
    limit: Option<usize>,
}

async fn search(
    user: User,
    Query(search): Query<Search>,
    From(state): From<State>,
) -> Result<Json<SearchReply>, Error> {
    let limit = search.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    Ok(Json(state.selector.search(&user.caller(), &search.q, limit).await.map_err(unsearched)?))
}

async fn server(user: User, Path(name): Path<String>, From(state): From<State>) -> Result<Json<ServerJson>, Error> {
    Ok(Json(state.edge.database.catalog_server_get(&user.caller(), &name).await?))
}

async fn import(
    _: Operator,
    From(state): From<State>,
    edge::Json(request): edge::Json<ImportRequest>,
) -> Result<Json<Import>, Error> {
    let registry = Registry::new(request.url.as_deref().unwrap_or(OFFICIAL)).map_err(|error| match error {
        RegistryError::Address(_) => Error::invalid(error.to_string(), "Give its base address, without /v0.1."),
        error => Error::internal(error),
    })?;
    let import = match state.import_for {
        Some(time) => state.importer.work(&registry, request.full, time).await,
        None => state.importer.start(registry, request.full).await,
    };
    import.map(Json).map_err(|error| match error {
        ImportError::Database(error) => error.into(),
        error => Error::internal(error),
    })
}

async fn progress(_: Operator, Path(id): Path<ImportId>, From(state): From<State>) -> Result<Json<Import>, Error> {
    Ok(Json(state.importer.progress(id).await?))
}

fn unsearched(error: ::catalog::Error) -> Error {
    match error {
        ::catalog::Error::Database(error) => error.into(),
        error @ ::catalog::Error::Embedding(_) => Error::unavailable(
            "The embedding model does not answer.",
            "Try again; `agentopia doctor` says what is wrong with it.",
        )
        .with_source(error),
    }
}
