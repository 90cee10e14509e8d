//! Which entries of a registry are taken. They are written by strangers: what could shape a launch is refused, what is
//! merely useless is left out, and every text stays data.

#[cfg(test)]
mod tests;

use domain::address::is_public;
use protocol::catalog::{Package, Remote, ServerJson};
use serde_json::Value;
use url::{Host, Url};

/// The official schema says 100 characters; catalogs have more.
const DESCRIPTION_MAX: usize = 2_000;
/// Bytes of one entry.
const ENTRY_MAX: usize = 256 * 1024;
const PACKAGES_MAX: usize = 32;

/// The entry as it is stored, or why it is not.
pub(crate) fn check(server: &Value) -> Result<ServerJson, String> {
    let size = server.to_string();
    if size.len() > ENTRY_MAX {
        return Err(format!("it is larger than {ENTRY_MAX} bytes"));
    }
    if size.contains("\\u0000") {
        return Err("it has a NUL character in a text".to_owned());
    }
    let mut entry: ServerJson =
        serde_json::from_value(server.clone()).map_err(|error| format!("it is no server.json: {error}"))?;
    if !is_name(&entry.name) {
        return Err("its name is not like io.example/name".to_owned());
    }
    if entry.version.is_empty() || entry.version.len() > 255 {
        return Err("its version is empty or too long".to_owned());
    }
    if entry.description.trim().is_empty() || entry.description.chars().count() > DESCRIPTION_MAX {
        return Err(format!("its description is empty or longer than {DESCRIPTION_MAX} characters"));
    }
    if speaks_to_models(&entry.description) || entry.title.as_deref().is_some_and(speaks_to_models) {
        return Err("its description gives orders to whoever reads it".to_owned());
    }
    if entry.packages.len() > PACKAGES_MAX {
        return Err("it has too many packages".to_owned());
    }
    entry.packages.iter().try_for_each(check_package)?;
    entry.remotes.retain(is_callable);
    Ok(entry)
}

/// `io.github.owner/repo`: reverse DNS, one slash, no character that means something elsewhere.
fn is_name(name: &str) -> bool {
    let part = |part: &str, extra: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    (3..=200).contains(&name.len())
        && name.split_once('/').is_some_and(|(space, own)| part(space, ".-") && part(own, "._-"))
}

fn check_package(package: &Package) -> Result<(), String> {
    if !["npm", "pypi", "oci", "nuget", "mcpb"].contains(&package.registry_type.as_str()) {
        return Err("a package is of an unknown kind".to_owned());
    }
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "@/._:+~-?=&%".contains(c));
    let identifier = package.identifier.as_str();
    if identifier.is_empty() || identifier.len() > 500 || identifier.starts_with('-') || !plain(identifier) {
        return Err("a package's identifier is not one".to_owned());
    }
    if package.version.as_deref().is_some_and(|version| !plain(version) || version.starts_with('-')) {
        return Err("a package's version is not one".to_owned());
    }
    if package.transport.as_ref().is_some_and(|one| !["stdio", "streamable-http", "sse"].contains(&one.kind.as_str())) {
        return Err("a package's transport is of an unknown kind".to_owned());
    }
    for variable in &package.environment_variables {
        let name = variable.name.as_str();
        if name.is_empty() || name.len() > 200 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        {
            return Err("a variable has no usable name".to_owned());
        }
        if name.starts_with("LD_") || name.starts_with("DYLD_") {
            return Err(format!("it sets {name}, which changes what a program loads"));
        }
    }
    Ok(())
}

/// HTTPS at a public name. Others are left out: no toolbox would call them.
fn is_callable(remote: &Remote) -> bool {
    // `{NAME}` stands for something that the user gives.
    let url = remote.url.replace(['{', '}'], "");
    let Ok(url) = Url::parse(&url) else { return false };
    url.scheme() == "https"
        && match url.host() {
            Some(Host::Domain(name)) => !name.eq_ignore_ascii_case("localhost") && name.contains('.'),
            Some(Host::Ipv4(address)) => is_public(address.into()),
            Some(Host::Ipv6(address)) => is_public(address.into()),
            None => false,
        }
}

/// A text that tries to be obeyed.
fn speaks_to_models(text: &str) -> bool {
    let text = text.to_lowercase();
    [
        "ignore all previous",
        "ignore previous instructions",
        "ignore all prior",
        "disregard all previous",
        "disregard previous",
    ]
    .iter()
    .any(|phrase| text.contains(phrase))
}
