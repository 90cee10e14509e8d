//! What a server in its container can and cannot do.

use crate::support::{Plane, Toolbox, docker, scripted, sh};
use protocol::server::ServerState;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpListener};

/// A public host that the machine reaches: where the packages come from.
const PUBLIC: &str = "registry.npmjs.org";

async fn call(client: &mcp::client::Client, tool: &str, arguments: Value) -> String {
    client.call(tool, &arguments).await.unwrap().text()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_has_no_network_no_rights_and_one_place_to_write() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    let mut toolbox = Toolbox::enrolled(&plane);
    toolbox.run();
    plane.until_checked_in(0).await;
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
    let plane = Plane::start().await;
    let mut toolbox = Toolbox::enrolled(&plane);
    toolbox.run();
    plane.until_checked_in(0).await;
    let mut spec = scripted("keyed", "good");
    spec.secrets = vec!["API_KEY".into()];
    spec.env.insert("HEADER".into(), "Bearer {API_KEY}".into());
    plane.want(std::slice::from_ref(&spec)).await;
    let status = plane.until_state(&spec, ServerState::Failed, 30).await;
    assert!(status.detail.unwrap().contains("these credentials are missing: API_KEY"));

    plane.inner().values.insert("API_KEY".into(), VALUE.into());
    spec.revision = 1;
    let other = scripted("other", "good");
    plane.want(&[spec.clone(), other.clone()]).await;
    plane.until_running(&spec).await;
    plane.until_running(&other).await;
    let client = plane.client(&[spec.clone(), other.clone()]);
    // The server has it; what it tells is redacted on the way out.
    assert_eq!(call(&client, "keyed__env", json!({"name": "HEADER"})).await, "Bearer [redacted]");
    assert_eq!(call(&client, "other__env", json!({"name": "API_KEY"})).await, "unset");

    // It is in no file, no log and no report of ours, also when the server shouts it and dies.
    let mut dying = spec.clone();
    dying.revision = 2;
    dying.args[4] = "exit".into();
    dying.args[2] = dying.args[2].replace("n < 30", "n < 3");
    plane.want(&[dying.clone()]).await;
    let status = plane.until_state(&dying, ServerState::Failed, 30).await;
    assert!(status.log_tail.iter().any(|line| line.contains("key: [redacted]")), "{:?}", status.log_tail);
    assert!(!serde_json::to_string(&plane.inner().checkins).unwrap().contains(VALUE));
    assert!(!toolbox.log().contains(VALUE));
    for entry in std::fs::read_dir(toolbox.folder()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(VALUE));
    }
}
