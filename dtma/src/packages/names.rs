//! What may be a package's name and version. Whatever else a package manager would take (a URL, a folder, a git
//! repository, an option) is refused here, before anything sees it.

use super::Kind;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("'{0}' is not the name of a package")]
    Package(String),
    #[error("'{0}' is not a version")]
    Version(String),
}

pub(super) fn check(kind: Kind, package: &str, version: Option<&str>) -> Result<(), BadName> {
    let good = match kind {
        Kind::Npx => npm(package),
        Kind::Uvx => pypi(package),
    };
    if !good {
        return Err(BadName::Package(package.chars().take(100).collect()));
    }
    match version.filter(|version| !is_version(version)) {
        Some(version) => Err(BadName::Version(version.chars().take(100).collect())),
        None => Ok(()),
    }
}

/// `name` or `@scope/name`.
fn npm(name: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'))
    };
    name.len() <= 214
        && match name.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| part(scope) && part(name)),
            None => part(name),
        }
}

/// PEP 508 names, with extras.
fn pypi(name: &str) -> bool {
    let plain = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.ends_with(|c: char| c.is_ascii_alphanumeric())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    name.len() <= 200
        && match name.split_once('[') {
            Some((name, extras)) => {
                plain(name) && extras.strip_suffix(']').is_some_and(|extras| extras.split(',').all(plain))
            }
            None => plain(name),
        }
}

/// One version; a range would be resolved anew each time.
fn is_version(version: &str) -> bool {
    version.len() <= 100
        && version.starts_with(|c: char| c.is_ascii_digit())
        && version.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+' | b'!' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_registries_pass() {
        for name in ["left-pad", "@modelcontextprotocol/server-memory", "a.b_c", "@x/y~z"] {
            assert_eq!(check(Kind::Npx, name, Some("1.2.3-beta.1+build")), Ok(()), "{name}");
        }
        for name in ["mcp-server-time", "a", "A.b_c", "mcp[cli,ws]"] {
            assert_eq!(check(Kind::Uvx, name, Some("1!2.0.post1")), Ok(()), "{name}");
        }
    }

    #[test]
    fn everything_else_that_a_package_manager_takes_is_refused() {
        for kind in [Kind::Npx, Kind::Uvx] {
            for name in [
                "",
                "-g",
                "--registry=http://x",
                "git+ssh://x",
                "https://x/y.tgz",
                "file:../x",
                "./x",
                "../x",
                "/x",
                "a b",
                "a;b",
                "a@1",
                "$(x)",
                "a\nb",
                "@/x",
                "@x/",
                "a/b/c",
                "é",
            ] {
                assert!(check(kind, name, None).is_err(), "{name}");
            }
            for version in ["", "latest", "^1", ">=1", "*", "1 || 2", "1;rm", "file:x", "-1"] {
                assert!(check(kind, "a", Some(version)).is_err(), "{version}");
            }
        }
    }
}
