//! A function builds with `cargo lambda build` and answers under `cargo lambda watch`, over a real database.

use base64::{Engine, prelude::BASE64_STANDARD};
use capability::SigningKey;
use std::{
    env,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tests::root;

/// The first build compiles every dependency.
const BUILD: Duration = Duration::from_secs(600);

/// A process and all that it has started, which end with this.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["--", &format!("-{}", self.0.id())]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}

/// `cargo lambda`, for this machine's own target, so that building and watching share what they compile.
fn cargo_lambda(program: &Path, verb: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).args(["lambda", verb, "--locked", "-p", "toolboxes"]);
    command.args(["--target", &format!("{}-unknown-linux-gnu", env::consts::ARCH)]);
    command
}

fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

#[tokio::test]
async fn a_function_builds_and_answers_as_lambda_runs_it() {
    let Some(program) = env::var_os("AGENTOPIA_CARGO_LAMBDA").map(PathBuf::from) else {
        eprintln!("SKIPPED: AGENTOPIA_CARGO_LAMBDA names no cargo-lambda; scripts/test installs one");
        return;
    };
    let built = cargo_lambda(&program, "build").args(["--compiler", "cargo", "--skip-target-check"]).status();
    assert!(built.expect("cargo-lambda starts").success(), "cargo lambda build failed");
    assert!(target().join("lambda/toolboxes/bootstrap").is_file(), "the program that Lambda starts is missing");

    let db = testkit::database().await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let key = BASE64_STANDARD.encode(SigningKey::generate().unwrap().as_slice());
    let mut watch = cargo_lambda(&program, "watch");
    watch.args(["--ignore-changes", "--disable-cors", "-A", "127.0.0.1", "-P", &port.to_string()]);
    watch.env("DATABASE_URL", &db.url).env("AGENTOPIA_URL", "http://127.0.0.1:1");
    watch.env("AGENTOPIA_CAPABILITY_KID", "test").env("AGENTOPIA_CAPABILITY_KEY", key);
    watch.env("AGENTOPIA_JWKS_URL", "http://127.0.0.1:1/jwks").env_remove("AGENTOPIA_EPHEMERAL_TABLE");
    let _watch = Group(watch.process_group(0).spawn().expect("cargo-lambda starts"));

    let base = format!("http://127.0.0.1:{port}/lambda-url/toolboxes");
    let health = answer(&format!("{base}/healthz")).await;
    assert_eq!((health.0, health.1["status"].as_str()), (200, Some("ok")), "{health:?}");
    let refused = answer(&format!("{base}/api/toolboxes")).await;
    assert_eq!((refused.0, refused.1["type"].as_str()), (401, Some("/problems/unauthorized")), "{refused:?}");
}

/// The first request makes the emulator start the function, so it may take a while.
async fn answer(url: &str) -> (u16, serde_json::Value) {
    let client = reqwest::Client::builder().no_proxy().timeout(BUILD).build().expect("a client is built");
    let started = Instant::now();
    loop {
        match client.get(url).send().await {
            Ok(reply) => {
                let status = reply.status().as_u16();
                let text = reply.text().await.expect("the answer is read");
                return (status, serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)));
            }
            Err(error) if error.is_connect() && started.elapsed() < BUILD => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => panic!("no answer: {error}"),
        }
    }
}
