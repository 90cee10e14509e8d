//! As much of a control plane as one toolbox needs: enrolment, check-in, capabilities.

use super::{Done, Options};
use axum::{Json, Router, extract::State, routing::post};
use capability::{Bearer, Minter, SigningKey};
use protocol::{
    Timestamp,
    capability::{GrantedTool, RiskClass},
    ids::{AgentId, ServerId, ToolboxId, UserId},
    server::{ServerSpec, Source, Tool},
    toolbox::{CheckInReply, CheckInRequest, DesiredState, EnrolReply, EnrolRequest, Revocations},
};
use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Well within a capability's quarter of an hour.
const FRESH: Duration = Duration::from_secs(240);

struct Plane {
    url: String,
    minter: Minter,
    bearer: Bearer,
    servers: Vec<ServerSpec>,
    tools: Mutex<BTreeMap<ServerId, Vec<Tool>>>,
}

pub(super) fn run(options: &Options) -> Done {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(options))
}

async fn serve(options: &Options) -> Done {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let plane = Arc::new(Plane {
        url: format!("http://{}", listener.local_addr()?),
        minter: Minter::from_pkcs8("bench", &SigningKey::generate()?)?,
        bearer: Bearer { toolbox: ToolboxId::new(), owner: UserId::new(), agent: AgentId::new(), run: None, epoch: 0 },
        servers: (0..options.count).map(|number| server(number, &options.image)).collect(),
        tools: Mutex::default(),
    });
    fs::write(options.dir.join("plane.pid"), std::process::id().to_string())?;
    let router = Router::new()
        .route("/api/toolboxes/enrol", post(enrol))
        .route("/api/toolboxes/checkin", post(checkin))
        .with_state(plane.clone());
    let served = tokio::spawn(async move { axum::serve(listener, router).await });
    fs::write(options.dir.join("plane.url"), &plane.url)?;
    while plane.listed() < options.count {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    while !served.is_finished() {
        // Whole or not at all: somebody may be reading it.
        fs::write(options.dir.join("token.new"), plane.token()?)?;
        fs::rename(options.dir.join("token.new"), options.dir.join("token"))?;
        tokio::time::sleep(FRESH).await;
    }
    Ok(())
}

fn server(number: usize, image: &str) -> ServerSpec {
    ServerSpec {
        id: ServerId::new(),
        name: format!("b{number:02}"),
        source: Source::Oci { image: image.into() },
        args: vec![],
        env: BTreeMap::new(),
        secrets: vec![],
        hosts: vec![],
        revision: 0,
    }
}

impl Plane {
    fn listed(&self) -> usize {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn keys(&self) -> BTreeMap<String, String> {
        [("bench".to_owned(), self.minter.key().public_key().to_string())].into()
    }

    /// A capability for every tool of every server.
    fn token(&self) -> Result<String, capability::MintError> {
        let tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        let granted = self.servers.iter().flat_map(|server| {
            tools.get(&server.id).into_iter().flatten().map(|tool| GrantedTool {
                server: server.name.clone(),
                tool: tool.name.clone(),
                digest: tool.digest.clone(),
                args: None,
                // What a toolbox allows also while its control plane is out of reach.
                class: RiskClass::Read,
            })
        });
        let mut claims = self.bearer.claims(granted.collect(), Timestamp::now().as_second(), None)?;
        // A bench makes more of them than any agent.
        claims.calls = None;
        self.minter.mint(&claims)
    }
}

async fn enrol(State(plane): State<Arc<Plane>>, Json(_): Json<EnrolRequest>) -> Json<EnrolReply> {
    Json(EnrolReply {
        toolbox_id: plane.bearer.toolbox,
        owner: plane.bearer.owner,
        capability_keys: plane.keys(),
        control_plane: plane.url.clone(),
    })
}

async fn checkin(State(plane): State<Arc<Plane>>, Json(request): Json<CheckInRequest>) -> Json<CheckInReply> {
    let mut tools = plane.tools.lock().unwrap_or_else(PoisonError::into_inner);
    tools.extend(request.servers.into_iter().filter_map(|status| Some((status.id, status.tools?))));
    let desired = DesiredState { generation: 1, servers: plane.servers.clone() };
    Json(CheckInReply {
        interval: 30,
        now: Timestamp::now(),
        desired: Some(desired).filter(|_| request.known_generation == 0),
        revocations: Revocations::default(),
        capability_keys: plane.keys(),
    })
}
