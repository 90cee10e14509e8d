//! The servers of a toolbox, deployed without the chat.

use crate::State;
use axum::{Json, extract::State as From};
use database::server::{Deployed, Wanted};
use edge::{Error, Path, User};
use http::StatusCode;
use protocol::{
    ids::{ServerId, ToolboxId},
    toolbox::{Server, ServerCreate},
};

pub(crate) async fn create(
    user: User,
    Path(toolbox): Path<ToolboxId>,
    From(state): From<State>,
    edge::Json(request): edge::Json<ServerCreate>,
) -> Result<(StatusCode, Json<Server>), Error> {
    let wanted = wanted(request)?;
    let deployed = state.edge.database.server_create(&user.caller(), toolbox, &wanted).await?;
    Ok((StatusCode::CREATED, Json(tell(&state, deployed).await)))
}

pub(crate) async fn list(
    user: User,
    Path(toolbox): Path<ToolboxId>,
    From(state): From<State>,
) -> Result<Json<Vec<Server>>, Error> {
    Ok(Json(state.edge.database.server_list(&user.caller(), toolbox).await?))
}

pub(crate) async fn get(
    user: User,
    Path((toolbox, id)): Path<(ToolboxId, ServerId)>,
    From(state): From<State>,
) -> Result<Json<Server>, Error> {
    Ok(Json(state.edge.database.server_get(&user.caller(), toolbox, id).await?))
}

pub(crate) async fn restart(
    user: User,
    Path((toolbox, id)): Path<(ToolboxId, ServerId)>,
    From(state): From<State>,
) -> Result<Json<Server>, Error> {
    let deployed = state.edge.database.server_restart(&user.caller(), toolbox, id).await?;
    Ok(Json(tell(&state, deployed).await))
}

pub(crate) async fn delete(
    user: User,
    Path((toolbox, id)): Path<(ToolboxId, ServerId)>,
    From(state): From<State>,
) -> Result<StatusCode, Error> {
    let reachable = state.edge.database.server_delete(&user.caller(), toolbox, id).await?;
    futures::future::join_all(reachable.iter().map(|one| state.wake.toolbox(one.id, &one.gateway))).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets the toolbox look at its new desired state now.
async fn tell(state: &State, deployed: Deployed) -> Server {
    if let Some(gateway) = &deployed.gateway {
        state.wake.toolbox(deployed.server.toolbox_id, gateway).await;
    }
    deployed.server
}

fn wanted(request: ServerCreate) -> Result<Wanted, Error> {
    let ServerCreate { name, source, args, env, secrets, hosts } = request;
    if name.as_deref().is_some_and(|name| !domain::names::is_server_name(name)) {
        return Err(Error::invalid(
            "This name cannot be a server's.",
            "Use up to 40 lower-case letters, digits and hyphens, and none of the gateway's own names.",
        ));
    }
    let source = domain::desired::fit(&source, &args, &env, &secrets, &hosts)
        .map_err(|unfit| Error::invalid(format!("This server cannot be run: {unfit}."), "Change it and try again."))?;
    Ok(Wanted {
        suggested: domain::desired::name(&source),
        name,
        catalog_name: None,
        source,
        // Without an entry the source alone says what is the same.
        pinned: false,
        args,
        env,
        secrets,
        hosts,
    })
}
