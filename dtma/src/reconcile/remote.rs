//! Servers behind a URL. Nothing of them runs on this machine, so Docker and the plan have no part in them: each that is
//! wanted has a task that keeps a connection to it, and begins again when that ends.
//!
//! A URL comes with the desired state and so is somebody's word: only https to public addresses is spoken, the name is
//! resolved once and what was checked is what is dialled, no redirect is followed and no proxy asked.

use super::{
    Workshop,
    attempt::{End, Ended},
    fill, offer,
    plan::{runs_here, spec_digest},
    task::{Generations, report},
};
use crate::egress;
use domain::launch;
use mcp::remote::Endpoint;
use protocol::{
    chat::Secret,
    ids::ServerId,
    server::{ServerSpec, ServerState, Source},
    toolbox::DesiredState,
};
use reqwest::{
    Certificate, Url,
    dns::{Addrs, Name, Resolving},
    header::{HeaderMap, HeaderName, HeaderValue},
};
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::task::AbortOnDropHandle;

/// Until its tools are listed.
const ANSWER: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(10);
const LONGEST_MESSAGE: usize = 16 << 20;

/// The tasks of all of them. Dropped, it ends them.
#[derive(Default)]
pub(super) struct Remotes(HashMap<ServerId, Held>);

struct Held {
    digest: String,
    revision: u32,
    _task: AbortOnDropHandle<()>,
}

impl Remotes {
    /// Ends what is no longer wanted as it is, and begins what is new. Without a valid desired state nothing changes.
    pub(super) fn follow(&mut self, shop: &Arc<Workshop>, desired: &watch::Receiver<Option<DesiredState>>) {
        let Some(state) = desired.borrow().clone() else { return };
        let wanted: BTreeMap<ServerId, (&ServerSpec, String)> = state
            .servers
            .iter()
            .filter(|spec| !runs_here(spec))
            .map(|spec| (spec.id, (spec, spec_digest(spec))))
            .collect();
        self.0.retain(|id, held| {
            wanted.get(id).is_some_and(|(spec, digest)| held.digest == *digest && held.revision == spec.revision)
        });
        for (id, (spec, digest)) in wanted {
            self.0.entry(id).or_insert_with(|| {
                let life = Life { shop: shop.clone(), spec: spec.clone(), generations: Generations(desired.clone()) };
                let _task = AbortOnDropHandle::new(tokio::spawn(life.live()));
                Held { digest, revision: spec.revision, _task }
            });
        }
    }
}

struct Life {
    shop: Arc<Workshop>,
    spec: ServerSpec,
    generations: Generations,
}

impl Life {
    async fn live(mut self) {
        self.shop.statuses.begin(&self.spec, ServerState::Starting);
        loop {
            let ended = self.once().await;
            let wait = self.shop.ended(self.spec.id, self.generations.now(), ended.ran);
            tracing::warn!(server = %self.spec.name, why = %ended.detail, again_in = wait.as_secs(), "a remote server is not connected");
            report(&self.shop, &self.spec, ended, wait.as_secs());
            self.generations.wait(wait).await;
        }
    }

    async fn once(&self) -> Ended {
        let mut listed = None;
        let detail = match self.connected(&mut listed).await {
            Ok(()) => "the connection to it ended".to_owned(),
            Err(detail) => detail,
        };
        let ran = listed.map_or(Duration::ZERO, |at: Instant| at.elapsed());
        Ended { end: End::Over, detail, exit_code: None, log: vec![], listed: listed.is_some(), ran }
    }

    async fn connected(&self, listed: &mut Option<Instant>) -> Result<(), String> {
        let secrets = self.shop.secrets(&self.spec).await?;
        let endpoint = endpoint(&self.spec, &secrets, self.shop.egress.world(), self.shop.ca.as_deref())?;
        // Longer than ours below, so that ours is the one that speaks.
        let options = mcp::connection::Options { handshake: ANSWER * 2, ..Default::default() };
        let opening = async move {
            let streams = mcp::remote::streams(endpoint);
            offer::open(streams.output, streams.input, options).await
        };
        let opened = match timeout(ANSWER, self.shop.wire.run(opening)).await {
            Ok(opened) => opened.map_err(|error| super::with_source(&error))?,
            Err(_) => return Err(format!("it did not list its tools within {} s", ANSWER.as_secs())),
        };
        *listed = Some(Instant::now());
        let now = jiff::Timestamp::now();
        offer::until_it_ends(&self.shop, &self.spec, opened, secrets.into_values().collect(), async { Some(now) })
            .await;
        Ok(())
    }
}

/// Credentials stand in the URL and in headers where the specification names them, as `{NAME}`; its settings are the headers.
/// A credential that it names nowhere has a header of its own (`domain::launch::header`).
fn endpoint(
    spec: &ServerSpec,
    secrets: &BTreeMap<String, Secret>,
    world: &egress::World,
    ca: Option<&Path>,
) -> Result<Endpoint, String> {
    let Source::Remote { url } = &spec.source else { return Err("it is not behind a URL".to_owned()) };
    let known = |name: &str| secrets.get(name).map(Secret::expose);
    let mentioned = |key: &str| {
        let reference = format!("{{{key}}}");
        url.contains(&reference) || spec.env.values().any(|value| value.contains(&reference))
    };
    let own =
        secrets.keys().filter(|key| launch::file(key).is_none() && !mentioned(key)).map(|key| launch::header(key));
    let said = spec.env.iter().map(|(name, value)| (name.clone(), value.clone()));
    let mut headers = HeaderMap::new();
    for (name, value) in own.chain(said) {
        let bad = || format!("its header {name} cannot be sent");
        let name = HeaderName::try_from(name.as_str()).map_err(|_| bad())?;
        let mut value = HeaderValue::try_from(fill::substitute(&value, known)).map_err(|_| bad())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let url = Url::parse(&fill::substitute(url, known)).map_err(|_| "its address is no URL".to_owned())?;
    let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
        return Err("its address is not an https one without a name and password".to_owned());
    }
    if literal.is_some_and(|address| !(world.reachable)(address)) {
        return Err("its address is not public".to_owned());
    }
    Ok(Endpoint { http: client(world, ca)?, url, headers, max_message: LONGEST_MESSAGE })
}

fn client(world: &egress::World, ca: Option<&Path>) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("dtma/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .dns_resolver(Arc::new(Checked(world.clone())));
    if let Some(ca) = ca {
        let read = std::fs::read(ca).map_err(|error| format!("the machine's certificates cannot be read: {error}"))?;
        let more =
            Certificate::from_pem_bundle(&read).map_err(|_| "the machine's certificates are no PEM".to_owned())?;
        builder = builder.tls_certs_merge(more);
    }
    builder.build().map_err(|error| super::with_source(&error))
}

/// Resolves names to addresses out in the world.
struct Checked(egress::World);

impl reqwest::dns::Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let world = self.0.clone();
        Box::pin(async move {
            // The port of the URL takes the place of this one.
            let found = (world.resolve)(name.as_str().to_owned(), 443).await?;
            let public: Vec<_> = found.into_iter().filter(|address| (world.reachable)(address.ip())).collect();
            if public.is_empty() {
                return Err("its name has no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}
