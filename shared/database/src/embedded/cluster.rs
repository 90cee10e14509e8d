//! One Postgres cluster in a folder: made, started, adopted, stopped.

use super::{Admin, Binaries, Error, bootstrap, folders::Folders, migrate};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::Path,
};
use uuid::Uuid;

/// The superuser that makes the cluster, named as on Supabase. Only bootstrap and tests use it.
const ADMIN: &str = "supabase_admin";
/// The role that migrates.
const OWNER: &str = "postgres";
/// The role that the direct door logs in as.
const LOGIN: &str = "agentopia_login";

/// What a cluster is made from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its folder: `data`, `run` and `log` are made in it.
    pub folder: std::path::PathBuf,
    pub binaries: Binaries,
    pub listen: Listen,
    /// False for tests: then a crash may lose everything, and whoever reaches the socket is trusted.
    pub durable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Listen {
    /// A socket in the folder, which only its owner reaches.
    Socket,
    /// The socket, and this port on 127.0.0.1.
    Loopback(u16),
}

/// A running cluster. Dropping this leaves it running: see [`Cluster::stop`].
#[derive(Clone)]
pub struct Cluster {
    settings: Settings,
    folders: Folders,
    password: String,
}

impl Cluster {
    /// Makes the cluster when there is none, starts it unless it runs, and returns once it answers.
    pub async fn start(mut settings: Settings) -> Result<Self, Error> {
        let folders = Folders::prepare(&settings.folder)?;
        let _turn = lock(&folders).await?;
        settings.binaries = reachable(settings.binaries, &folders)?;
        let password = folders.password(|| format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()))?;
        let cluster = Self { settings, folders, password };
        if !cluster.folders.data.join("PG_VERSION").exists() {
            cluster.init().await?;
        }
        if !cluster.answers().await {
            // It may run with other settings.
            cluster.stop().await?;
            cluster.configure()?;
            cluster.launch().await?;
        }
        Ok(cluster)
    }

    /// The cluster of `settings` if it answers; starts and makes nothing.
    pub async fn running(mut settings: Settings) -> Result<Option<Self>, Error> {
        if !settings.folder.exists() {
            return Ok(None);
        }
        let folders = Folders::prepare(&settings.folder)?;
        let Some(password) = folders.stored_password()? else { return Ok(None) };
        settings.binaries = reachable(settings.binaries, &folders)?;
        let cluster = Self { settings, folders, password };
        Ok(if cluster.answers().await { Some(cluster) } else { None })
    }

    /// Ends connections and stops; returns once it has stopped. Fine when it does not run.
    pub async fn stop(&self) -> Result<(), Error> {
        if self.control(&["status"]).await.is_err() {
            return Ok(());
        }
        self.control(&["stop", "-m", "fast", "-w"]).await
    }

    /// Whether its server is there at all, also when it is too busy to answer.
    pub fn lives(&self) -> bool {
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let pid = read(&self.folders.data.join("postmaster.pid"));
        // Of one that has died and waits for its parent it is empty.
        let command = pid.lines().next().map(|pid| read(&Path::new("/proc").join(pid.trim()).join("cmdline")));
        command.is_some_and(|command| command.contains("postgres"))
    }

    async fn control(&self, arguments: &[&str]) -> Result<(), Error> {
        let data: [&OsStr; 2] = ["-D".as_ref(), self.folders.data.as_os_str()];
        let arguments = arguments.iter().map(OsStr::new).chain(data);
        self.settings.binaries.run(self.folders.user, "pg_ctl", arguments).await.map(drop)
    }

    /// Bootstraps and migrates `database`, lets the direct door log in, and returns the migrations that it applied.
    pub async fn prepare(&self, database: &str) -> Result<Vec<String>, Error> {
        let admin = self.admin_url(database);
        bootstrap(&admin).await?;
        self.set_password(&admin, OWNER).await?;
        let applied = migrate(&self.owner_url(database)).await?;
        self.set_password(&admin, LOGIN).await?;
        Ok(applied)
    }

    /// For the direct door.
    pub fn url(&self, database: &str) -> String {
        self.url_of(LOGIN, database)
    }

    /// For migrations, also the Supabase CLI's.
    pub fn owner_url(&self, database: &str) -> String {
        self.url_of(OWNER, database)
    }

    /// The superuser's.
    pub fn admin_url(&self, database: &str) -> String {
        self.url_of(ADMIN, database)
    }

    /// The programs that it runs by.
    pub fn binaries(&self) -> &Binaries {
        &self.settings.binaries
    }

    /// What the server last logged.
    pub fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.folders.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn url_of(&self, role: &str, database: &str) -> String {
        let password = &self.password;
        match self.settings.listen {
            Listen::Loopback(port) => format!("postgres://{role}:{password}@127.0.0.1:{port}/{database}"),
            Listen::Socket => {
                let folder = encode(&self.folders.run.to_string_lossy());
                format!("postgres://{role}:{password}@{folder}:{SOCKET_PORT}/{database}")
            }
        }
    }

    /// Tests trust the socket; and tests that run side by side must not all change the cluster's roles.
    async fn set_password(&self, admin: &str, role: &str) -> Result<(), Error> {
        if !self.settings.durable {
            return Ok(());
        }
        // Letters and digits only, ours: nothing to quote.
        Admin::connect(admin).await?.run("password", &format!("alter role {role} password '{}'", self.password)).await
    }

    async fn answers(&self) -> bool {
        Admin::connect(&self.admin_url("postgres")).await.is_ok()
    }

    /// In another folder first: what a crash leaves half made is never taken for a cluster.
    async fn init(&self) -> Result<(), Error> {
        let fresh = self.folders.base.join("data.new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh).map_err(Error::folder(&fresh))?;
        }
        let arguments = [
            format!("--pgdata={}", fresh.display()),
            format!("--username={ADMIN}"),
            format!("--pwfile={}", self.folders.password_file().display()),
            format!("--auth={}", if self.settings.durable { "scram-sha-256" } else { "trust" }),
            "--encoding=UTF8".into(),
            "--locale-provider=builtin".into(),
            "--builtin-locale=C.UTF-8".into(),
            "--locale=C".into(),
            "--no-instructions".into(),
            if self.settings.durable { "--data-checksums" } else { "--no-sync" }.into(),
        ];
        self.settings.binaries.run(self.folders.user, "initdb", arguments).await?;
        fs::rename(&fresh, &self.folders.data).map_err(Error::folder(&self.folders.data))
    }

    fn configure(&self) -> Result<(), Error> {
        let (addresses, port) = match self.settings.listen {
            Listen::Socket => ("", SOCKET_PORT),
            Listen::Loopback(port) => ("127.0.0.1", port),
        };
        let run = self.folders.run.to_string_lossy().replace('\'', "''");
        let durability = if self.settings.durable { DURABLE } else { FOR_TESTS };
        let text = format!(
            "listen_addresses = '{addresses}'\nport = {port}\nunix_socket_directories = '{run}'\n{COMMON}{durability}"
        );
        let file = self.folders.data.join("postgresql.conf");
        fs::write(&file, text).map_err(Error::folder(&file))
    }

    async fn launch(&self) -> Result<(), Error> {
        let log = self.folders.log.to_string_lossy();
        match self.control(&["start", "-l", &log, "-w", "-t", "60"]).await {
            Err(Error::Program { program, .. }) => Err(Error::Program { program, output: self.log_tail() }),
            result => result,
        }
    }
}

/// In a socket's name only.
const SOCKET_PORT: u16 = 5432;

/// No statement, no parameter and no refusal is logged: they hold what people wrote.
const COMMON: &str = "unix_socket_permissions = 0700
shared_buffers = 128MB
maintenance_work_mem = 128MB
huge_pages = off
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
log_min_messages = log
log_min_error_statement = panic
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
";
const DURABLE: &str = "max_connections = 40\n";
const FOR_TESTS: &str = "max_connections = 300
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
";

/// Programs that the cluster's user reaches: copies, where they lie in a folder of root's.
fn reachable(binaries: Binaries, folders: &Folders) -> Result<Binaries, Error> {
    match folders.user {
        Some(user) => binaries.reachable_by(user, &folders.base.join("programs")),
        None => Ok(binaries),
    }
}

/// Of two programs that start at once, one makes and starts the cluster and the other finds it running.
async fn lock(folders: &Folders) -> Result<File, Error> {
    let path = folders.base.join("lock");
    let file = File::create(&path).map_err(Error::folder(&path))?;
    // Waits in a thread of its own: the holder may be another task of this very runtime.
    let taken = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    taken.map_err(io::Error::other).flatten().map_err(Error::folder(&path))
}

/// Percent-encodes a folder, to stand where a URL has its host.
fn encode(folder: &str) -> String {
    folder
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
