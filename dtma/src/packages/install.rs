//! The installation itself, two at a time, and one at a time for one package.

use super::{Installed, Kind, Registry, Wanted, command};
use crate::docker::{
    Committed, Engine, Error as Docker, InstallNetwork, Ran,
    labels::{self, PACKAGES},
};
use protocol::ids::ToolboxId;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::{OwnedMutexGuard, Semaphore};

const AT_ONCE: usize = 2;
const LIMIT: Duration = Duration::from_secs(180);
const PROBE: Duration = Duration::from_secs(15);

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("the image {0} is not there; run scripts/build-images")]
    NoRunner(&'static str),
    #[error("the package could not be installed")]
    Install { code: i64, log: Vec<String> },
    #[error("{0}")]
    Unusable(String),
    #[error(transparent)]
    Docker(#[from] Docker),
}

/// A package in an image.
#[derive(Clone, Debug)]
pub struct Ready {
    pub image: String,
    pub installed: Installed,
    /// In words, when something about the installation should be known.
    pub note: Option<&'static str>,
}

pub struct Packages {
    pub(super) engine: Engine,
    toolbox: ToolboxId,
    registry: Registry,
    slots: Semaphore,
    /// One entry per package under way.
    busy: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Set once the bridge network was seen to lead nowhere.
    host_network: AtomicBool,
}

impl Packages {
    pub fn new(engine: Engine, toolbox: ToolboxId, registry: Registry) -> Arc<Self> {
        Arc::new(Self {
            engine,
            toolbox,
            registry,
            slots: Semaphore::new(AT_ONCE),
            busy: Mutex::default(),
            host_network: AtomicBool::new(false),
        })
    }

    /// The image with the package; made when it is not there. It goes on when the caller goes away, so that no
    /// installer is left behind and the next caller finds the image.
    pub async fn ready(self: &Arc<Self>, wanted: Wanted) -> Result<Ready, Failure> {
        let (send, done) = tokio::sync::oneshot::channel();
        let this = self.clone();
        tokio::spawn(async move {
            // The caller may be gone: then nobody needs the answer.
            let _ = send.send(this.find_or_install(wanted).await);
        });
        done.await.unwrap_or_else(|_| Err(Failure::Unusable("the installation was interrupted".into())))
    }

    async fn find_or_install(&self, wanted: Wanted) -> Result<Ready, Failure> {
        let runner = self.engine.image(wanted.kind.runner()).await?.ok_or(Failure::NoRunner(wanted.kind.runner()))?.id;
        if let Some(ready) = self.cached(&runner, &wanted).await? {
            return Ok(ready);
        }
        let _alone = self.alone(&wanted).await;
        if let Some(ready) = self.cached(&runner, &wanted).await? {
            return Ok(ready);
        }
        let _slot = self.slots.acquire().await.map_err(|_| Failure::Unusable("the daemon is stopping".into()))?;
        match super::no_room(self.engine.disk().await?) {
            Some(why) => Err(Failure::Unusable(format!("{} is not installed: {why}", wanted.package))),
            None => self.install(&runner, &wanted).await,
        }
    }

    async fn cached(&self, runner: &str, wanted: &Wanted) -> Result<Option<Ready>, Failure> {
        let Some(version) = &wanted.version else { return Ok(None) };
        let image = format!("{PACKAGES}:{}", tag(runner, wanted, version));
        let Some(found) = self.engine.image(&image).await? else { return Ok(None) };
        let label = found.labels.get(labels::PACKAGE).and_then(|label| serde_json::from_str(label).ok());
        Ok(label.map(|installed| Ready { image, installed, note: None }))
    }

    async fn alone(&self, wanted: &Wanted) -> OwnedMutexGuard<()> {
        let lock = {
            let mut busy = self.busy.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            busy.retain(|_, lock| Arc::strong_count(lock) > 1);
            busy.entry(wanted.key()).or_default().clone()
        };
        lock.lock_owned().await
    }

    async fn install(&self, runner: &str, wanted: &Wanted) -> Result<Ready, Failure> {
        let network = if self.host_network.load(Relaxed) { InstallNetwork::Host } else { InstallNetwork::Bridge };
        match self.install_over(runner, wanted, network).await? {
            Some(ready) => Ok(ready),
            None => {
                tracing::warn!(
                    "containers have no way to the package registry; packages are installed over the host's network"
                );
                self.host_network.store(true, Relaxed);
                self.install_over(runner, wanted, InstallNetwork::Host).await?.ok_or_else(|| {
                    Failure::Unusable("neither containers nor this machine reach the package registry".into())
                })
            }
        }
    }

    /// `None` when this network leads nowhere.
    async fn install_over(
        &self,
        runner: &str,
        wanted: &Wanted,
        network: InstallNetwork,
    ) -> Result<Option<Ready>, Failure> {
        let id = self.engine.installer(self.toolbox, runner, network, self.registry.mounts()).await?;
        let done = self.install_in(&id, runner, wanted, network).await;
        // Nobody has to wait for it; one that stays is found by its label when the daemon starts.
        let engine = self.engine.clone();
        tokio::spawn(async move {
            if let Err(error) = engine.remove(&id).await {
                tracing::warn!(%error, "an installer could not be removed");
            }
        });
        done
    }

    async fn install_in(
        &self,
        id: &str,
        runner: &str,
        wanted: &Wanted,
        network: InstallNetwork,
    ) -> Result<Option<Ready>, Failure> {
        let version = wanted.version.as_deref().unwrap_or_default();
        let (script, describe, probe): (_, _, &[&str]) = match wanted.kind {
            Kind::Npx => (include_str!("npm.sh"), include_str!("npm.js"), &["npm", "ping", "--fetch-retries=0"]),
            Kind::Uvx => {
                (include_str!("pypi.sh"), include_str!("pypi.py"), &["python3", "-c", include_str!("probe.py")])
            }
        };
        let mut command = vec!["sh", "-c", script, "install", wanted.package.as_str(), version];
        command.extend(wanted.with.iter().map(String::as_str));
        let mut env = self.registry.env().to_vec();
        env.push("HOME=/tmp".into());
        let describing = [env.clone(), vec![format!("DESCRIBE={describe}")]].concat();
        let begun = Instant::now();
        let ran = self.engine.run(id, &command, describing, LIMIT).await?;
        let ran_for = begun.elapsed();
        if ran.code != 0 {
            let lost = looks_unreachable(&ran)
                && self.engine.run(id, probe, env, PROBE).await.map_or(true, |ran| ran.code != 0);
            return if lost { Ok(None) } else { Err(Failure::Install { code: ran.code, log: tail(&ran) }) };
        }
        let installed = command::parse(&ran.stdout).map_err(Failure::Unusable)?;
        let tag = tag(runner, wanted, &installed.version);
        let label = serde_json::to_string(&installed).map_err(|e| Failure::Unusable(e.to_string()))?;
        let labels = [(labels::PACKAGE.to_owned(), label), (labels::PACKAGE_KEY.to_owned(), wanted.key())].into();
        self.engine.commit(id, Committed { name: PACKAGES, tag: &tag, labels }).await?;
        let (package, version) = (&wanted.package, &installed.version);
        tracing::info!(package, version, install = ?ran_for, whole = ?begun.elapsed(), "a package is installed");
        let note = (network == InstallNetwork::Host).then_some("installed over the host's network");
        Ok(Some(Ready { image: format!("{PACKAGES}:{tag}"), installed, note }))
    }
}

/// Of everything that the image depends on.
fn tag(runner: &str, wanted: &Wanted, version: &str) -> String {
    let mut hash = Sha256::new();
    let scripts = [include_str!("npm.sh"), include_str!("npm.js"), include_str!("pypi.sh"), include_str!("pypi.py")];
    for part in [runner, wanted.kind.word(), &wanted.package, version].iter().chain(&scripts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    for part in &wanted.with {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    crate::hex(&hash.finalize())
}

fn looks_unreachable(ran: &Ran) -> bool {
    const SIGNS: [&str; 9] = [
        "ENOTFOUND",
        "EAI_AGAIN",
        "ECONNREFUSED",
        "ETIMEDOUT",
        "ENETUNREACH",
        "EHOSTUNREACH",
        "dns error",
        "error sending request",
        "Could not connect",
    ];
    SIGNS.iter().any(|sign| ran.stderr.contains(sign) || ran.stdout.contains(sign))
}

fn tail(ran: &Ran) -> Vec<String> {
    let lines = ran.stdout.lines().chain(ran.stderr.lines());
    let lines: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(20)..].iter();
    last.map(|line| without_passwords(line).chars().filter(|c| !c.is_control()).take(1000).collect()).collect()
}

/// A registry's address may carry a user and a password.
fn without_passwords(line: &str) -> String {
    let mut parts = line.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("://");
        let authority = part.split(['/', ' ', '"', '\'']).next().unwrap_or_default();
        match authority.rfind('@') {
            Some(at) => {
                out.push_str("[redacted]");
                out.push_str(&part[at..]);
            }
            None => out.push_str(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_by_everything_it_depends_on() {
        let wanted = Wanted { kind: Kind::Npx, package: "ab".into(), version: None, with: vec![] };
        let mut other = wanted.clone();
        other.package = "a".into();
        assert_eq!(tag("r", &wanted, "1"), tag("r", &wanted, "1"));
        assert_ne!(tag("r", &wanted, "1"), tag("r", &wanted, "2"));
        assert_ne!(tag("r", &wanted, "1"), tag("s", &wanted, "1"));
        assert_ne!(tag("r", &wanted, "1"), tag("r", &other, "b1"));
        let with = Wanted { with: vec!["mcp<2".into()], ..wanted.clone() };
        assert_ne!(tag("r", &wanted, "1"), tag("r", &with, "1"));
    }

    #[test]
    fn a_registrys_password_is_not_shown() {
        let ran = Ran {
            code: 1,
            stdout: String::new(),
            stderr: "GET https://u:p@npm.example/x 404\n\nsee http://a/b@c".into(),
        };
        assert_eq!(tail(&ran), ["GET https://[redacted]@npm.example/x 404", "see http://a/b@c"]);
    }
}
