//! `infra/cloud-init.yaml`, as cloud-init itself takes it and carries it out.

use base64::{Engine, prelude::BASE64_STANDARD};
use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    process::Output,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tests::{
    machine::{self, Machine, release},
    plane::{Plane, TOKEN},
    root,
};

/// A machine's user data as `functions/toolboxes` fills it in; what it refuses to fill in is allowed here: plain loopback.
fn user_data(control_plane: &str, release: &str, key: &str) -> String {
    let template = fs::read_to_string(root().join("infra/cloud-init.yaml")).expect("readable");
    let values = [("token", TOKEN), ("control_plane", control_plane), ("release", release), ("key", key)];
    let text = values
        .iter()
        .fold(template, |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), &BASE64_STANDARD.encode(value)));
    assert!(!text.contains("{{"), "the template has a value that nobody fills in");
    text
}

/// A folder that a machine reads, with its user data.
fn given(user_data: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Root in a container is not always root of this folder.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::write(folder.path().join("user-data"), user_data).expect("writable");
    fs::write(folder.path().join("meta-data"), "instance-id: one\n").expect("writable");
    folder
}

fn mount(folder: &TempDir) -> String {
    format!("{}:/given:ro", folder.path().display())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Gives cloud-init what a provider's metadata would, and keeps it from what is this machine's: names, disks, network.
const SEED: &str = "mkdir -p /var/lib/cloud/seed/nocloud && cp /given/user-data /given/meta-data /var/lib/cloud/seed/nocloud/ && \
    printf 'datasource_list: [NoCloud]\\nnetwork: {config: disabled}\\ncloud_init_modules: [write_files]\\n\
    cloud_config_modules: [runcmd]\\ncloud_final_modules: [scripts_user]\\n' >/etc/cloud/cloud.cfg.d/99-test.cfg && \
    cloud-init init --local && cloud-init init";

/// One test, so that the machine is made once.
#[test]
fn cloud_init_takes_it_and_nothing_comes_in_from_outside() {
    let good = user_data("https://plane.example", "https://releases.example", &"A".repeat(43));
    let given = given(&good);
    fs::write(given.path().join("spoiled"), good.replace("permissions: \"0600\"", "permissions: [6]"))
        .expect("writable");
    let options = ["--cap-add", "NET_ADMIN", "--volume", &mount(&given)];
    let Some(machine) = Machine::start_on("bridge", &machine::DROPLET, &options, &["sleep", "600"]) else { return };

    let valid = machine.output(&["cloud-init", "schema", "--config-file", "/given/user-data"]);
    assert!(valid.status.success() && !said(&valid).contains("deprec"), "{}", said(&valid));
    let spoiled = machine.output(&["cloud-init", "schema", "--config-file", "/given/spoiled"]);
    assert!(!spoiled.status.success(), "it takes anything: {}", said(&spoiled));

    machine.run(SEED);
    assert_eq!(machine.run("cat /run/agentopia/token"), TOKEN);
    let modes = "stat -c '%a %U' /run/agentopia/* | sort -u";
    assert_eq!(machine.run(modes).trim(), "600 root", "others than root may read it");
    machine.run("systemd-analyze verify /etc/systemd/system/agentopia-firewall.service");

    machine.run("for p in 8788 8789; do setsid python3 -m http.server $p >/dev/null 2>&1 </dev/null & done");
    let reached = |port| {
        let address = format!("{}:{port}", machine.address()).parse().expect("an address");
        TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok()
    };
    let begun = Instant::now();
    while !(reached(8788) && reached(8789)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it is not reached even without a firewall");
        std::thread::park_timeout(Duration::from_millis(200));
    }
    let outside = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let port = outside.local_addr().expect("an address").port();
    // The host, as the container's default route names it.
    let dial = format!(
        "python3 -c 'import socket, struct; route = open(\"/proc/net/route\").read().splitlines()[1].split()[2]; \
         socket.create_connection((socket.inet_ntoa(struct.pack(\"<L\", int(route, 16))), {port}), 3)'"
    );
    machine.run(&dial);
    // Twice, as after a second start.
    machine.run("nft -f /etc/agentopia/firewall.nft && nft -f /etc/agentopia/firewall.nft");
    assert!(reached(8788), "the gateway cannot be called");
    assert!(!reached(8789), "another port is open from outside");
    machine.run("python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8789), 3)'");
    machine.run(&dial);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_machine_becomes_a_toolbox_and_its_token_is_gone() {
    let Some(program) = machine::dtma() else { return };
    let plane = Plane::start("019aa1b0-0000-7000-8000-0000000000a5").await;
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let made = tempfile::tempdir().expect("a temporary folder");
    let key = release(&program, "0.1.0", &made.path().join("key.pem"), &made.path().join("release"));
    let given = given(&user_data(&plane.url, &format!("https://127.0.0.1:{port}"), &key));
    let copied = std::process::Command::new("cp").arg("-r").arg(made.path().join("release")).arg(given.path()).status();
    assert!(copied.expect("cp runs").success());
    // As in tests/tests/install.rs: rights to mount, which systemd needs; and the host's engine, so that Docker is there.
    let options = "--cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined --tmpfs /run \
                   --tmpfs /tmp --volume /sys/fs/cgroup:/sys/fs/cgroup --volume /usr/bin/docker:/usr/bin/docker:ro \
                   --volume /var/run/docker.sock:/srv/docker.sock";
    let volume = mount(&given);
    let options: Vec<&str> = options.split_whitespace().chain(["--volume", &volume]).collect();
    let Some(machine) = Machine::start(&machine::DROPLET, &options, &["/sbin/init"]) else { return };
    let begun = Instant::now();
    // Some of an image's services have nothing to do in a container.
    while !["running", "degraded"].contains(&said(&machine.output(&["systemctl", "is-system-running"])).trim()) {
        if begun.elapsed() > Duration::from_secs(60) {
            eprintln!("SKIPPED: systemd does not start in a container here");
            return;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    // The network is the host's: no firewall here, another port than a toolbox of this machine has, and a release by TLS.
    machine.run(&format!(
        "ln -sf /srv/docker.sock /run/docker.sock; cd /etc/systemd/system; mkdir dtma.service.d agentopia-firewall.service.d; \
         printf '[Service]\\nExecStart=\\nExecStart=/bin/true\\n' >agentopia-firewall.service.d/none.conf; \
         printf '[Service]\\nExecStart=\\nExecStart=/opt/dtma/current/dtma run --state /var/lib/dtma --listen 127.0.0.1:0\\n' \
         >dtma.service.d/port.conf; \
         openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
         -keyout /srv/key.pem -out /usr/local/share/ca-certificates/test.crt 2>/dev/null; update-ca-certificates >/dev/null; \
         cp -r /given/release /srv/release; cat >/srv/serve.py <<'PY'\n{SERVE}\nPY\n\
         cd /srv/release && (setsid python3 /srv/serve.py {port} >/dev/null 2>&1 </dev/null &)"
    ));
    machine.run(
        "for i in $(seq 50); do curl -sf https://127.0.0.1:PORT/SHA256SUMS >/dev/null && exit; sleep 0.2; done; exit 1"
            .replace("PORT", &port.to_string())
            .as_str(),
    );

    // An installer that is not the one that was signed is not run, and the token goes all the same.
    machine.run(SEED);
    machine.run("cp /srv/release/install-dtma.sh /srv/good; sed -i '2i touch /srv/evil' /srv/release/install-dtma.sh");
    let spoiled = machine.output(&["bash", "/run/agentopia/install"]);
    assert!(!spoiled.status.success(), "{}", said(&spoiled));
    machine.run("test ! -e /srv/evil && test ! -e /opt/dtma && test ! -e /run/agentopia");
    assert_eq!(plane.seen().enrolments, 0);

    // What DigitalOcean's metadata service says; the rest of what curl is asked goes its way.
    machine.run(
        "printf '#!/bin/sh\\ncase \"$*\" in *169.254.169.254/metadata/v1/interfaces/public/0/ipv4/address*) echo 127.0.0.2 ;; \
         *) exec /usr/bin/curl \"$@\" ;; esac\\n' >/usr/local/bin/curl && chmod 755 /usr/local/bin/curl",
    );
    machine.run("cp /srv/good /srv/release/install-dtma.sh; cloud-init single --name write_files --frequency always");
    machine.run(
        "cloud-init modules --mode=config && cloud-init modules --mode=final >/var/log/cloud-init-output.log 2>&1",
    );
    assert_eq!(
        machine.run("systemctl is-active dtma agentopia-firewall; systemctl is-enabled agentopia-firewall"),
        "active\nactive\nenabled\n"
    );
    while plane.seen().checkins == 0 {
        assert!(begun.elapsed() < Duration::from_secs(180), "it does not check in");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(plane.seen().enrolments, 1);
    assert_eq!(plane.seen().gateway, "https://127.0.0.2:8788/mcp", "it can be called from outside");
    let pinned = plane.seen().certificate.as_str().expect("it came with its certificate").to_owned();
    let own = machine.run("dtma certificate --state /var/lib/dtma | openssl x509 -outform der | sha256sum");
    assert_eq!(own.split_whitespace().next(), Some(&*pinned));
    assert_eq!(plane.seen().leaks, Vec::<String>::new());
    let log = machine.run("cat /var/log/cloud-init*.log; journalctl --no-pager --quiet");
    assert!(log.contains("enrol this machine at") && !log.contains(TOKEN), "{log}");
    machine.run("test ! -e /run/agentopia");
    let left = machine.run(&format!("grep -rlF {TOKEN} /run /var /etc /opt /root /srv /tmp 2>/dev/null || true"));
    assert_eq!(left, "", "the token stands in clear on the machine");
    machine.run("bash /srv/good --uninstall --remove-data");
}

const SERVE: &str = "import http.server, ssl, sys
server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('/usr/local/share/ca-certificates/test.crt', '/srv/key.pem')
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()";
