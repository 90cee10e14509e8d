//! Starts everything on this machine, in the order in which one thing needs the other, and stops it again.
//!
//! Whatever was started stands in [`Started`], which is not lost when a step fails or Ctrl-C comes in the middle: it is
//! stopped in the opposite order.

pub mod database;
pub mod detach;
mod ports;
pub(crate) mod signals;
pub mod toolbox;

use crate::{
    accounts::{self, Accounts},
    home::{Config, Home, Instance, Lock, Owner, Process, keys::Keys},
    server::{self, Parts, Server},
    steps::Step,
    trouble::Trouble,
};
use protocol::{chat::Secret, ids::UserId};
use std::time::Duration;
use tokio::{
    net::TcpListener,
    task::{JoinError, JoinHandle},
};

/// What runs because of us. `stop` is fine at any moment.
#[derive(Default)]
pub struct Started {
    /// Its start, which goes on to its end although nobody waits for it any more: what is half started cannot be stopped.
    starting: Option<JoinHandle<Result<database::Local, Trouble>>>,
    database: Option<database::Local>,
    server: Option<Server>,
    toolbox: Option<toolbox::Running>,
    touched: bool,
}

/// Starts everything. The lock is the caller's, so that it outlives a stop.
pub async fn start(home: &Home, port: Option<u16>, started: &mut Started) -> Result<Instance, Trouble> {
    let mut config = Config::load(home)?;
    config.port = port.unwrap_or(config.port);
    let listener = ports::listen(config.port).await?;
    started.touched = true;
    // A daemon that outlived a killed `agentopia` goes first: it holds the gateway's port and the toolbox's state. The
    // servers that it ran go on and are taken over by the next one.
    toolbox::stop_orphan(home).await?;
    let gateway_port = ports::gateway(&config)?;
    config.gateway_port = Some(gateway_port);
    config.save(home)?;
    let gateway = format!("http://127.0.0.1:{gateway_port}");
    let mut instance = Instance {
        process: Process::of(std::process::id()).expect("this process has a number"),
        url: config.url(),
        gateway: format!("{gateway}/mcp"),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ready: false,
    };
    instance.save(home)?;

    let own = home.clone();
    let starting = started.starting.insert(tokio::spawn(async move { database::Local::start(&own).await }));
    let database = Step::run("database", async { ended(starting.await) }).await?;
    started.starting = None;
    let door = database.open().await?;
    started.database = Some(database);

    if !Keys::are_there(home) && accounts::has(&door, Owner::EMAIL).await.map_err(|error| no_owner(&error))? {
        return Err(another_homes(home));
    }
    let keys = Keys::load_or_make(home)?;
    serve(home, listener, &config, &keys, door, started).await?;
    let toolbox = toolbox::prepare(home, &mut config, &gateway).await?;
    let step = Step::start("toolbox");
    let before = toolbox::known(home, &config).await.and_then(|toolbox| toolbox.last_seen_at);
    started.toolbox = Some(toolbox.run().await?);
    match toolbox::trouble(home, &config, before).await {
        None => step.done(),
        Some(trouble) => {
            step.failed();
            eprintln!("\n  The toolbox cannot run servers yet: {trouble}\n  next: agentopia doctor");
        }
    }

    instance.ready = true;
    instance.save(home)?;
    Ok(instance)
}

/// How often somebody looks whether the database lives.
const LOOK: Duration = Duration::from_secs(5);

/// Starts the database again when it has died, for as long as this is polled. What that starts stands in `started`.
pub async fn keep(home: &Home, started: &mut Started) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(database) = &started.database else { return };
        if !database.is_dead() {
            continue;
        }
        tracing::warn!("Postgres has died and is started again");
        let own = home.clone();
        let starting = started.starting.insert(tokio::spawn(async move { database::Local::start(&own).await }));
        match ended(starting.await) {
            Ok(database) => started.database = Some(database),
            Err(trouble) => tracing::error!(%trouble, "Postgres cannot be started; it is tried again"),
        }
        started.starting = None;
    }
}

/// What a task of ours made; its panic goes on here.
fn ended<T>(made: Result<T, JoinError>) -> T {
    made.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// The control plane, with the owner's account.
async fn serve(
    home: &Home,
    listener: TcpListener,
    config: &Config,
    keys: &Keys,
    door: ::database::Database,
    started: &mut Started,
) -> Result<(), Trouble> {
    let step = Step::start("control plane");
    let url = config.url();
    let accounts = server::accounts(&door, keys, &url)?;
    let owner = owner(home, &accounts).await?;
    let parts = Parts { home, url: &url, keys, database: door, accounts, owner };
    started.server = Some(server::start(parts, listener).await?);
    step.done_with(&url);
    Ok(())
}

/// The owner's account, made when there is none yet.
async fn owner(home: &Home, accounts: &Accounts) -> Result<UserId, Trouble> {
    let mut owner = Owner::load_or_make(home)?;
    let password = Secret::new(owner.password.clone());
    let id = accounts.ensure(&owner.email, password, owner.user_id).await.map_err(|error| no_owner(&error))?;
    if owner.user_id != Some(id) {
        owner.user_id = Some(id);
        owner.save(home)?;
    }
    Ok(id)
}

fn no_owner(error: &accounts::Error) -> Trouble {
    Trouble::new("The owner's account cannot be made.", "Run `agentopia doctor`.").caused_by(error)
}

/// New keys would open nothing of what the database holds, and never could.
fn another_homes(home: &Home) -> Trouble {
    let place = match database::given() {
        Some(_) => "use another database".to_owned(),
        None => {
            let data = home.postgres().join("data");
            format!("remove {}", data.canonicalize().unwrap_or(data).display())
        }
    };
    Trouble::new(
        format!("The database is there, but not the keys that it was begun with: {} has none.", home.keys().display()),
        format!("Put keys/ and owner.json back from a backup; or, to begin anew and lose what it holds, {place}."),
    )
}

impl Started {
    /// Stops what was started, the toolbox's servers included. Data stays.
    pub async fn stop(mut self, home: &Home) {
        if !self.touched {
            return;
        }
        if let Some(toolbox) = self.toolbox.take() {
            let step = Step::start("stopping the toolbox");
            toolbox.stop().await;
            step.done();
        }
        stop_rest(home).await;
        if let Some(server) = self.server.take() {
            server.stop(Duration::from_secs(3)).await;
        }
        if let Some(starting) = self.starting.take() {
            // It has been told what went wrong, or nobody waits for it.
            self.database = ended(starting.await).ok();
        }
        if let Some(database) = self.database.take() {
            let step = Step::start("stopping the database");
            database.stop().await;
            step.done();
        } else if database::running(home).await.unwrap_or(false) {
            let step = Step::start("stopping the database");
            database::stop(home).await;
            step.done();
        }
        Instance::forget(home);
    }
}

/// What may run without being known to this process: a daemon that was left over, and the servers' containers.
async fn stop_rest(home: &Home) {
    if let Err(trouble) = toolbox::stop_orphan(home).await {
        eprintln!("{trouble}");
    }
    if !toolbox::enrolled(home) {
        return;
    }
    let step = Step::start("stopping the servers");
    match toolbox::stop_servers(home).await {
        Ok(()) => step.done(),
        Err(trouble) => {
            step.failed();
            eprintln!("{trouble}");
        }
    }
}

/// Stops what a killed `agentopia` left behind. The caller has the lock.
pub async fn stop_leftovers(home: &Home, _: &Lock) {
    let started = Started { touched: true, ..Started::default() };
    started.stop(home).await;
}

/// Whether a killed `agentopia` left anything running: a daemon, or Postgres.
pub async fn leftovers(home: &Home) -> bool {
    home.run().join("dtma.json").exists()
        || home.run().join("agentopia.json").exists()
        || database::running(home).await.unwrap_or(false)
}
