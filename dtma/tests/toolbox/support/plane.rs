use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use capability::{Bearer, Minter, PublicKey, SigningKey, device};
use protocol::{
    Timestamp,
    capability::{GrantedTool, RiskClass},
    chat::Secret,
    event::{Event, EventReply, EventUpload},
    ids::{AgentId, CredentialId, ServerId, SpoolId, ToolboxId, UserId},
    server::{ServerSpec, ServerState, ServerStatus, Tool},
    toolbox::*,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

pub(crate) const TOKEN: &str = "agentopia_enrol_test";

pub(crate) struct Inner {
    pub(crate) desired: Option<DesiredState>,
    /// Sent although the toolbox knows it.
    pub(crate) insist: bool,
    pub(crate) checkins: Vec<CheckInRequest>,
    /// As they came, those that came again too.
    pub(crate) events: Vec<(SpoolId, Event)>,
    /// Record events and answer with this status.
    pub(crate) deaf: Option<StatusCode>,
    pub(crate) statuses: HashMap<ServerId, ServerStatus>,
    pub(crate) tools: HashMap<ServerId, Vec<Tool>>,
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) fetched: usize,
    /// Answer everything with this status.
    pub(crate) broken: Option<StatusCode>,
    pub(crate) interval: u32,
    pub(crate) revocations: Revocations,
    key: Option<PublicKey>,
    gateway: String,
}

#[derive(Clone)]
pub(crate) struct Plane {
    pub(crate) url: String,
    pub(crate) toolbox: ToolboxId,
    pub(crate) owner: UserId,
    pub(crate) minter: Arc<Minter>,
    inner: Arc<Mutex<Inner>>,
}

impl Plane {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plane = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            toolbox: ToolboxId::new(),
            owner: UserId::new(),
            minter: Arc::new(Minter::from_pkcs8("test", &SigningKey::generate().unwrap()).unwrap()),
            inner: Arc::new(Mutex::new(Inner {
                desired: None,
                insist: false,
                checkins: vec![],
                events: vec![],
                deaf: None,
                statuses: HashMap::new(),
                tools: HashMap::new(),
                values: BTreeMap::new(),
                fetched: 0,
                broken: None,
                interval: 30,
                revocations: Revocations::default(),
                key: None,
                gateway: String::new(),
            })),
        };
        let router = Router::new()
            .route("/api/toolboxes/enrol", post(enrol))
            .route("/api/toolboxes/checkin", post(checkin))
            .route("/api/toolboxes/events", post(events))
            .route("/api/toolboxes/credentials", post(credentials))
            .with_state(plane.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        plane
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn keys(&self) -> BTreeMap<String, String> {
        [("test".to_owned(), self.minter.key().public_key().to_string())].into()
    }

    /// A newer desired state, and a wake as the real one sends.
    pub(crate) async fn want(&self, servers: &[ServerSpec]) {
        {
            let mut inner = self.inner();
            let generation = inner.desired.as_ref().map_or(1, |state| state.generation + 1);
            inner.desired = Some(DesiredState { generation, servers: servers.to_vec() });
        }
        self.wake().await;
    }

    pub(crate) async fn wake(&self) {
        let gateway = self.inner().gateway.clone();
        if gateway.is_empty() {
            return;
        }
        let now = Timestamp::now().as_second();
        let token =
            capability::control::sign(&self.minter, self.toolbox, capability::control::Action::Wake, now).unwrap();
        let url = gateway.replace("/mcp", "/wake");
        // Woken too often, or not there yet: it comes by itself.
        let _ = reqwest::Client::new().post(url).bearer_auth(token).send().await;
    }

    pub(crate) async fn until<T>(&self, what: &str, seconds: u64, look: impl Fn(&Inner) -> Option<T>) -> T {
        let until = tokio::time::Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(found) = look(&self.inner()) {
                return found;
            }
            if tokio::time::Instant::now() > until {
                panic!("not within {seconds} s: {what}; statuses: {:#?}", brief(&self.inner()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn until_checked_in(&self, more_than: usize) {
        self.until("a check-in", 60, |inner| (inner.checkins.len() > more_than).then_some(())).await;
    }

    pub(crate) async fn until_state(&self, spec: &ServerSpec, state: ServerState, seconds: u64) -> ServerStatus {
        let what = format!("{} is {state:?}", spec.name);
        self.until(&what, seconds, |inner| {
            let status = inner.statuses.get(&spec.id)?;
            (status.state == state && status.revision == spec.revision).then(|| status.clone())
        })
        .await
    }

    pub(crate) async fn until_running(&self, spec: &ServerSpec) -> ServerStatus {
        // An install from a registry takes what its network gives.
        self.until_state(spec, ServerState::Running, 240).await
    }

    pub(crate) async fn until_applied(&self, generation: u64) {
        let what = format!("generation {generation} is applied");
        self.until(&what, 60, |inner| (inner.checkins.last()?.applied_generation == generation).then_some(())).await;
    }

    pub(crate) fn gateway(&self) -> String {
        self.inner().gateway.clone()
    }

    /// Every tool that was reported.
    pub(crate) fn granted(&self, servers: &[ServerSpec]) -> Vec<GrantedTool> {
        let mut tools = vec![];
        for spec in servers {
            for tool in self.inner().tools.get(&spec.id).into_iter().flatten() {
                tools.push(GrantedTool {
                    server: spec.name.clone(),
                    tool: tool.name.clone(),
                    digest: tool.digest.clone(),
                    args: None,
                    class: RiskClass::Read,
                });
            }
        }
        tools
    }

    pub(crate) fn token(&self, tools: Vec<GrantedTool>) -> String {
        let bearer = Bearer { toolbox: self.toolbox, owner: self.owner, agent: AgentId::new(), run: None, epoch: 0 };
        let now = Timestamp::now().as_second();
        self.minter.mint(&bearer.claims(tools, now, None).unwrap()).unwrap()
    }

    /// A client that may call every tool that was reported.
    pub(crate) fn client(&self, servers: &[ServerSpec]) -> mcp::client::Client {
        let token = self.token(self.granted(servers));
        mcp::client::Client::new(reqwest::Client::new(), self.gateway(), token)
    }
}

fn brief(inner: &Inner) -> Vec<ServerStatus> {
    inner.statuses.values().map(|status| ServerStatus { tools: None, ..status.clone() }).collect()
}

async fn enrol(
    State(plane): State<Plane>,
    headers: HeaderMap,
    Json(request): Json<EnrolRequest>,
) -> Result<Json<EnrolReply>, StatusCode> {
    if headers["authorization"] != format!("Bearer {TOKEN}") {
        return Err(StatusCode::UNAUTHORIZED);
    }
    plane.inner().key = Some(request.public_key.parse().unwrap());
    Ok(Json(EnrolReply {
        toolbox_id: plane.toolbox,
        owner: plane.owner,
        capability_keys: plane.keys(),
        control_plane: plane.url.clone(),
    }))
}

fn device(plane: &Plane, headers: &HeaderMap) -> Result<PublicKey, StatusCode> {
    if let Some(status) = plane.inner().broken {
        return Err(status);
    }
    let token = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let key = plane.inner().key.unwrap();
    let claims = device::verify(&key, token, Timestamp::now().as_second()).map_err(|_| StatusCode::UNAUTHORIZED)?;
    if claims.toolbox == plane.toolbox { Ok(key) } else { Err(StatusCode::FORBIDDEN) }
}

async fn checkin(
    State(plane): State<Plane>,
    headers: HeaderMap,
    Json(request): Json<CheckInRequest>,
) -> Result<Json<CheckInReply>, StatusCode> {
    device(&plane, &headers)?;
    let capability_keys = plane.keys();
    let mut inner = plane.inner();
    let known = request.known_generation;
    inner.gateway = request.gateway.clone();
    for status in &request.servers {
        if let Some(tools) = &status.tools {
            inner.tools.insert(status.id, tools.clone());
        }
    }
    inner.statuses = request.servers.iter().map(|status| (status.id, status.clone())).collect();
    inner.checkins.push(request);
    let insist = inner.insist;
    Ok(Json(CheckInReply {
        interval: inner.interval,
        now: Timestamp::now(),
        desired: inner.desired.clone().filter(|state| insist || state.generation > known),
        revocations: inner.revocations.clone(),
        capability_keys,
    }))
}

async fn events(
    State(plane): State<Plane>,
    headers: HeaderMap,
    Json(upload): Json<EventUpload>,
) -> Result<Json<EventReply>, StatusCode> {
    device(&plane, &headers)?;
    let mut inner = plane.inner();
    let through = upload.events.last().map_or(0, |event| event.number);
    inner.events.extend(upload.events.into_iter().map(|event| (upload.spool, event)));
    inner.deaf.map_or(Ok(Json(EventReply { through })), Err)
}

async fn credentials(
    State(plane): State<Plane>,
    headers: HeaderMap,
    Json(request): Json<CredentialsRequest>,
) -> Result<Json<CredentialsReply>, StatusCode> {
    let key = device(&plane, &headers)?;
    let recipient =
        sealing::delivery::verify(&request, plane.toolbox, &key).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)?;
    let mut inner = plane.inner();
    inner.fetched += 1;
    let wanted = inner.desired.iter().flat_map(|state| &state.servers).find(|spec| spec.id == request.server_id);
    let secrets = wanted.map(|spec| spec.secrets.clone()).unwrap_or_default();
    let mut reply = CredentialsReply { sealed: vec![], missing: vec![] };
    for name in secrets {
        let Some(value) = inner.values.get(&name) else {
            reply.missing.push(name);
            continue;
        };
        let delivery = sealing::delivery::Delivery {
            tenant: plane.owner,
            id: CredentialId::new(),
            version: 1,
            key: &name,
            value: &Secret::new(value.clone()),
            expires_at: None,
        };
        let now = Timestamp::now().as_second();
        reply.sealed.push(sealing::delivery::seal(&delivery, &recipient, &plane.minter, now).unwrap());
    }
    Ok(Json(reply))
}
