//! Looks at everything that must be right, in the order in which one thing needs the other.

use super::print_json;
use crate::{
    client::{self, Client},
    home::{Config, Home, Instance},
    trouble::Trouble,
    up::database,
};
use serde::Serialize;
use serde_json::Value;
use std::{
    os::unix::fs::PermissionsExt,
    process::{ExitCode, Stdio},
    time::Duration,
};
use tokio::process::Command;

#[derive(Serialize)]
struct Finding {
    what: &'static str,
    good: bool,
    says: String,
    /// The command that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn good(what: &'static str, says: impl Into<String>) -> Self {
        Self { what, good: true, says: says.into(), fix: None }
    }

    fn bad(what: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what, good: false, says: says.into(), fix: Some(fix.into()) }
    }
}

pub(super) async fn run(home: &Home, json: bool) -> Result<ExitCode, Trouble> {
    let mut found = vec![folder(home), programs(home), model(home)];
    found.push(keys(home));
    found.push(postgres(home).await);
    found.push(docker().await);
    found.push(up(home).await);
    if Instance::running(home)?.is_some() {
        found.push(toolbox(home).await);
    }
    let good = found.iter().all(|finding| finding.good);
    if json {
        print_json(&found);
    } else {
        for finding in &found {
            put!("{:<4} {:<14} {}", if finding.good { "ok" } else { "BAD" }, finding.what, finding.says);
            if let Some(fix) = &finding.fix {
                put!("     {:<14} mend it: {fix}", "");
            }
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn folder(home: &Home) -> Finding {
    let path = home.path();
    match std::fs::metadata(path) {
        Ok(about) if about.is_dir() => Finding::good("home", path.display().to_string()),
        Ok(_) => {
            Finding::bad("home", format!("{} is not a folder", path.display()), "choose another one with --home DIR")
        }
        Err(error) => Finding::bad("home", format!("{}: {error}", path.display()), "scripts/up"),
    }
}

fn programs(home: &Home) -> Finding {
    match home.program("dtma") {
        Ok(path) => Finding::good("programs", path.display().to_string()),
        Err(trouble) => Finding::bad("programs", trouble.what(), "scripts/up"),
    }
}

fn model(home: &Home) -> Finding {
    let missing: Vec<&str> = ["model.safetensors", "tokenizer.json", "config.json"]
        .into_iter()
        .filter(|name| !std::fs::metadata(home.model().join(name)).is_ok_and(|about| about.len() > 0))
        .collect();
    match missing.as_slice() {
        [] => Finding::good("search model", home.model().display().to_string()),
        missing => Finding::bad("search model", format!("missing: {}", missing.join(", ")), "scripts/up"),
    }
}

fn keys(home: &Home) -> Finding {
    for name in ["vault.key", "capability.pk8", "accounts.pk8"] {
        let path = home.keys().join(name);
        match std::fs::metadata(&path) {
            Ok(about) if about.permissions().mode() & 0o077 != 0 => {
                return Finding::bad(
                    "keys",
                    format!("others may read {}", path.display()),
                    format!("chmod 600 {}", path.display()),
                );
            }
            Ok(about) if about.len() == 0 => {
                return Finding::bad("keys", format!("{} is empty", path.display()), "put it back from a backup");
            }
            Ok(_) => {}
            Err(_) => {
                return Finding::bad("keys", format!("{} is not there yet", path.display()), "agentopia up --detach");
            }
        }
    }
    Finding::good("keys", "three, readable by you only")
}

async fn postgres(home: &Home) -> Finding {
    if database::given().is_some() {
        return Finding::good("Postgres", "the one at DATABASE_URL");
    }
    match database::running(home).await {
        Ok(true) => Finding::good("Postgres", "answers"),
        Ok(false) if Instance::running(home).is_ok_and(|instance| instance.is_some()) => {
            Finding::bad("Postgres", "does not run", "agentopia down, then agentopia up --detach")
        }
        Ok(false) => Finding::bad("Postgres", "does not run", "agentopia up --detach"),
        Err(trouble) => Finding::bad("Postgres", trouble.what(), "scripts/up"),
    }
}

async fn docker() -> Finding {
    let mut command = Command::new("docker");
    command.args(["version", "--format", "{{.Server.Version}}"]).stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(Duration::from_secs(5), command.output()).await {
        Ok(Ok(output)) if output.status.success() => {
            Finding::good("Docker", format!("engine {}", String::from_utf8_lossy(&output.stdout).trim()))
        }
        Ok(Ok(output)) => {
            let says = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
            Finding::bad(
                "Docker",
                says,
                "start it: sudo systemctl start docker, or scripts/up where there is no systemd",
            )
        }
        Ok(Err(_)) => Finding::bad("Docker", "is not installed", "scripts/up"),
        Err(_) => Finding::bad("Docker", "does not answer within 5 s", "restart it: sudo systemctl restart docker"),
    }
}

async fn up(home: &Home) -> Finding {
    let instance = match Instance::running(home) {
        Ok(Some(instance)) => instance,
        Ok(None) => {
            let port = Config::load(home).map_or(crate::home::DEFAULT_PORT, |config| config.port);
            return match std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port)) {
                Ok(_) => Finding::bad(
                    "Agentopia",
                    "is not up",
                    format!("agentopia up --detach --home {}", home.path().display()),
                ),
                Err(_) => Finding::bad(
                    "Agentopia",
                    format!("is not up, and another program listens on its port {port}"),
                    "agentopia up --detach --port N with another port",
                ),
            };
        }
        Err(trouble) => return Finding::bad("Agentopia", trouble.what(), trouble.next()),
    };
    let health = client::http().get(format!("{}/healthz", instance.url)).timeout(Duration::from_secs(5)).send().await;
    match health {
        Ok(reply) if reply.status().is_success() => Finding::good("Agentopia", instance.url),
        Ok(reply) => {
            let trouble = client::refusal(reply).await;
            Finding::bad("Agentopia", trouble.what(), "agentopia down, then agentopia up --detach")
        }
        Err(_) => Finding::bad(
            "Agentopia",
            format!("{} does not answer", instance.url),
            format!("look at {}, then agentopia down and up", home.logs().join("agentopia.log").display()),
        ),
    }
}

async fn toolbox(home: &Home) -> Finding {
    let ask = async {
        let client = Client::connect(home).await?;
        let id = super::follow::toolbox(home)?;
        client.get::<Value>(&format!("/api/toolboxes/{id}")).await
    };
    let toolbox = match ask.await {
        Ok(toolbox) => toolbox,
        Err(trouble) => return Finding::bad("toolbox", trouble.what(), trouble.next()),
    };
    let log = home.logs().join("dtma.log");
    match (toolbox["state"].as_str().unwrap_or_default(), toolbox["trouble"].as_str()) {
        (_, Some(trouble)) => {
            Finding::bad("toolbox", super::line(trouble), format!("see above, and {}", log.display()))
        }
        ("online", None) => Finding::good("toolbox", "online"),
        (state, None) => Finding::bad("toolbox", state, format!("look at {}", log.display())),
    }
}
