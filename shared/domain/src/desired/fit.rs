//! Whether a server that a user describes directly can be run at all.
//!
//! The package and the names of variables obey the same closed grammars as those of a catalog entry. Arguments are freer:
//! they are the user's own, and no shell ever reads them.

use crate::launch::{self, is_address, is_header, launch};
use protocol::{
    catalog::{Input, Package, ServerJson},
    server::Source,
};
use std::collections::BTreeMap;

const ARGUMENTS: usize = 64;
const ARGUMENT: usize = 4096;
const VARIABLES: usize = 64;
const HOSTS: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("{0}")]
    Source(#[from] launch::Refusal),
    #[error("its address is not an https one, or its host is not plain")]
    Address,
    #[error(
        "a server behind an address has no arguments and no hosts: only its address and its headers are ours to say"
    )]
    Elsewhere,
    #[error("a header that cannot be given: {0}")]
    Header(String),
    #[error("it has more than 64 arguments, or one that is too long or not text")]
    Arguments,
    #[error("it has more than 64 variables, or one that is too long or not text")]
    Variables,
    #[error("a host is written as name:port, or * for any public address")]
    Hosts,
}

/// The source as it is deployed: a version of `latest` is none.
pub fn fit(
    source: &Source,
    args: &[String],
    env: &BTreeMap<String, String>,
    secrets: &[String],
    hosts: &[String],
) -> Result<Source, Unfit> {
    if args.len() > ARGUMENTS || !args.iter().all(|argument| is_text(argument)) {
        return Err(Unfit::Arguments);
    }
    if env.len() + secrets.len() > VARIABLES || !env.values().all(|value| is_text(value)) {
        return Err(Unfit::Variables);
    }
    if hosts.len() > HOSTS || !hosts.iter().all(|host| host == "*" || is_host(host)) {
        return Err(Unfit::Hosts);
    }
    // As a catalog entry would say it, so that the rules for entries decide.
    let secrets = secrets.iter().map(|name| launch::variable(name));
    let variables = env.keys().map(String::as_str).chain(secrets).map(|name| Input {
        name: name.to_owned(),
        is_required: true,
        value: Some("set".to_owned()),
        ..Input::default()
    });
    let package = |registry_type: &str, identifier: &str, version: &Option<String>| Package {
        registry_type: registry_type.to_owned(),
        identifier: identifier.to_owned(),
        version: version.clone(),
        environment_variables: variables.clone().collect(),
        ..Package::default()
    };
    let package = match source {
        Source::Npx { package: name, version } => package("npm", name, version),
        Source::Uvx { package: name, version } => package("pypi", name, version),
        Source::Oci { image } => package("oci", image, &None),
        Source::Remote { url } => {
            if !args.is_empty() || !hosts.is_empty() {
                return Err(Unfit::Elsewhere);
            }
            if let Some((name, _)) = env.iter().find(|(name, value)| !is_header(name, value)) {
                return Err(Unfit::Header(name.clone()));
            }
            return if is_address(url) { Ok(source.clone()) } else { Err(Unfit::Address) };
        }
    };
    let entry = ServerJson {
        name: String::new(),
        description: String::new(),
        version: String::new(),
        title: None,
        repository: None,
        website_url: None,
        packages: vec![package],
        remotes: Vec::new(),
        meta: Default::default(),
    };
    Ok(launch(&entry)?.source)
}

fn is_text(text: &str) -> bool {
    text.len() <= ARGUMENT && !text.chars().any(|c| c == '\0')
}

fn is_host(host: &str) -> bool {
    let Some((name, port)) = host.rsplit_once(':') else { return false };
    port.parse::<u16>().is_ok_and(|port| port > 0)
        && (1..=253).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-')
}
