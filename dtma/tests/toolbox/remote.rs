//! A server behind a URL, from the desired state to its tools: the reconciler, real TLS, the fixture behind it. The Docker engine
//! is away the whole time: it has no part in this.

use crate::conformance::{Direct, NEW, Outcomes, Program, run, with_token};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use capability::{Bearer, Minter, SigningKey, Verifier};
use dtma::{
    docker::{
        Aside, Attached, Bridge, Container, Disk, Engine, Error, Exit, Image, Inspected, Launch, Limits, Machine,
    },
    egress::{self, Egress, World},
    gateway::{self, Control, Lines, Parts, Records, Registry, RequestLog, Settings},
    kept::Kept,
    ledger::Ledger,
    link::{Credentials, Fetched, Fetching},
    packages::{Packages, Registry as PackageRegistry},
    reconcile::{RealWorld, Reconciler, Statuses, Workshop},
    wire::Wire,
};
use futures::{FutureExt, stream::BoxStream};
use protocol::{
    capability::{GrantedTool, RiskClass},
    chat::Secret,
    ids::{AgentId, ServerId, ToolboxId, UserId},
    server::{ServerSpec, ServerState, ServerStatus, Source},
    toolbox::{DesiredState, Revocations},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, rustls};
use tokio_util::task::AbortOnDropHandle;

const KEY: &str = "s3cret-of-the-vault";

struct Away;

fn away<T>() -> Result<T, Error> {
    Err(Error::Refused("the engine is away".into()))
}

#[async_trait::async_trait]
impl Machine for Away {
    async fn containers(&self, _: ToolboxId) -> Result<Vec<Container>, Error> {
        away()
    }
    async fn leftovers(&self, _: ToolboxId) -> Result<Vec<String>, Error> {
        away()
    }
    async fn create(&self, _: Launch) -> Result<String, Error> {
        away()
    }
    async fn start(&self, _: &str) -> Result<(), Error> {
        away()
    }
    async fn attach(&self, _: &str, _: Aside) -> Result<Attached, Error> {
        away()
    }
    async fn stop(&self, _: &str, _: u32) -> Result<(), Error> {
        away()
    }
    async fn remove(&self, _: &str) -> Result<(), Error> {
        away()
    }
    async fn exit(&self, _: &str) -> Result<Exit, Error> {
        away()
    }
    async fn inspect(&self, _: &str) -> Result<Inspected, Error> {
        away()
    }
    async fn ended(&self, _: &str, _: Duration) -> Result<(), Error> {
        away()
    }
    async fn image(&self, _: &str) -> Result<Option<Image>, Error> {
        away()
    }
    async fn pull(&self, _: &str) -> Result<(), Error> {
        away()
    }
    async fn disk(&self) -> Result<Option<Disk>, Error> {
        away()
    }
    async fn volume(&self, _: ToolboxId, _: &str, _: HashMap<String, String>, _: &str) -> Result<(), Error> {
        away()
    }
    async fn network(&self, _: &str, _: HashMap<String, String>) -> Result<Bridge, Error> {
        away()
    }
    async fn forget(&self, _: &str) -> Result<(), Error> {
        away()
    }
    async fn events(&self, _: ToolboxId) -> Result<BoxStream<'static, ()>, Error> {
        away()
    }
}

struct Vault;

impl Credentials for Vault {
    fn fetch(&self, _: ServerId) -> Fetching<'_> {
        let values = BTreeMap::from([("KEY".to_owned(), Secret::new(KEY.into()))]);
        Box::pin(async { Ok(Fetched { values, missing: vec![] }) })
    }
}

struct Quiet;

impl Control for Quiet {
    fn wake(&self) -> bool {
        true
    }

    fn logs(&self, _: &str) -> Option<Lines> {
        None
    }
}

/// TLS before a server that speaks plain HTTP; what clients send is kept.
struct Front {
    port: u16,
    /// Keeps others from being given the port while nobody listens on it.
    _held: TcpSocket,
    /// PEM.
    certificate: String,
    acceptor: TlsAcceptor,
    /// Where the plain server is.
    behind: Arc<Mutex<SocketAddr>>,
    sent: Arc<Mutex<Vec<u8>>>,
}

fn pem(certificate: &rcgen::Certificate) -> String {
    let base64 = BASE64_STANDARD.encode(certificate.der());
    format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
}

/// Nobody is answered at it before it listens.
fn bound(port: u16) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, port).into()).unwrap();
    socket
}

impl Front {
    fn new(behind: &Direct) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let held = bound(0);
        let front = Self {
            port: held.local_addr().unwrap().port(),
            _held: held,
            certificate: pem(&made.cert),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            behind: Arc::new(Mutex::new((Ipv4Addr::LOCALHOST, 1).into())),
            sent: Arc::default(),
        };
        front.lead_to(behind);
        front
    }

    fn lead_to(&self, server: &Direct) {
        *self.behind.lock().unwrap() = server.1.split('/').nth(2).unwrap().parse().unwrap();
    }

    /// Until the handle is dropped; then nobody is there.
    async fn open(&self) -> AbortOnDropHandle<()> {
        let listener = bound(self.port).listen(64).unwrap();
        let (acceptor, behind, sent) = (self.acceptor.clone(), self.behind.clone(), self.sent.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, address, sent) = (acceptor.clone(), *behind.lock().unwrap(), sent.clone());
                open.spawn(async move {
                    let client = acceptor.accept(stream).await?;
                    let server = TcpStream::connect(address).await?;
                    let (mut from, mut to) = tokio::io::split(client);
                    let (mut back, mut forth) = server.into_split();
                    let forward = async {
                        let mut buffer = [0; 4096];
                        loop {
                            let read = from.read(&mut buffer).await?;
                            if read == 0 {
                                return forth.shutdown().await;
                            }
                            sent.lock().unwrap().extend_from_slice(&buffer[..read]);
                            forth.write_all(&buffer[..read]).await?;
                        }
                    };
                    tokio::try_join!(forward, tokio::io::copy(&mut back, &mut to))
                });
            }
        }))
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/mcp", self.port)
    }
}

/// A reconciler that does what it is told.
struct Scene {
    statuses: Statuses,
    registry: Registry,
    desired: watch::Sender<Option<DesiredState>>,
    _reconciler: AbortOnDropHandle<()>,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(world: World, certificate: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, certificate).unwrap();
        let (toolbox, statuses, registry) = (ToolboxId::new(), Statuses::default(), Registry::default());
        let shop = Arc::new(Workshop {
            toolbox,
            engine: Arc::new(Away),
            packages: Packages::new(
                Engine::new(folder.path().join("io")),
                toolbox,
                PackageRegistry::read(std::iter::empty(), Path::new("/nonexistent"), None),
            ),
            registry: registry.clone(),
            wire: Wire::start().unwrap(),
            egress: Egress::new(egress::Settings { world, ..Default::default() }),
            credentials: Arc::new(Vault),
            kept: Kept::nothing(),
            statuses: statuses.clone(),
            limits: Limits::default(),
            ca: Some(ca),
            ledger: Ledger::open(&folder.path().join("state")).unwrap(),
            pins: Mutex::default(),
            series: Mutex::default(),
            world: Arc::new(RealWorld),
        });
        let (desired, wanted) = watch::channel(None);
        let reconciler = AbortOnDropHandle::new(tokio::spawn(Reconciler::new(shop, wanted).run()));
        Self { statuses, registry, desired, _reconciler: reconciler, _folder: folder }
    }

    fn want(&self, generation: u64, servers: &[ServerSpec]) {
        self.desired.send_replace(Some(DesiredState { generation, servers: servers.to_vec() }));
    }

    async fn until(&self, spec: &ServerSpec, is: impl Fn(&ServerStatus) -> bool) -> ServerStatus {
        let seen = async {
            let mut changes = self.statuses.changes();
            loop {
                if let Some(status) = self.statuses.all().into_iter().find(|status| status.id == spec.id && is(status))
                {
                    return status;
                }
                changes.changed().await.unwrap();
            }
        };
        match timeout(Duration::from_secs(20), seen).await {
            Ok(status) => status,
            Err(_) => panic!("it did not come to it: {:?}", self.statuses.all()),
        }
    }
}

/// Every name leads to this machine, which stands for what is out in the world.
fn here() -> World {
    let resolve = |_, port| async move { Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]) }.boxed();
    World { resolve: Arc::new(resolve), reachable: |_| true }
}

fn remote(name: &str, url: String) -> ServerSpec {
    ServerSpec {
        id: ServerId::new(),
        name: name.into(),
        source: Source::Remote { url },
        args: vec![],
        env: BTreeMap::from([("Authorization".into(), "Bearer {KEY}".into())]),
        secrets: vec!["KEY".into()],
        hosts: vec![],
        revision: 0,
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_behind_a_url_is_offered_with_its_credential_and_comes_back() {
    let server = Direct::start(&[]);
    let front = Front::new(&server);
    let open = front.open().await;
    let scene = Scene::new(here(), &front.certificate);
    let spec = remote("far", front.url());
    scene.want(1, std::slice::from_ref(&spec));
    let running = |status: &ServerStatus| status.state == ServerState::Running;
    let status = scene.until(&spec, running).await;
    assert!(status.tools.is_some_and(|tools| tools.len() > 5) && status.started_at.is_some());
    let connection = scene.registry.get("far").unwrap().connection.clone();
    let call = json!({"name": "test_simple_text", "arguments": {}});
    let result = connection.request("tools/call", &call).await.unwrap();
    assert!(result.get().contains("simple text"), "{result}");
    let sent = String::from_utf8_lossy(&front.sent.lock().unwrap()).into_owned();
    assert!(sent.contains(&format!("authorization: Bearer {KEY}\r\n")), "the credential is in its place: {sent}");
    assert!(scene.registry.scrub(KEY).contains("redacted"), "and leaves nowhere else");

    // Nobody is there any more: it is said, and a newer wish does not wait for the next try.
    drop((open, server));
    let status = scene.until(&spec, |status| status.state == ServerState::BackingOff).await;
    assert!(status.detail.as_ref().is_some_and(|detail| detail.contains("trying again")), "{status:?}");
    assert!(scene.registry.get("far").is_none());
    let server = Direct::start(&[]);
    front.lead_to(&server);
    let _open = front.open().await;
    scene.want(2, std::slice::from_ref(&spec));
    scene.until(&spec, running).await;
    assert!(scene.registry.get("far").is_some());

    // Another revision is another connection; without it there is none. A credential that stands nowhere is the bearer's.
    let before = scene.registry.get("far").unwrap().connection.clone();
    let again = ServerSpec { revision: 1, env: BTreeMap::new(), ..spec.clone() };
    front.sent.lock().unwrap().clear();
    scene.want(3, std::slice::from_ref(&again));
    scene.until(&again, |status| running(status) && status.revision == 1).await;
    assert!(!scene.registry.get("far").unwrap().connection.is(&before));
    timeout(Duration::from_secs(5), before.closed()).await.expect("the former is over");
    let sent = String::from_utf8_lossy(&front.sent.lock().unwrap()).into_owned();
    assert!(sent.contains(&format!("authorization: Bearer {KEY}\r\n")), "{sent}");
    scene.want(4, &[]);
    let gone = async {
        while scene.registry.get("far").is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(5), gone).await.expect("it is offered no longer");
}

/// The positive control is the test above: the same server by the same code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_https_to_public_addresses_is_spoken_and_a_stranger_is_not_believed() {
    let server = Direct::start(&[]);
    let front = Front::new(&server);
    let _open = front.open().await;
    let real = World { reachable: domain::address::is_public, ..here() };
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = pem(&other.cert);
    for (world, certificate, url, why) in [
        (here(), &front.certificate, server.1.clone(), "https"),
        (here(), &front.certificate, front.url().replace("//", "//user:password@"), "https"),
        (real.clone(), &front.certificate, format!("https://127.0.0.1:{}/mcp", front.port), "not public"),
        (real.clone(), &front.certificate, format!("https://[::ffff:127.0.0.1]:{}/mcp", front.port), "not public"),
        (real, &front.certificate, front.url(), "no public address"),
        (here(), &other, front.url(), "the server's address does not answer"),
    ] {
        let scene = Scene::new(world, certificate);
        let spec = remote("far", url.clone());
        scene.want(1, std::slice::from_ref(&spec));
        let status = scene.until(&spec, |status| status.state == ServerState::Failed).await;
        let detail = status.detail.unwrap_or_default();
        assert!(detail.contains(why) && !detail.contains("does not speak"), "{url}: {detail}");
    }
    assert!(front.sent.lock().unwrap().is_empty(), "something was said to it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_conforms_directly_conforms_when_it_is_far_away() {
    let Some(suite) = Program::of(&format!("@modelcontextprotocol/conformance@{NEW}"), "conformance") else { return };
    for (revision, more, least) in [("2025-11-25", &[][..], 33), ("2026-07-28", &["stateless"], 40)] {
        let (server, direct) = (Direct::start(more), Direct::start(&[]));
        let front = Front::new(&server);
        let _open = front.open().await;
        let scene = Scene::new(here(), &front.certificate);
        let spec = remote("far", front.url());
        scene.want(1, std::slice::from_ref(&spec));
        let tools = scene.until(&spec, |status| status.state == ServerState::Running).await.tools.unwrap();
        let url = through_a_gateway(&scene, tools.iter().map(|tool| (tool.name.clone(), tool.digest.clone()))).await;
        let command = |url: &str| {
            let mut command = suite.command();
            command.args(["server", "--url", url, "--requirements", revision]);
            command
        };
        let (direct, far): (Outcomes, Outcomes) = tokio::join!(run(command(&direct.1)), run(command(&url)));
        let passes = |outcomes: &Outcomes| outcomes.values().filter(|(_, failed)| *failed == 0).count();
        eprintln!("MEASURED {revision}: {} scenarios pass directly, {} from far away", passes(&direct), passes(&far));
        assert!(passes(&direct) >= least, "{revision}: the fixture does not conform: {direct:#?}");
        for (name, (passed, failed)) in &direct {
            let (still, more) = far.get(name).copied().unwrap_or_default();
            assert!(
                still >= *passed && more <= *failed,
                "{revision}: {name}: {passed} passed directly, {still} far away"
            );
        }
    }
}

/// A gateway over what the scene has, whose caller may call all of it.
async fn through_a_gateway(scene: &Scene, tools: impl Iterator<Item = (String, String)>) -> String {
    let minter = Minter::from_pkcs8("k", &SigningKey::generate().unwrap()).unwrap();
    let (toolbox, owner) = (ToolboxId::new(), UserId::new());
    let keys = BTreeMap::from([("k".to_owned(), minter.key().public_key().to_string())]);
    let verifier = Verifier::new(&keys, toolbox, owner).unwrap();
    verifier.set_revocations(&Revocations::default(), now()).unwrap();
    let passing = json!({"name": "test_passing", "description": "Comes and goes", "inputSchema": {"type": "object"}});
    let passing = ("test_passing".to_owned(), mcp::json::digest(&passing.to_string()).unwrap());
    let granted = tools.chain([passing]).map(|(tool, digest)| GrantedTool {
        server: "far".into(),
        tool,
        digest,
        args: None,
        class: RiskClass::Read,
    });
    let bearer = Bearer { toolbox, owner, agent: AgentId::new(), run: None, epoch: 1 };
    let token = minter.mint(&bearer.claims(granted.collect(), now(), None).unwrap()).unwrap();
    let endpoint = gateway::Endpoint::new(Parts {
        registry: scene.registry.clone(),
        verifier,
        requests: Arc::new(RequestLog::default()),
        control: Arc::new(Quiet),
        records: Records::default(),
        heard: watch::channel(()).1,
        settings: Settings::default(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = format!("http://{}/mcp", listener.local_addr().unwrap());
    let front = gateway::Front::plain(listener).unwrap();
    tokio::spawn(gateway::serve(front, endpoint, std::future::pending(), Duration::ZERO));
    format!("{}/far", with_token(&gateway, token).await)
}
