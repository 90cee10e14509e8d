//! The protocol's own conformance suite against our fixture, directly and through the gateway with the fixture in its
//! hardened container: whatever passes directly passes through the gateway. And the inspector, in both eras.
//!
//! The fixture speaks HTTP when it is asked directly and standard streams in its container: in the revisions with sessions as
//! one server, in 2026-07-28 as another.

use crate::support::{Plane, Toolbox, docker, sh, spec};
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::Response,
};
use protocol::{
    capability::RiskClass,
    server::{ServerSpec, Source},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

const OLD: &str = "0.1.16";
pub(crate) const NEW: &str = "0.2.0-alpha.12";
const INSPECTOR: &str = "2.12.0";

fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

fn tmp() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// The fixture as a static program.
fn fixture() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = tmp().join("fixture");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "-p", "fixture", "--target", &target(), "--target-dir"])
            .arg(&folder)
            .env("RUSTFLAGS", "-C target-feature=+crt-static -C strip=symbols")
            .status();
        assert!(built.unwrap().success(), "the fixture could not be built");
        folder.join(target()).join("debug/fixture")
    })
}

/// A folder with one npm package, kept between runs; none, said loudly, when npm cannot be reached.
fn npm(package: &str) -> Option<PathBuf> {
    let folder = tmp().join("npm").join(package.replace(['/', '@'], "-"));
    let done = folder.join("installed");
    if !done.exists() {
        let mut install = Command::new("npm");
        install.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]).arg(&folder);
        let output = install.arg(package).output();
        if !output.as_ref().is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: npm cannot install {package}: {output:?}");
            return None;
        }
        std::fs::create_dir_all(folder.join("home")).unwrap();
        std::fs::write(&done, "").unwrap();
    }
    Some(folder)
}

/// A package's program under the node that it needs, which is newer than Debian's.
pub(crate) struct Program {
    node: PathBuf,
    folder: PathBuf,
    name: &'static str,
}

impl Program {
    pub(crate) fn of(package: &str, name: &'static str) -> Option<Self> {
        let node = format!("node-linux-{}", if std::env::consts::ARCH == "aarch64" { "arm64" } else { "x64" });
        let bin = npm(&format!("{node}@22"))?.join("node_modules").join(node).join("bin");
        Some(Self { node: bin, folder: npm(package)?, name })
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.node.join("node"));
        let path = format!("{}:{}", self.node.display(), std::env::var("PATH").unwrap());
        let home = self.folder.join("home");
        command.env("PATH", path).env("HOME", &home).current_dir(&home);
        command.arg(self.folder.join("node_modules/.bin").join(self.name));
        command
    }
}

/// The fixture on its own, over HTTP.
pub(crate) struct Direct(Child, pub(crate) String);

impl Direct {
    pub(crate) fn start(more: &[&str]) -> Self {
        let mut child =
            Command::new(fixture()).args(["http", "127.0.0.1:0"]).args(more).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        Self(child, format!("http://{}/mcp", line.trim()))
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The fixture in an image that holds nothing else.
fn image() -> Image {
    let name = format!("agentopia-test/fixture:{}", std::process::id());
    let folder = fixture().parent().unwrap().display().to_string();
    sh("sh", &["-c", &format!("tar -C {folder} -c fixture | docker import - {name}")]);
    Image(name)
}

struct Image(String);

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["image", "rm", "-f", &self.0]).output();
    }
}

/// What passes requests on with a capability, for clients that know of none.
pub(crate) async fn with_token(gateway: &str, token: String) -> String {
    let base = gateway.trim_end_matches("/mcp").to_owned();
    let (http, token) = (reqwest::Client::new(), HeaderValue::try_from(format!("Bearer {token}")).unwrap());
    let app = Router::new().fallback(move |method: Method, uri: Uri, mut headers: HeaderMap, body: Bytes| {
        let (http, token, base) = (http.clone(), token.clone(), base.clone());
        async move {
            headers.remove(header::CONTENT_LENGTH);
            headers.insert(header::AUTHORIZATION, token);
            let url = format!("{base}{}", uri.path());
            let sent = http.request(method, url).headers(headers).body(body).send().await;
            let Ok(mut answer) = sent else {
                return Response::builder().status(StatusCode::BAD_GATEWAY).body(Body::empty()).unwrap();
            };
            let (status, mut headers) = (answer.status(), std::mem::take(answer.headers_mut()));
            headers.remove(header::TRANSFER_ENCODING);
            let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
            (*response.status_mut(), *response.headers_mut()) = (status, headers);
            response
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

/// Scenarios, and how many of their checks passed and failed.
pub(crate) type Outcomes = BTreeMap<String, (u32, u32)>;

pub(crate) async fn run(mut command: Command) -> Outcomes {
    let output = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let summary = text.split("=== SUMMARY ===").nth(1);
    let summary = summary.unwrap_or_else(|| panic!("no summary: {text}{}", String::from_utf8_lossy(&output.stderr)));
    let lines = summary.lines().filter(|line| line.starts_with(['✓', '✗']) && line.contains(" passed"));
    lines
        .map(|line| {
            let (name, counts) = line.trim_start_matches(['✓', '✗', ' ']).split_once(": ").unwrap();
            let numbers: Vec<u32> = counts.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            (name.to_owned(), (numbers[0], numbers[1]))
        })
        .collect()
}

/// The two servers in their containers, and a toolbox that runs them.
struct Stage {
    plane: Plane,
    _toolbox: Toolbox,
    specs: [ServerSpec; 2],
    _image: Image,
}

impl Stage {
    async fn set() -> Self {
        let image = image();
        let server = |name: &str, args: &[&str]| {
            let mut spec = spec(name, Source::Oci { image: image.0.clone() });
            spec.args = args.iter().map(|arg| (*arg).to_owned()).collect();
            spec
        };
        let specs =
            [server("sessions", &["/fixture", "stdio"]), server("stateless", &["/fixture", "stdio", "stateless"])];
        let plane = Plane::start().await;
        let mut toolbox = Toolbox::enrolled(&plane);
        toolbox.run();
        plane.until_checked_in(0).await;
        plane.want(&specs).await;
        for spec in &specs {
            plane.until_running(spec).await;
        }
        Self { plane, _toolbox: toolbox, specs, _image: image }
    }

    /// A gateway's address that needs no token: whoever calls there may call everything, also the tool that comes and goes.
    async fn open(&self) -> String {
        let mut granted = self.plane.granted(&self.specs);
        let passing =
            json!({"name": "test_passing", "description": "Comes and goes", "inputSchema": {"type": "object"}});
        for spec in &self.specs {
            granted.push(protocol::capability::GrantedTool {
                server: spec.name.clone(),
                tool: "test_passing".into(),
                digest: mcp::json::digest(&passing.to_string()).unwrap(),
                args: None,
                class: RiskClass::Read,
            });
        }
        with_token(&self.plane.gateway(), self.plane.token(granted)).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_conforms_directly_conforms_through_the_gateway() {
    let package = |version: &str| Program::of(&format!("@modelcontextprotocol/conformance@{version}"), "conformance");
    let (Some(old), Some(new)) = (package(OLD), package(NEW)) else { return };
    if !docker() {
        return;
    }
    let stage = Stage::set().await;
    let gateway = stage.open().await;
    let suite = |program: &Program, url: &str, which: &[&str]| {
        let mut command = program.command();
        command.args(["server", "--url", url]).args(which);
        command
    };
    for (what, program, server, which, least) in [
        ("2025-06-18", &old, "sessions", &["--suite", "all", "--spec-version", "2025-06-18"][..], 26),
        ("2025-11-25", &old, "sessions", &["--suite", "all", "--spec-version", "2025-11-25"], 32),
        ("2025-11-25, newer suite", &new, "sessions", &["--requirements", "2025-11-25"], 33),
        ("2026-07-28", &new, "stateless", &["--requirements", "2026-07-28"], 40),
    ] {
        let fixture = Direct::start(&[]);
        let through = format!("{gateway}/{server}");
        let (direct, through) =
            tokio::join!(run(suite(program, &fixture.1, which)), run(suite(program, &through, which)));
        let passes = |outcomes: &Outcomes| outcomes.values().filter(|(_, failed)| *failed == 0).count();
        eprintln!(
            "MEASURED {what}: {} scenarios pass directly, {} through the gateway",
            passes(&direct),
            passes(&through)
        );
        assert!(passes(&direct) >= least, "{what}: the fixture does not conform: {direct:#?}");
        for (name, (passed, failed)) in &direct {
            let (still, more) = through.get(name).copied().unwrap_or_default();
            assert!(still >= *passed && more <= *failed, "{what}: {name}: {passed} passed directly, {still} through");
        }
        if what == "2026-07-28" {
            for name in ["http-header-validation", "http-custom-header-server-validation"] {
                assert!(through[name].0 > 0 && through[name].1 == 0, "{name}: {:?}", through[name]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inspector_works_in_both_eras() {
    let package = format!("@modelcontextprotocol/inspector@{INSPECTOR}");
    let Some(inspector) = Program::of(&package, "mcp-inspector") else { return };
    if !docker() {
        return;
    }
    let stage = Stage::set().await;
    let gateway = stage.open().await;
    // Every client over every server.
    for (era, server) in
        [("legacy", "sessions"), ("modern", "stateless"), ("modern", "sessions"), ("legacy", "stateless")]
    {
        let ask = async |method: &[&str]| -> Value {
            let mut command = inspector.command();
            command.args(["--cli", &format!("{gateway}/{server}"), "--transport", "http", "--protocol-era", era]);
            command.args(["--method"]).args(method).stdin(Stdio::null());
            let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let start = text.find('{').unwrap_or(text.len());
            serde_json::from_str(&text[start..])
                .unwrap_or_else(|_| panic!("{era} {server}: {text}{}", String::from_utf8_lossy(&output.stderr)))
        };
        let tools = ask(&["tools/list"]).await;
        assert!(tools["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "test_simple_text"), "{tools}");
        let result = ask(&["tools/call", "--tool-name", "test_simple_text"]).await;
        assert!(result["content"][0]["text"].as_str().unwrap().contains("simple text"), "{result}");
    }
}
