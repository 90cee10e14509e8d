//! Ways out of a container, each tried twice by the same program: in a container as servers get it, where all must be closed, and
//! in one that is weak on purpose, where they must be open. One that is closed there too proves nothing and is not counted:
//! then this machine's kernel does not have it.

use crate::support::{docker, sh};
use dtma::{
    docker::{Engine, Launch, Limits, Network, given::Given, labels},
    egress::{Egress, Rules},
};
use protocol::ids::{ServerId, ToolboxId};
use serde_json::json;
use std::{collections::BTreeMap, fs, process::Command, time::Duration};
use tokio::{io::AsyncReadExt, net::TcpListener, time::timeout};

const PROGRAM: &str = include_str!("breakout.py");
const IMAGE: &str = "agentopia/mcp-python";
const LEAST: usize = 25;

type Outcomes = BTreeMap<String, String>;

/// What this test makes, removed however it ends.
struct Made {
    toolbox: ToolboxId,
    neighbour: String,
}

impl Drop for Made {
    fn drop(&mut self) {
        let docker = |args: &[&str]| Command::new("docker").args(args).output();
        let filter = format!("label={}={}", labels::TOOLBOX, self.toolbox);
        let _ = docker(&["rm", "-f", &self.neighbour]);
        for (list, remove) in [
            (["container", "ls", "-aq"].as_slice(), ["container", "rm", "-f"].as_slice()),
            (&["network", "ls", "-q"], &["network", "rm"]),
            (&["volume", "ls", "-q"], &["volume", "rm"]),
        ] {
            let Ok(found) = docker(&[list, &["--filter", &filter]].concat()) else { continue };
            for id in String::from_utf8_lossy(&found.stdout).split_whitespace() {
                let _ = docker(&[remove, &[id]].concat());
            }
        }
    }
}

/// A container exactly as a server with hosts gets it, with less memory and fewer processes.
async fn hardened(engine: &Engine, name: &str, labels: &Labels, network: Network, world: &str) -> Outcomes {
    let launch = Launch {
        name: name.into(),
        image: IMAGE.into(),
        command: ["python3", "-c", PROGRAM, world].map(str::to_owned).to_vec(),
        workdir: "/data".into(),
        masked: vec![],
        env: BTreeMap::new(),
        labels: labels.clone(),
        volume: name.into(),
        network,
        ca: None,
        limits: Limits { memory_bytes: 128 << 20, pids: 64, ..Limits::default() },
    };
    let container = engine.create(launch).await.unwrap();
    let mut attached = engine.attach(&container, |said| eprint!("{}", String::from_utf8_lossy(said))).await.unwrap();
    engine.start(&container).await.unwrap();
    attached.give(&Given::default()).await.unwrap();
    let mut said = Vec::new();
    timeout(Duration::from_secs(60), attached.output.read_to_end(&mut said)).await.unwrap().unwrap();
    serde_json::from_slice(&said).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&said)))
}

type Labels = std::collections::HashMap<String, String>;

/// The rights that probes need. Not `--privileged`: a machine that lacks one right itself cannot give all.
const RIGHTS: [&str; 10] = [
    "SYS_ADMIN",
    "SYS_PTRACE",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_BOOT",
    "SYSLOG",
    "NET_ADMIN",
    "SYS_NICE",
    "AUDIT_CONTROL",
    "DAC_READ_SEARCH",
];

/// A container that is given nearly everything.
fn weak(world: &str) -> Outcomes {
    let mut all = vec!["run", "--rm", "--pid=host", "--network=host", "--user=0:0"];
    for option in ["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"] {
        all.extend(["--security-opt", option]);
    }
    for right in RIGHTS {
        all.extend(["--cap-add", right]);
    }
    for place in
        ["/var/run/docker.sock:/var/run/docker.sock", "/dev:/dev", "/sys/fs/cgroup:/sys/fs/cgroup", "/:/host:ro"]
    {
        all.extend(["--volume", place]);
    }
    all.extend([IMAGE, "python3", "-c", PROGRAM, world]);
    serde_json::from_str(&sh("docker", &all)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_server_finds_no_way_out_of_its_container() {
    if !docker() {
        return;
    }
    let streams = tempfile::tempdir().unwrap();
    let engine = Engine::new(streams.path().to_path_buf());
    let (toolbox, server, other) = (ToolboxId::new(), ServerId::new(), ServerId::new());
    let (name, neighbour) = (labels::name(toolbox, server), labels::name(toolbox, other));
    let _made = Made { toolbox, neighbour: neighbour.clone() };
    let (ours, theirs) = (labels::of_server(toolbox, server), labels::of_server(toolbox, other));

    // What lies outside: a file, something that listens, and another server with a volume and an address.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, "the machine's own").unwrap();
    let loopback = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let everywhere = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let bridge = engine.network(&name, ours.clone()).await.unwrap();
    let beside = engine.network(&neighbour, theirs.clone()).await.unwrap();
    let egress = Egress::default();
    let rules = |hosts: &str| Rules::of(&[hosts.to_owned()]).unwrap().unwrap();
    let opened = egress.serve(server, &bridge, rules("*")).await.unwrap();
    egress.serve(other, &beside, rules("*")).await.unwrap();
    for (server, of_server) in [(&name, &ours), (&neighbour, &theirs)] {
        engine.volume(toolbox, server, of_server.clone(), IMAGE).await.unwrap();
    }
    let place = sh("docker", &["volume", "inspect", "-f", "{{.Mountpoint}}", &neighbour]);
    fs::write(format!("{place}/secret"), "another server's").unwrap();
    sh(
        "docker",
        &["run", "-d", "--name", &neighbour, "--network", &neighbour, IMAGE, "python3", "-m", "http.server", "8000"],
    );
    let address =
        sh("docker", &["inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", &neighbour]);
    let world = json!({
        "file": file,
        "volume": format!("{place}/secret"),
        "pid": std::process::id(),
        "loopback": loopback.local_addr().unwrap().port(),
        "everywhere": everywhere.local_addr().unwrap().port(),
        "gateway": bridge.subnet.gateway(),
        "neighbour": address,
        "processes": 200,
        "memory": 300 << 20,
    })
    .to_string();

    let network = Network::Named { name: name.clone(), dns: opened.dns };
    let hardened = hardened(&engine, &name, &ours, network, &world).await;
    let weak = tokio::task::spawn_blocking(move || weak(&world)).await.unwrap();

    // The firewall keeps the weak container from it as well, so its control is its own.
    let there = format!("import socket; socket.create_connection(('{address}', 8000), 2)");
    sh("docker", &["exec", &neighbour, "python3", "-c", &there]);

    let (mut proven, mut open) = (0, vec![]);
    eprintln!("{:<48} {:<16} weak", "probe", "hardened");
    for (probe, outcome) in &hardened {
        let control = weak.get(probe).map_or("absent", String::as_str);
        eprintln!("{probe:<48} {outcome:<16} {control}");
        proven += usize::from(control == "open");
        if outcome == "open" {
            open.push(probe);
        }
    }
    eprintln!("{proven} of {} probes are open in the weak container", hardened.len());
    assert!(open.is_empty(), "{open:?}");
    assert!(proven >= LEAST, "only {proven} probes prove something here");
}
