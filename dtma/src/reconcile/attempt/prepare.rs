//! From a specification to a container that can be started: image, network, credentials, volume.

use super::{
    super::{fill, with_source},
    Attempt, Stopped,
};
use crate::{
    docker::{self, Launch, Network, given::Given, labels},
    egress,
    ledger::Pin,
    packages::{self, Failure, Kind, NODE, PYTHON, Wanted},
};
use protocol::{
    chat::Secret,
    server::{ServerState, Source},
};
use std::{collections::BTreeMap, time::Duration};

/// What is there to be started.
struct Ready {
    image: String,
    workdir: String,
    masked: Vec<String>,
    /// The program, and what it is given when the specification gives nothing.
    entrypoint: Vec<String>,
    arguments: Vec<String>,
    pinned: String,
    note: Option<String>,
}

/// A container, and what its server has that must not get out.
pub(super) struct Prepared {
    pub(super) container: String,
    pub(super) secrets: Vec<Secret>,
    /// None when the server has it already.
    pub(super) given: Option<Given>,
}

impl Attempt {
    /// A container that a daemon before this one started.
    pub(super) async fn adopt(&mut self, container: String) -> Result<Prepared, Stopped> {
        let shop = self.shop.clone();
        if let Some(egress) = egress::Rules::of(&self.spec.hosts).map_err(|e| e.to_string())? {
            let bridge = shop.engine.network(&self.name(), labels::of_server(shop.toolbox, self.spec.id)).await?;
            shop.egress.serve(self.spec.id, &bridge, egress).await.map_err(|e| with_source(&e))?;
        }
        let seen = shop.engine.inspect(&container).await?;
        let ran = seen.started_at.map_or(0, |at| shop.world.now() - at.as_second());
        self.ran_before = Duration::from_secs(u64::try_from(ran).unwrap_or(0));
        let pinned = seen.labels.get(labels::PINNED).cloned();
        shop.statuses.update(self.spec.id, |status| status.pinned = pinned);
        let secrets = match shop.kept.of(&self.name()) {
            _ if self.spec.secrets.is_empty() => Vec::new(),
            Some(secrets) => secrets,
            // Those that the vault has now are the same: for others it would be started anew. Without them it is not offered,
            // for nothing could be kept back; and it runs on.
            None => match shop.secrets(&self.spec).await {
                Ok(secrets) => secrets.into_values().collect(),
                Err(why) => {
                    let detail = format!("it runs, and what must not get out of it is not known: {why}");
                    return Err(Stopped { docker: true, ..detail.into() });
                }
            },
        };
        Ok(Prepared { container, secrets, given: None })
    }

    pub(super) async fn create(&mut self) -> Result<Prepared, Stopped> {
        self.holding.set(None);
        self.ran_before = Duration::ZERO;
        self.state(ServerState::Installing, None);
        let ready = self.ready().await?;
        self.shop.statuses.update(self.spec.id, |status| status.pinned = Some(ready.pinned.clone()));
        self.state(ServerState::Starting, ready.note.clone());
        let shop = self.shop.clone();
        let name = self.name();
        let of_server = labels::of_server(shop.toolbox, self.spec.id);

        // What an attempt before this one, or a daemon before this one, left under the name.
        shop.engine.remove(&name).await?;
        let mut env: BTreeMap<String, String> = [("HOME".to_owned(), docker::DATA.to_owned())].into();
        let network = match egress::Rules::of(&self.spec.hosts).map_err(|e| e.to_string())? {
            None => Network::None,
            Some(rules) => {
                let bridge = shop.engine.network(&name, of_server.clone()).await?;
                let opened = shop.egress.serve(self.spec.id, &bridge, rules).await.map_err(|e| with_source(&e))?;
                env.extend(egress::variables(opened, shop.ca.is_some()));
                Network::Named { name: name.clone(), dns: opened.dns }
            }
        };
        let secrets = shop.secrets(&self.spec).await?;
        let known: Vec<Secret> = secrets.values().map(|secret| Secret::new(secret.expose().to_owned())).collect();
        let mut filled = fill::fill(&self.spec, secrets);
        env.extend(filled.env);

        let mut of_container = of_server.clone();
        of_container.insert(labels::NAME.into(), self.spec.name.clone());
        of_container.insert(labels::SPEC.into(), self.digest.clone());
        of_container.insert(labels::REVISION.into(), self.spec.revision.to_string());
        of_container.insert(labels::RECIPE.into(), docker::RECIPE.to_string());
        of_container.insert(labels::PINNED.into(), ready.pinned);
        let runner = if matches!(self.spec.source, Source::Uvx { .. }) { PYTHON } else { NODE };
        shop.engine.volume(shop.toolbox, &name, of_server, runner).await?;
        // What an attempt before this one, or a daemon before this one, left under the name.
        shop.engine.remove(&name).await?;
        let arguments = if filled.args.is_empty() { ready.arguments } else { filled.args };
        if !filled.given.arguments.is_empty() {
            // All that follows the program, which may be the image's own.
            let whole = ready.entrypoint.iter().chain(&filled.given.arguments).skip(1);
            filled.given.arguments = whole.cloned().collect();
        }
        let launch = Launch {
            name: name.clone(),
            image: ready.image,
            command: [ready.entrypoint, arguments].concat(),
            workdir: ready.workdir,
            masked: ready.masked,
            env,
            labels: of_container,
            volume: name,
            ca: shop.ca.as_ref().filter(|_| network != Network::None).map(|ca| ca.display().to_string()),
            network,
            limits: shop.limits,
        };
        shop.kept.keep(&self.name(), known.iter());
        let container = shop.engine.create(launch).await?;
        Ok(Prepared { container, secrets: known, given: Some(filled.given) })
    }

    async fn ready(&mut self) -> Result<Ready, Stopped> {
        let now = self.shop.world.now();
        let Some(wanted) = Wanted::of(&self.spec.source) else { return self.image().await };
        let mut wanted: Wanted = wanted.map_err(|e| e.to_string())?;
        let pin = self.shop.pins.lock().ok().and_then(|pins| pins.find(self.spec.id, &wanted.key(), now).cloned());
        if let Some(pin) = pin {
            if wanted.version.is_none() {
                wanted.version = Some(pin.version.clone());
            }
            if self.with.is_empty() && !self.tried && wanted.version.as_ref() == Some(&pin.version) {
                self.with = pin.with;
            }
        }
        wanted.with = self.with.clone();
        let ready = self.shop.packages.ready(wanted.clone()).await.map_err(|failure| match failure {
            Failure::Install { code, log } => Stopped {
                detail: format!("{} could not be installed", wanted.package),
                exit_code: Some(code),
                log: Some(log),
                docker: false,
                unknown: false,
            },
            // Not one that took its time: that may well be the package.
            Failure::Docker(error) => {
                Stopped { unknown: matches!(error, docker::Error::Unreachable(_)), ..error.to_string().into() }
            }
            other => other.to_string().into(),
        })?;
        let version = ready.installed.version.clone();
        self.pinning = Some(Pin { package: wanted.key(), version: version.clone(), with: vec![], at: now });
        self.pin();
        let scripts = (!ready.installed.scripts.is_empty())
            .then(|| format!("install scripts that did not run: {}", ready.installed.scripts.join(", ")));
        let note = ready.note.map(str::to_owned).into_iter().chain(scripts).reduce(|a, b| format!("{a}; {b}"));
        let with: String = wanted.with.iter().map(|with| format!(" with {with}")).collect();
        let pinned = match wanted.kind {
            Kind::Npx => format!("{}@{version}{with}", wanted.package),
            Kind::Uvx => format!("{}=={version}{with}", wanted.package),
        };
        let entrypoint = ready.installed.command.clone();
        self.installed = Some(ready.installed);
        // Its image is ours: no volumes, and nowhere of its own to start.
        let (workdir, masked, arguments) = (docker::DATA.to_owned(), vec![], vec![]);
        Ok(Ready { image: ready.image, workdir, masked, entrypoint, arguments, pinned, note })
    }

    async fn image(&self) -> Result<Ready, Stopped> {
        let Source::Oci { image } = &self.spec.source else {
            return Err("a server behind a URL does not run here".to_owned().into());
        };
        // A tag is looked up once. What it gave stays until the specification changes, or its user restarts the server.
        let key = format!("oci:{image}#{}", self.spec.revision);
        let pin = self.shop.pins.lock().ok().and_then(|pins| pins.own(self.spec.id, &key).cloned());
        let wanted = pin.as_ref().map_or(image.as_str(), |pin| pin.version.as_str());
        let engine = &self.shop.engine;
        let found = match engine.image(wanted).await? {
            Some(found) => found,
            None if wanted.starts_with("sha256:") => {
                return Err(format!(
                    "the image that this server was started with ({wanted}) is gone from this machine; restart the server to \
                     take what {image} is now"
                )
                .into());
            }
            None => {
                if let Some(why) = packages::no_room(engine.disk().await?) {
                    return Err(format!("{image} is not here and not pulled: {why}").into());
                }
                engine.pull(wanted).await.map_err(|error| Stopped {
                    unknown: matches!(error, docker::Error::Unreachable(_)),
                    ..format!("{wanted} is not here and cannot be pulled: {error}").into()
                })?;
                engine.image(wanted).await?.ok_or_else(|| format!("{wanted} was pulled and is not there"))?
            }
        };
        let workdir = workdir(&found.workdir).ok_or_else(|| {
            format!("{image} wants to start in '{}', where no program of an image lives", found.workdir)
        })?;
        let version = found.digest.clone().unwrap_or_else(|| found.id.clone());
        if pin.is_none() {
            let now = self.shop.world.now();
            let pin = Pin { package: key, version: version.clone(), with: vec![], at: now };
            self.shop.change_pins(|pins| pins.set(self.spec.id, pin));
        }
        Ok(Ready {
            pinned: version,
            image: found.id,
            workdir,
            masked: found.volumes,
            entrypoint: found.entrypoint,
            arguments: found.command,
            note: None,
        })
    }

    /// Keeps the version from the first installation on, and what else it took once the server has run with it.
    pub(super) fn pin(&self) {
        if let Some(pin) = self.pinning.clone() {
            self.shop.change_pins(|pins| pins.set(self.spec.id, pin));
        }
    }
}

/// Where an image's command line starts: its own business, as long as it is a folder of the image. A path into the kernel's
/// file systems has led out of containers (CVE-2024-21626).
fn workdir(wanted: &str) -> Option<String> {
    if wanted.is_empty() {
        return Some(docker::DATA.to_owned());
    }
    let mut parts = wanted.strip_prefix('/')?.split('/');
    let plain = parts.clone().all(|part| part != "..");
    let first = parts.find(|part| !part.is_empty() && *part != ".").unwrap_or_default();
    (plain && !["proc", "sys", "dev"].contains(&first)).then(|| wanted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_starts_in_a_folder_of_its_own() {
        for (wanted, given) in [("", "/data"), ("/", "/"), ("/app", "/app"), ("/srv/process", "/srv/process")] {
            assert_eq!(workdir(wanted).as_deref(), Some(given));
        }
        for bad in ["/proc/self/fd/8", "//proc/self/cwd", "/./proc", "/app/../proc/1/cwd", "/sys", "/dev/fd/3", "app"] {
            assert_eq!(workdir(bad), None, "{bad}");
        }
    }
}
