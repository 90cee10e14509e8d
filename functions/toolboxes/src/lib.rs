#![doc = include_str!("../README.md")]

mod bounds;
mod checkin;
mod enrol;
mod events;
mod logs;
mod provision;
mod servers;
mod toolboxes;

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use capability::Minter;
use edge::{Context, Route, Wake, Who};
use logs::Relay;
use std::{collections::BTreeMap, sync::Arc};

pub use provision::{DIGITALOCEAN, Installation, Provisioning, Unfit};

/// What the handlers share.
#[derive(Clone)]
pub struct State {
    edge: Context,
    wake: Wake,
    relay: Relay,
    /// Key id to public key: what a toolbox verifies capabilities with.
    capability_keys: Arc<BTreeMap<String, String>>,
    /// Where toolboxes check in.
    control_plane: Arc<str>,
    provisioning: Option<Provisioning>,
}

impl State {
    /// For the embedded default: the toolbox is on this machine.
    pub fn local(edge: Context, minter: Arc<Minter>, control_plane: &str) -> Self {
        let (wake, relay) = (Wake::local(&edge, minter.clone()), Relay::local(&edge, minter.clone()));
        Self::new(edge, wake, relay, &minter, control_plane)
    }

    /// For hosted functions: toolboxes have public addresses.
    pub fn hosted(edge: Context, minter: Arc<Minter>, control_plane: &str) -> Self {
        let (wake, relay) = (Wake::hosted(&edge, minter.clone()), Relay::hosted(&edge, minter.clone()));
        Self::new(edge, wake, relay, &minter, control_plane)
    }

    fn new(edge: Context, wake: Wake, relay: Relay, minter: &Minter, control_plane: &str) -> Self {
        let keys = BTreeMap::from([(minter.kid().to_owned(), minter.key().public_key().to_string())]);
        Self {
            edge,
            wake,
            relay,
            capability_keys: Arc::new(keys),
            control_plane: control_plane.into(),
            provisioning: None,
        }
    }

    /// Lets users have machines made for their toolboxes.
    pub fn with_provisioning(mut self, provisioning: Provisioning) -> Self {
        self.provisioning = Some(provisioning);
        self
    }
}

impl FromRef<State> for Context {
    fn from_ref(state: &State) -> Self {
        state.edge.clone()
    }
}

pub const ROUTES: &[Route] = &[
    Route::post("/api/toolboxes", Who::User, "Make a toolbox; the reply has its enrolment token, or its machine"),
    Route::get("/api/toolboxes", Who::User, "Your toolboxes"),
    Route::post("/api/toolboxes/enrol", Who::Enrolment, "Become a toolbox, with its enrolment token as the bearer"),
    Route::post("/api/toolboxes/checkin", Who::Device, "Report what runs; hear what should"),
    Route::post("/api/toolboxes/events", Who::Device, "Record what has happened"),
    Route::get("/api/toolboxes/{id}", Who::User, "One of your toolboxes"),
    Route::delete(
        "/api/toolboxes/{id}",
        Who::User,
        "Forget a toolbox and its servers; destroy the machine made for it",
    )
    .with_query(&["keep_machine"]),
    Route::get("/api/toolboxes/{id}/events", Who::User, "What has happened there, newest first")
        .with_query(&["kind", "before", "limit"]),
    Route::post("/api/toolboxes/{id}/servers", Who::User, "Deploy a server"),
    Route::get("/api/toolboxes/{id}/servers", Who::User, "The servers of a toolbox"),
    Route::get("/api/toolboxes/{id}/servers/{sid}", Who::User, "One server, with its tools"),
    Route::delete("/api/toolboxes/{id}/servers/{sid}", Who::User, "Stop and forget a server"),
    Route::post("/api/toolboxes/{id}/servers/{sid}/restart", Who::User, "Restart a server"),
    Route::get("/api/toolboxes/{id}/servers/{sid}/logs", Who::User, "What a server writes, as server-sent events"),
];

pub fn router(state: State) -> Router {
    Router::new()
        .route("/api/toolboxes", post(toolboxes::create).get(toolboxes::list))
        .route("/api/toolboxes/enrol", post(enrol::enrol))
        .route("/api/toolboxes/checkin", post(checkin::checkin))
        .route("/api/toolboxes/events", post(events::record))
        .route("/api/toolboxes/{id}/events", get(events::list))
        .route("/api/toolboxes/{id}", get(toolboxes::get).delete(toolboxes::delete))
        .route("/api/toolboxes/{id}/servers", post(servers::create).get(servers::list))
        .route("/api/toolboxes/{id}/servers/{sid}", get(servers::get).delete(servers::delete))
        .route("/api/toolboxes/{id}/servers/{sid}/restart", post(servers::restart))
        .route("/api/toolboxes/{id}/servers/{sid}/logs", get(logs::logs))
        .with_state(state)
}
