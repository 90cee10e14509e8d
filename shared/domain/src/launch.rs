//! From a catalog entry to what a toolbox runs, or where it connects to.
//!
//! Entries are written by strangers. What they say may fill three places only: the package's name and version, the
//! arguments of its own program, and environment variables that are not the runtime's; or, for a server that its publisher
//! runs, its address and its headers. Each is checked against a closed
//! grammar, and an entry that does not fit is refused, never quoted or repaired. Arguments of the container engine
//! (`runtimeArguments`: mounts, networks, capabilities) are not obeyed at all.
//!
//! A value that the user has to give stays a `{NAME}` reference in `args` or `env`, and `NAME` stands in `secrets`: the
//! toolbox puts the value in, just before it starts the server. Only a reference that the entry itself describes becomes
//! one; other braces stay as they are.

mod check;
mod files;
mod hosts;
mod inputs;
mod remote;
#[cfg(test)]
mod tests;

pub use files::{file, is_secret, of_file, variable};
pub use inputs::Wanted;
pub use remote::{header, host};
pub(crate) use remote::{is_address, is_header};

use inputs::Inputs;
use protocol::{
    catalog::{Argument, Package, ServerJson},
    server::Source,
};
use std::collections::{BTreeMap, BTreeSet};

/// How a catalog entry is run at a toolbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    pub package: Package,
    pub source: Source,
    pub args: Vec<String>,
    /// Variables, or the headers of a server behind an address.
    pub env: BTreeMap<String, String>,
    /// What the user may or must give, each name once.
    pub inputs: Vec<Wanted>,
    /// `host:port`, or `*` for any public address; empty for no network.
    pub hosts: Vec<String>,
    /// True when the entry says nothing about inputs, which does not mean that there are none.
    pub inputs_unknown: bool,
}

/// Why an entry cannot be run at a toolbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("its publisher offers no package")]
    NoPackage,
    #[error("it is only offered as a service that speaks MCP's older transport (SSE)")]
    Stream,
    #[error("it is only offered as a service, and its address is not a plain https one")]
    Address,
    #[error("it is only offered as a service, and one of the headers that it wants cannot be sent")]
    Header,
    #[error("its package is of a kind that a toolbox does not run")]
    Kind,
    #[error("its package does not speak over standard input and output")]
    Transport,
    #[error("its package's name or version is not a plain one")]
    Identifier,
    #[error("one of its arguments is not a plain one")]
    Argument,
    #[error("one of its variables would change how it is started")]
    Variable,
}

/// The best package of the entry, ready to run: npm and PyPI before images, since they need no image registry. Where none
/// can be run, the address of the server that its publisher runs.
pub fn launch(server: &ServerJson) -> Result<Launch, Refusal> {
    let mut packages: Vec<&Package> = server.packages.iter().collect();
    packages.sort_by_key(|package| (kind_rank(&package.registry_type), !package.runtime_arguments.is_empty()));
    let packages = packages.into_iter().map(|package| prepare(server, package));
    let remotes = server.remotes.iter().map(|remote| remote::prepare(server, remote));
    // The first one's reason is the telling one.
    let mut refusal = None;
    for prepared in packages.chain(remotes) {
        match prepared {
            Ok(launch) => return Ok(launch),
            Err(reason) => refusal = refusal.or(Some(reason)),
        }
    }
    Err(refusal.unwrap_or(Refusal::NoPackage))
}

impl Launch {
    /// Names of the variables for the toolbox to fetch: all that are required, and the optional ones that the vault has.
    pub fn secrets(&self, stored: &BTreeSet<String>) -> Vec<String> {
        self.inputs.iter().filter(|i| i.required || stored.contains(&i.key)).map(|i| i.key.clone()).collect()
    }

    /// The plain settings, without defaults that the vault overrides.
    pub fn plain_env(&self, stored: &BTreeSet<String>) -> BTreeMap<String, String> {
        let overridden = |key: &String| self.inputs.iter().any(|i| &i.key == key && stored.contains(key));
        self.env.iter().filter(|(key, _)| !overridden(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// The URL of a server that its publisher runs; none for one that runs at the toolbox.
    pub fn address(&self) -> Option<&str> {
        match &self.source {
            Source::Remote { url } => Some(url),
            _ => None,
        }
    }
}

/// True for a variable that a server may have: a plain name that means nothing to what starts the server.
pub fn is_variable(name: &str) -> bool {
    check::variable_name(name)
}

fn kind_rank(registry_type: &str) -> u8 {
    match registry_type {
        "npm" | "pypi" => 0,
        "oci" => 1,
        _ => 2,
    }
}

fn prepare(server: &ServerJson, package: &Package) -> Result<Launch, Refusal> {
    if package.transport.as_ref().is_some_and(|transport| transport.kind != "stdio") {
        return Err(Refusal::Transport);
    }
    let source = source(package)?;
    let mut inputs = Inputs::default();
    let mut env = BTreeMap::new();
    for variable in &package.environment_variables {
        if !check::variable_name(&variable.name) {
            if variable.is_required || variable.value.is_some() {
                return Err(Refusal::Variable);
            }
            continue;
        }
        match inputs.resolve(&files::key(&variable.name, variable), variable)? {
            Some(value) if value.len() > check::VALUE_MAX || value.chars().any(char::is_control) => {
                return Err(Refusal::Variable);
            }
            Some(value) => {
                env.insert(variable.name.clone(), value);
            }
            None => {}
        }
    }
    let mut args = Vec::new();
    for argument in &package.package_arguments {
        args.extend(arguments(argument, &mut inputs)?);
    }
    if args.len() > check::ARGUMENTS_MAX || !args.iter().all(|argument| check::argument(argument)) {
        return Err(Refusal::Argument);
    }
    let inputs = inputs.into_wanted();
    let known = !package.environment_variables.is_empty() || !inputs.is_empty() || says_all_inputs(server);
    let hosts = hosts::hosts(server, &source);
    Ok(Launch { package: package.clone(), source, args, env, inputs, hosts, inputs_unknown: !known })
}

/// Our own seed marks entries whose inputs are all declared, none included.
fn says_all_inputs(server: &ServerJson) -> bool {
    server.meta.get("io.agentopia/inputs").and_then(|value| value.as_str()) == Some("complete")
}

fn source(package: &Package) -> Result<Source, Refusal> {
    let version = match package.version.as_deref().map(str::trim) {
        None | Some("" | "latest") => None,
        Some(version) if check::version(version) => Some(version.to_owned()),
        Some(_) => return Err(Refusal::Identifier),
    };
    let identifier = package.identifier.as_str();
    match package.registry_type.as_str() {
        "npm" if check::npm(identifier) => Ok(Source::Npx { package: identifier.to_owned(), version }),
        "pypi" if check::pypi(identifier) => Ok(Source::Uvx { package: identifier.to_owned(), version }),
        "oci" if check::image(identifier) => {
            let named = identifier.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
            let image = match version {
                Some(version) if !named && check::tag(&version) => format!("{identifier}:{version}"),
                _ => identifier.to_owned(),
            };
            Ok(Source::Oci { image })
        }
        "npm" | "pypi" | "oci" => Err(Refusal::Identifier),
        _ => Err(Refusal::Kind),
    }
}

fn arguments(argument: &Argument, inputs: &mut Inputs) -> Result<Vec<String>, Refusal> {
    let named = argument.kind == "named";
    let hint = argument.value_hint.as_deref().filter(|hint| !hint.is_empty()).unwrap_or(&argument.input.name);
    let key = files::key(&check::key_from(if named { &argument.input.name } else { hint }), &argument.input);
    let fixed = argument.input.value.is_some();
    let value = match fixed || argument.input.default.is_some() || !key.is_empty() {
        true => inputs.resolve(&key, &argument.input)?,
        false => None,
    };
    // What the user has to give, and only the user knows, stays a reference.
    let asked = !fixed && value.is_none() && inputs.is_required(&key);
    let value = if asked { Some(format!("{{{key}}}")) } else { value };
    Ok(match (named, value) {
        (true, Some(value)) => vec![argument.input.name.clone(), value],
        (_, None) if argument.input.is_required && key.is_empty() => return Err(Refusal::Argument),
        (true, None) => Vec::new(),
        (false, value) => value.into_iter().collect(),
    })
}
