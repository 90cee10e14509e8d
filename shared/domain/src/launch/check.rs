//! The closed grammars. What is not in them is refused.

use crate::names::is_invisible;

pub(super) const ARGUMENTS_MAX: usize = 32;
pub(super) const VALUE_MAX: usize = 4096;
const ARGUMENT_MAX: usize = 1024;

/// `name` or `@scope/name`; upper case only in names older than npm's rule against it.
pub(super) fn npm(identifier: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '~')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-~".contains(&b))
    };
    identifier.len() <= 214
        && match identifier.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| part(scope) && part(name)),
            None => part(identifier),
        }
}

/// PEP 508 name.
pub(super) fn pypi(identifier: &str) -> bool {
    identifier.len() <= 214
        && identifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && identifier.starts_with(|c: char| c.is_ascii_alphanumeric())
        && identifier.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// One exact version: no range, tag expression, URL or path.
pub(super) fn version(version: &str) -> bool {
    version.len() <= 64
        && version.starts_with(|c: char| c.is_ascii_alphanumeric())
        && version.contains(|c: char| c.is_ascii_digit())
        && version.bytes().all(|b| b.is_ascii_alphanumeric() || b".+!_-".contains(&b))
}

pub(super) fn tag(tag: &str) -> bool {
    tag.len() <= 128 && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// `[host[:port]/]path[:tag][@sha256:digest]`.
pub(super) fn image(identifier: &str) -> bool {
    if identifier.len() > 255 {
        return false;
    }
    let (name, digest) = match identifier.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (identifier, None),
    };
    let digest_fits = digest.is_none_or(|digest| {
        digest.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    });
    let mut parts: Vec<&str> = name.split('/').collect();
    let last = parts.pop().unwrap_or_default();
    let (last, tagged) = last.split_once(':').map_or((last, true), |(last, t)| (last, !t.is_empty() && tag(t)));
    let host = (!parts.is_empty() && parts[0].contains(['.', ':'])).then(|| parts.remove(0));
    let host_fits = host.is_none_or(|host| {
        let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
        component(host) && port.is_none_or(|p| (1..=5).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
    });
    digest_fits && tagged && host_fits && component(last) && parts.into_iter().all(component)
}

fn component(part: &str) -> bool {
    part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        && part.starts_with(|c: char| c.is_ascii_alphanumeric())
        && part.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// An argument is given to the program as it is, without a shell; all the same, what only a shell would want, or what a
/// reader cannot see, has no place in one.
pub(super) fn argument(argument: &str) -> bool {
    !argument.is_empty()
        && argument.len() <= ARGUMENT_MAX
        && !argument.chars().any(|c| is_invisible(c) || matches!(c, '`' | '$' | ';' | '|' | '<' | '>' | '\\'))
        && !argument.contains("&&")
}

/// A name that a variable may have, and that means nothing to what starts the server.
pub(super) fn variable_name(name: &str) -> bool {
    const RUNTIME: [&str; 19] = [
        "PATH",
        "HOME",
        "USER",
        "SHELL",
        "ENV",
        "BASH_ENV",
        "IFS",
        "TMPDIR",
        "HOSTNAME",
        "NODE_OPTIONS",
        "NODE_PATH",
        "NODE_EXTRA_CA_CERTS",
        "NODE_TLS_REJECT_UNAUTHORIZED",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    ];
    const PREFIXES: [&str; 9] = ["LD_", "DYLD_", "PYTHON", "NPM_", "UV_", "PIP_", "DOCKER_", "GIT_", "AGENTOPIA_"];
    let upper = name.to_ascii_uppercase();
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !RUNTIME.contains(&upper.as_str())
        // `DOCKER_CONTAINER=true`, `GIT_TOKEN`, `DOCKER_HUB_TOKEN` are harmless names that servers do use.
        && !PREFIXES.iter().any(|prefix| upper.starts_with(prefix) && !credential_like(&upper))
}

fn credential_like(upper: &str) -> bool {
    upper == "DOCKER_CONTAINER"
        || ["_TOKEN", "_KEY", "_PASSWORD", "_USERNAME", "_PAT"].iter().any(|suffix| upper.ends_with(suffix))
            && !upper.starts_with("LD_")
            && !upper.starts_with("DYLD_")
}

/// The name under which the value of an argument is asked for: `--api-key` is `API_KEY`. Empty when nothing is left.
pub(super) fn key_from(name: &str) -> String {
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_uppercase)
        .collect();
    let key = words.join("_");
    if variable_name(&key) { key } else { String::new() }
}
