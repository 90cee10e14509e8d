//! What a server in its container can and cannot do.

use crate::support::{Plane, Toolbox, docker, running, scripted, sh};
use dtma::egress::{Firewall, Guard};
use protocol::server::{ServerState, Source};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{io::AsyncWriteExt, net::TcpListener};

/// A public host that the machine reaches: where the packages come from.
const PUBLIC: &str = "registry.npmjs.org";

async fn call(client: &mcp::client::Client, tool: &str, arguments: Value) -> String {
    client.call(tool, &arguments).await.unwrap().text()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_has_no_network_no_rights_and_one_place_to_write() {
    let Some((plane, _toolbox)) = running().await else { return };
    let spec = scripted("confined", "good");
    plane.want(std::slice::from_ref(&spec)).await;
    plane.until_running(&spec).await;
    let client = plane.client(std::slice::from_ref(&spec));

    for (path, outcome) in [("/data/x", "written"), ("/tmp/x", "written"), ("/x", "EROFS"), ("/etc/x", "EROFS")] {
        assert_eq!(call(&client, "confined__write", json!({"path": path})).await, outcome, "{path}");
    }
    let status = call(&client, "confined__status", json!({})).await;
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Uid:\t65532"), "{status}");
    assert_eq!(call(&client, "confined__resolve", json!({"host": PUBLIC})).await, "EAI_AGAIN");
    for host in ["1.1.1.1", "172.17.0.1", "169.254.169.254"] {
        let outcome = call(&client, "confined__connect", json!({"host": host, "port": 80})).await;
        assert!(["ENETUNREACH", "EHOSTUNREACH"].contains(&outcome.as_str()), "{host}: {outcome}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_hosts_reaches_those_and_nothing_else() {
    if !docker() {
        return;
    }
    // Something of the machine's own, on every address that it has.
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"private").await;
        }
    });
    let plane = Plane::start().await;
    let mut toolbox = Toolbox::enrolled(&plane);
    toolbox.run();
    plane.until_checked_in(0).await;
    let mut spec = scripted("guest", "good");
    spec.hosts = vec![format!("{PUBLIC}:443")];
    plane.want(std::slice::from_ref(&spec)).await;
    plane.until_running(&spec).await;
    let client = plane.client(std::slice::from_ref(&spec));

    // The control: what it is granted it reaches, certificates and all, and it knows of no proxy.
    let answer = call(&client, "guest__fetch", json!({"url": format!("https://{PUBLIC}/")})).await;
    assert!(answer.starts_with("status "), "{answer}");
    assert_eq!(call(&client, "guest__env", json!({"name": "HTTPS_PROXY"})).await, "unset");
    // Not another host, not another port.
    let answer = call(&client, "guest__fetch", json!({"url": "https://pypi.org/"})).await;
    assert!(answer.starts_with("ENOTFOUND"), "{answer}");
    let answer = call(&client, "guest__connect", json!({"host": PUBLIC, "port": 80, "first": "x"})).await;
    assert_eq!(answer, "ECONNRESET");
    // Without a name there is no way, and of the machine there is only the gate.
    let direct = call(&client, "guest__connect", json!({"host": "1.1.1.1", "port": 443})).await;
    assert!(["ENETUNREACH", "EHOSTUNREACH", "timeout"].contains(&direct.as_str()), "{direct}");
    let network = dtma::docker::labels::name(plane.toolbox, spec.id);
    let gateway = sh("docker", &["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", &network]);
    let machine = call(&client, "guest__connect", json!({"host": gateway, "port": port, "first": "x"})).await;
    assert_eq!(machine, "timeout");

    // A new daemon opens the way again for the container that it adopts.
    toolbox.kill();
    let seen = plane.inner().checkins.len();
    toolbox.run();
    plane
        .until("adopted", 20, |inner| {
            let last = inner.checkins.get(seen..)?.last()?;
            (last.applied_generation == 1).then_some(())
        })
        .await;
    let client = plane.client(std::slice::from_ref(&spec));
    let answer = call(&client, "guest__fetch", json!({"url": format!("https://{PUBLIC}/")})).await;
    assert!(answer.starts_with("status "), "{answer}");
}

/// As a reload of the machine's own firewall does, and as another program that puts its rules first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_were_thrown_away_are_put_back_and_never_become_more() {
    if !docker() || Firewall::keep().await != Guard::Kept {
        eprintln!("SKIPPED: no firewall rules can be set here");
        return;
    }
    let (told, mut trouble) = tokio::sync::watch::channel(Some("as at a start without them".to_owned()));
    let watching = tokio::spawn(async move { Firewall::watch(Duration::from_millis(50), || true, &told).await });
    trouble.wait_for(Option::is_none).await.unwrap();
    let back = async || {
        for _ in 0..200 {
            if Firewall::look().await == Guard::Kept {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("they are not put back: {:?}", Firewall::look().await);
    };
    let ways = || sh("iptables", &["-S", "INPUT"]).matches("-j AGENTOPIA-INPUT").count();
    sh("iptables", &["-w", "5", "-F", "AGENTOPIA-INPUT"]);
    back().await;
    sh("iptables", &["-w", "5", "-D", "INPUT", "-i", "agt+", "-j", "AGENTOPIA-INPUT"]);
    back().await;
    let first = ["-i", "lo", "-s", "198.18.255.254", "-m", "comment", "--comment", "first", "-j", "ACCEPT"];
    for _ in 0..3 {
        sh("iptables", &[&["-w", "5", "-I", "INPUT"], &first[..]].concat());
        back().await;
        assert_eq!(ways(), 1);
    }
    watching.abort();
    for _ in 0..3 {
        sh("iptables", &[&["-w", "5", "-D", "INPUT"], &first[..]].concat());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_rules_can_be_set_a_server_with_hosts_starts_only_when_that_is_allowed() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    let mut toolbox = Toolbox::enrolled(&plane).under(&["setpriv", "--bounding-set", "-net_admin,-net_raw"]);
    toolbox.run();
    plane.until_checked_in(0).await;
    let mut spec = scripted("guest", "good");
    spec.hosts = vec![format!("{PUBLIC}:443")];
    let inside = scripted("inside", "good");
    plane.want(&[spec.clone(), inside.clone()]).await;
    let detail = plane.until_state(&spec, ServerState::Failed, 30).await.detail.unwrap();
    assert!(detail.contains("are not started") && detail.contains("install iptables"), "{detail}");
    assert!(detail.contains("--allow-unguarded"), "{detail}");
    // The control: one without hosts needs no rules.
    plane.until_running(&inside).await;

    // Allowed, it runs, and reaches its host through the proxy that it is told of.
    toolbox.kill();
    let mut toolbox = toolbox.with("DTMA_ALLOW_UNGUARDED", "true");
    toolbox.run();
    plane.until_running(&spec).await;
    let client = plane.client(std::slice::from_ref(&spec));
    assert!(call(&client, "guest__env", json!({"name": "HTTPS_PROXY"})).await.ends_with(":3129"));
    let answer = call(&client, "guest__fetch", json!({"url": format!("https://{PUBLIC}/")})).await;
    assert!(answer.starts_with("status "), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_reach_their_server_and_nothing_else() {
    if !docker() {
        return;
    }
    const VALUE: &str = "sk-very-secret-value";
    const CONTENT: &str = "-----BEGIN very secret file";
    let plane = Plane::start().await;
    let mut toolbox = Toolbox::enrolled(&plane);
    toolbox.run();
    plane.until_checked_in(0).await;
    let mut spec = scripted("keyed", "good");
    spec.secrets = vec!["API_KEY".into()];
    spec.env.insert("HEADER".into(), "Bearer {API_KEY}".into());
    spec.args.push("--token={API_KEY}".into());
    spec.secrets.push("file:KEY_FILE".into());
    plane.want(std::slice::from_ref(&spec)).await;
    let status = plane.until_state(&spec, ServerState::Failed, 30).await;
    assert!(status.detail.unwrap().contains("these credentials are missing: API_KEY"));

    plane.inner().values.insert("API_KEY".into(), VALUE.into());
    plane.inner().values.insert("file:KEY_FILE".into(), CONTENT.into());
    spec.revision = 1;
    let other = scripted("other", "good");
    plane.want(&[spec.clone(), other.clone()]).await;
    plane.until_running(&spec).await;
    plane.until_running(&other).await;
    let client = plane.client(&[spec.clone(), other.clone()]);
    // The server has it; what it tells is redacted on the way out.
    assert_eq!(call(&client, "keyed__env", json!({"name": "HEADER"})).await, "Bearer [redacted]");
    assert!(call(&client, "keyed__args", json!({})).await.ends_with("--token=[redacted]"));
    let path = call(&client, "keyed__env", json!({"name": "KEY_FILE"})).await;
    assert_eq!(call(&client, "keyed__read", json!({"path": path})).await, "[redacted]");
    assert_eq!(call(&client, "other__env", json!({"name": "API_KEY"})).await, "unset");
    assert_eq!(call(&client, "other__read", json!({"path": path})).await, "ENOENT");

    // Docker is told of none of it, and writes none of it down; of a plain setting it does, so this looks where it would be.
    let name = dtma::docker::labels::name(plane.toolbox, spec.id);
    let told = sh("docker", &["inspect", &name]);
    let root = sh("docker", &["info", "-f", "{{.DockerRootDir}}"]);
    let kept = |text: &str| {
        // It fails when it finds nothing.
        let found =
            std::process::Command::new("grep").args(["-rlF", "-e", text]).arg(format!("{root}/containers")).output();
        String::from_utf8(found.unwrap().stdout).unwrap()
    };
    for secret in [VALUE, CONTENT] {
        assert!(!told.contains(secret), "{told}");
        assert_eq!(kept(secret), "");
    }
    assert!(told.contains("HOME=/data") && kept("--token={API_KEY}").contains("config"));

    // It is in no file, no log and no report of ours, also when the server shouts it and dies.
    let mut dying = spec.clone();
    dying.revision = 2;
    dying.args[4] = "exit".into();
    dying.args[2] = dying.args[2].replace("n < 30", "n < 3");
    plane.want(&[dying.clone()]).await;
    let status = plane.until_state(&dying, ServerState::Failed, 30).await;
    assert!(status.log_tail.iter().any(|line| line.contains("key: [redacted]")), "{:?}", status.log_tail);
    assert!(!serde_json::to_string(&plane.inner().checkins).unwrap().contains(VALUE));
    assert!(!toolbox.log().contains(VALUE) && !toolbox.log().contains(CONTENT));
    // `grep` reads files in every folder below, and no pipe.
    let found = std::process::Command::new("grep").args(["-rlF", "-D", "skip", VALUE]).arg(toolbox.folder()).output();
    assert_eq!(String::from_utf8(found.unwrap().stdout).unwrap(), "");
}

/// An image whose metadata asks for everything, made of the runner image. Removed when it is dropped.
struct Hostile(String);

impl Hostile {
    fn build(toolbox: &str, server: &str) -> Self {
        let hostile = Self(format!("agentopia-test-hostile:{}", uuid::Uuid::now_v7().simple()));
        hostile.again(&[
            "ENV HOME=/evil HTTPS_PROXY=http://evil LEFT=alone",
            "USER 0:0",
            "VOLUME /cache /data /tmp",
            "EXPOSE 80",
            "HEALTHCHECK CMD touch /data/healthy",
            "STOPSIGNAL SIGUSR1",
            "WORKDIR /opt",
            &format!("LABEL agentopia.toolbox={toolbox} agentopia.server={server} agentopia.install={toolbox}"),
            "LABEL agentopia.memory=9000000000000000",
        ]);
        hostile
    }

    /// The name of somebody else's container of it.
    fn stranger(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(_, tag)| tag)
    }

    /// The tag becomes another image.
    fn again(&self, changes: &[&str]) {
        let text = format!("FROM agentopia/mcp-node\n{}\n", changes.join("\n"));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Dockerfile"), text).unwrap();
        // The classic builder: it is in every engine.
        let build = ["DOCKER_BUILDKIT=0", "docker", "build", "-q", "-t", &self.0, folder.path().to_str().unwrap()];
        sh("env", &build);
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        for words in [["rm", "-fv", self.stranger()], ["rmi", "-f", &self.0]] {
            let _ = std::process::Command::new("docker").args(words).output();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_image_says_of_itself_shapes_nothing_and_its_tag_is_looked_up_once() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    let mut toolbox = Toolbox::enrolled(&plane);
    let mut spec = scripted("hostile", "good");
    let (ours, id) = (plane.toolbox.to_string(), spec.id.to_string());
    let hostile = Hostile::build(&ours, &id);
    spec.source = Source::Oci { image: hostile.0.clone() };
    // Somebody else's container of it, which by its labels would be this very server, or an installer.
    let stranger = sh(
        "docker",
        &["run", "-d", "--name", hostile.stranger(), "--network", "none", "--entrypoint", "sleep", &hostile.0, "600"],
    );
    toolbox.run();
    plane.until_checked_in(0).await;
    plane.want(std::slice::from_ref(&spec)).await;
    plane.until_running(&spec).await;
    let client = plane.client(std::slice::from_ref(&spec));

    for (name, value) in [("HOME", "/data"), ("LEFT", "alone")] {
        assert_eq!(call(&client, "hostile__env", json!({"name": name})).await, value);
    }
    for (path, outcome) in [("/data/x", "written"), ("/cache/x", "written"), ("/opt/x", "EROFS")] {
        assert_eq!(call(&client, "hostile__write", json!({"path": path})).await, outcome, "{path}");
    }
    let status = call(&client, "hostile__status", json!({})).await;
    assert!(status.contains("Uid:\t65532") && status.contains("Seccomp:\t2"), "{status}");
    let own = dtma::docker::labels::name(plane.toolbox, spec.id);
    let seen: Value = serde_json::from_str(&sh("docker", &["inspect", &own])).unwrap();
    let mounts = seen[0]["Mounts"].as_array().unwrap();
    let volumes: Vec<_> = mounts.iter().filter(|mount| mount["Type"] == "volume").map(|mount| &mount["Name"]).collect();
    assert_eq!(volumes, [&json!(own)]);
    let config = &seen[0]["Config"];
    assert_eq!((&config["Healthcheck"]["Test"], &config["StopSignal"]), (&json!(["NONE"]), &json!("SIGTERM")));
    assert_eq!(config["Labels"]["agentopia.memory"], "536870912");
    // The stranger was not taken for one of ours.
    assert_eq!(sh("docker", &["inspect", "-f", "{{.State.Running}}", &stranger]), "true");

    // Its tag becomes another image: the server comes back as what it was, until its user restarts it.
    let image = |name: &str| sh("docker", &["inspect", "-f", "{{.Image}}", name]);
    let before = image(&own);
    hostile.again(&["ENV NEW=1"]);
    sh("docker", &["kill", &own]);
    plane.until_state(&spec, ServerState::BackingOff, 30).await;
    plane.until_running(&spec).await;
    assert_eq!(image(&own), before);
    spec.revision = 1;
    plane.want(std::slice::from_ref(&spec)).await;
    plane.until_running(&spec).await;
    assert_ne!(image(&own), before);

    // Taken down, the stranger still stands.
    toolbox.end();
    assert!(toolbox.command(&["stop-servers"]).status.success());
    assert_eq!(sh("docker", &["inspect", "-f", "{{.State.Running}}", &stranger]), "true");
    drop(hostile);
    sh("docker", &["rmi", "-f", &before]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_is_full_starts_no_more_servers_and_says_why() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    // A tenth of the machine's memory for all, and more than that for each.
    let mut toolbox = Toolbox::enrolled(&plane).with("DTMA_MEMORY_OVERCOMMIT", "0.1").with(
        "DTMA_SERVER_MEMORY_MB",
        &(sh("docker", &["info", "-f", "{{.MemTotal}}"]).parse::<u64>().unwrap() >> 22).to_string(),
    );
    toolbox.run();
    plane.until_checked_in(0).await;
    let spec = scripted("large", "good");
    plane.want(std::slice::from_ref(&spec)).await;
    let detail = plane.until_state(&spec, ServerState::Failed, 30).await.detail.unwrap();
    assert!(detail.contains("this machine is full") && detail.contains("--memory-overcommit"), "{detail}");
    // The control: allowed to promise more, the same server runs.
    toolbox.kill();
    let mut toolbox = toolbox.with("DTMA_MEMORY_OVERCOMMIT", "100");
    toolbox.run();
    plane.until_running(&spec).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_without_end_takes_no_memory_and_no_disk() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    let mut toolbox = Toolbox::enrolled(&plane);
    let daemon = toolbox.run();
    plane.until_checked_in(0).await;
    let spec = scripted("flood", "good");
    plane.want(std::slice::from_ref(&spec)).await;
    plane.until_running(&spec).await;
    let client = plane.client(std::slice::from_ref(&spec));
    // 256 MiB each, without an end of line.
    for stream in ["stdout", "stderr"] {
        assert_eq!(call(&client, "flood__flood", json!({"stream": stream, "mib": 256})).await, "flooded", "{stream}");
    }
    let status = std::fs::read_to_string(format!("/proc/{daemon}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 160 << 10, "the daemon took {peak} KiB");
    let own = dtma::docker::labels::name(plane.toolbox, spec.id);
    assert_eq!(sh("docker", &["inspect", "-f", "{{.HostConfig.LogConfig.Type}}{{.LogPath}}", &own]), "none");
    // The control: it still serves.
    assert_eq!(call(&client, "flood__count", json!({})).await, "1");
}
