//! The way out as the kernel sees it: real containers, real firewall rules, real TCP servers. Only what lies outside of the machine
//! is ours: a table of names that leads to hosts of this test.

use crate::support::docker;
use dtma::{
    docker::{Bridge, Engine, labels},
    egress::{
        Egress, Opened, Rules, Settings, World,
        refusal::{Refusal, Why},
    },
};
use futures::FutureExt;
use protocol::ids::{ServerId, ToolboxId};
use serde_json::{Value, json};
use std::{
    io::{self, BufRead, BufReader, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const PROGRAM: &str = include_str!("reach.py");
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

/// A server's network and its way out.
struct Outlet {
    name: String,
    server: ServerId,
    bridge: Bridge,
    egress: Egress,
    opened: Opened,
    told: Arc<Mutex<Vec<Refusal>>>,
}

impl Outlet {
    async fn open(hosts: &[String]) -> Self {
        let (toolbox, server) = (ToolboxId::new(), ServerId::new());
        let name = labels::name(toolbox, server);
        let told = Arc::<Mutex<Vec<Refusal>>>::default();
        let sink = told.clone();
        // What the world knows. Loopback stands for "public" here, and is what the real rule refuses first.
        let resolve = |name: String, port| {
            let found = match name.as_str() {
                "meta.test" => Ok(vec![SocketAddr::new(METADATA, port)]),
                "mixed.test" => Ok(vec![SocketAddr::new(METADATA, port), SocketAddr::new(LOOPBACK, port)]),
                name if name.ends_with(".test") => Ok(vec![SocketAddr::new(LOOPBACK, port)]),
                _ => Err(io::Error::other("no such name")),
            };
            async move { found }.boxed()
        };
        let egress = Egress::new(Settings {
            refused: Arc::new(move |refusal| sink.lock().unwrap().push(refusal)),
            unguarded: false,
            world: World { resolve: Arc::new(resolve), reachable: |ip| ip == LOOPBACK },
        });
        let bridge =
            Engine::new("/nonexistent".into()).network(&name, labels::of_server(toolbox, server)).await.unwrap();
        let rules = Rules::of(hosts).unwrap().unwrap();
        let opened = egress.serve(server, &bridge, rules).await.unwrap();
        Self { name, server, bridge, egress, opened, told }
    }

    fn refused(&self, host: &str, port: Option<u16>, why: Why) -> bool {
        let refusal = Refusal { server: self.server, host: host.into(), port, why };
        self.told.lock().unwrap().contains(&refusal)
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.egress.end(self.server);
        // Also when the test failed before it got so far.
        let _ = Command::new("docker").args(["network", "rm", &self.name]).output();
    }
}

/// The program in a container on that network.
struct Guest {
    name: String,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Guest {
    fn start(outlet: &Outlet) -> Self {
        let dns = outlet.opened.dns.to_string();
        let name = format!("{}-guest", outlet.name);
        let mut child = Command::new("docker")
            .args(["run", "--rm", "-i", "--network", &outlet.name, "--dns", &dns, "--cap-drop", "ALL"])
            .args(["--name", &name, "--user", "65532:65532"])
            .args(["agentopia/mcp-python", "python3", "-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { name, child, input, output }
    }

    /// On a thread that may wait: the hosts that are asked run in this test's runtime.
    fn ask(&mut self, step: Value) -> String {
        tokio::task::block_in_place(|| {
            writeln!(self.input, "{step}").unwrap();
            let mut line = String::new();
            self.output.read_line(&mut line).unwrap();
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{step}: {error}: {line}"))
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Ending the client alone would leave the container for a while, and with it the network.
        let _ = Command::new("docker").args(["rm", "-f", &self.name]).output();
        let _ = self.child.wait();
    }
}

/// Says `first` to whoever connects, and then what it is told.
async fn host(first: &'static str, at: &str) -> u16 {
    let listener = TcpListener::bind((at, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(first.as_bytes()).await;
        }
    });
    port
}

async fn http_host() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1024];
            let n = stream.read(&mut head).await.unwrap();
            let asked = String::from_utf8_lossy(&head[..n]).to_ascii_lowercase();
            let host = asked.lines().find(|line| line.starts_with("host: ")).unwrap_or_default().to_owned();
            let answer = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{host}", host.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_listed_host_is_reached_by_name_whatever_the_protocol() {
    if !docker() {
        return;
    }
    let database = testkit::empty_database().await;
    let url: url::Url = database.admin_url.parse().unwrap();
    let (postgres, web, greeter) = (url.port().unwrap(), http_host().await, host("220 hello", "127.0.0.1").await);
    let outlet = Outlet::open(&[
        format!("db.test:{postgres}"),
        format!("api.test:{web}"),
        format!("*.wild.test:{greeter}"),
        format!("mixed.test:{greeter}"),
    ])
    .await;
    let mut guest = Guest::start(&outlet);
    assert_eq!(guest.ask(json!(["http", "api.test", web])), format!("host: api.test:{web}"));
    assert_eq!(guest.ask(json!(["postgres", "db.test", postgres])), "42");
    // A protocol in which the host speaks first; a name that no rule lists as it is; upper case; one bad address of two.
    for name in ["a.wild.test", "b.c.wild.test", "A.WILD.TEST", "mixed.test"] {
        assert_eq!(guest.ask(json!(["connect", name, greeter])), "220 hello", "{name}");
    }
    let gateway = outlet.bridge.subnet.gateway().to_string();
    assert_eq!(guest.ask(json!(["tcp_dns", "api.test", gateway])), "code 0, 1 answers");
    assert_eq!(guest.ask(json!(["tcp_dns", "other.test", gateway])), "code 3, 0 answers");

    // A new daemon: another egress on the same network, and the address that the container remembers.
    let before = guest.ask(json!(["resolve", "api.test"]));
    outlet.egress.end(outlet.server);
    assert_ne!(guest.ask(json!(["connect", before, web])), "closed");
    let hosts = [format!("api.test:{web}"), format!("db.test:{postgres}")];
    let again = Egress::default();
    again.serve(outlet.server, &outlet.bridge, Rules::of(&hosts).unwrap().unwrap()).await.unwrap();
    assert_eq!(guest.ask(json!(["resolve", "api.test"])), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_is_not_listed_is_refused_and_told() {
    if !docker() {
        return;
    }
    let (good, other) = (host("good", "127.0.0.1").await, host("other", "127.0.0.1").await);
    // Something of the machine's own, on every address that it has.
    let own = host("private", "0.0.0.0").await;
    let outlet =
        Outlet::open(&[format!("api.test:{good}"), "meta.test:80".into(), format!("*.wild.test:{good}")]).await;
    let gateway = outlet.bridge.subnet.gateway();
    let mut guest = Guest::start(&outlet);
    // The controls: what is listed is reached, and what is not answers whoever may ask it.
    assert_eq!(guest.ask(json!(["connect", "api.test", good])), "good");
    let mut said = String::new();
    tokio::net::TcpStream::connect((gateway, own)).await.unwrap().read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "private");

    assert_eq!(guest.ask(json!(["connect", "api.test", other])), "ECONNRESET");
    assert!(outlet.refused("api.test", Some(other), Why::Port));
    assert_eq!(guest.ask(json!(["resolve", "evil.test"])), "no such name");
    assert!(outlet.refused("evil.test", None, Why::Name));
    // The name is listed and leads to the metadata service.
    assert_eq!(guest.ask(json!(["connect", "meta.test", 80])), "ECONNRESET");
    assert!(outlet.refused("meta.test", Some(80), Why::Address));
    // An address that nobody asked a name for; it is told by its address.
    let (first, _) = outlet.bridge.subnet.handed_out();
    let names = ["api.test", "meta.test"].map(|name| guest.ask(json!(["resolve", name])));
    let unnamed = (first..).map(|n| Ipv4Addr::from(n).to_string()).find(|address| !names.contains(address)).unwrap();
    assert_eq!(guest.ask(json!(["connect", unnamed, good])), "ECONNRESET");
    assert!(outlet.refused(&unnamed, Some(good), Why::Nameless));
    // Of the machine itself only the gate and the resolver are there, and the gate passes nobody who asks it.
    let gateway = gateway.to_string();
    for port in [own, 22, 2375] {
        assert_eq!(guest.ask(json!(["connect", gateway, port])), "timeout", "{port}");
    }
    assert_eq!(guest.ask(json!(["connect", gateway, 3129])), "ECONNRESET");
    // Elsewhere there is no way at all; how that shows depends on the engine's version, which may give a route to nowhere. The
    // last one looks like an address that stands for a name.
    for address in ["1.1.1.1", "169.254.169.254", "172.17.0.1", "9.9.2.9"] {
        let outcome = guest.ask(json!(["connect", address, own]));
        assert!(["ENETUNREACH", "timeout", "ECONNRESET"].contains(&outcome.as_str()), "{address}: {outcome}");
    }
    assert_eq!(guest.ask(json!(["connect", "api.test", good])), "good");
}
