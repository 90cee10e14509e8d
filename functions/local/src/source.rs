//! `npx:PACKAGE[@VERSION]`, `uvx:PACKAGE[@VERSION]`, `oci:IMAGE`, `remote:URL` on the command line.

use protocol::server::Source;
use std::str::FromStr;

const SAY: &str = "say npx:PACKAGE, uvx:PACKAGE, oci:IMAGE or remote:URL";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub Source);

impl FromStr for Text {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').ok_or_else(|| SAY.to_owned())?;
        let source = match kind {
            "npx" => {
                let (package, version) = npm(rest)?;
                Source::Npx { package, version }
            }
            "uvx" => {
                let (package, version) = pypi(rest)?;
                Source::Uvx { package, version }
            }
            "oci" => Source::Oci { image: plain(rest, "an image")?.to_owned() },
            "remote" => Source::Remote { url: rest.to_owned() },
            _ => return Err(format!("{kind:?} is not a kind of source; {SAY}")),
        };
        Ok(Self(source))
    }
}

/// `@scope/name@1.2`: the first `@` may belong to the scope.
fn npm(text: &str) -> Result<(String, Option<String>), String> {
    let at = text.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| at);
    let (package, version) = match at {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let whole = match package.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| !scope.is_empty() && !name.is_empty()),
        None => !package.contains('/'),
    };
    if !whole {
        return Err(format!("{package:?} is not the name of an npm package"));
    }
    split(package, version, "an npm package")
}

fn pypi(text: &str) -> Result<(String, Option<String>), String> {
    let (package, version) = match text.split_once("==").or_else(|| text.split_once('@')) {
        Some((package, version)) => (package, Some(version)),
        None => (text, None),
    };
    split(package, version, "a PyPI package")
}

fn split(package: &str, version: Option<&str>, what: &str) -> Result<(String, Option<String>), String> {
    let package = plain(package, what)?;
    let version = version.map(|version| plain(version, "a version")).transpose()?;
    Ok((package.to_owned(), version.map(str::to_owned)))
}

/// What could be taken for an option or a path, or holds anything unusual, is refused; the toolbox checks again.
fn plain<'a>(text: &'a str, what: &str) -> Result<&'a str, String> {
    let usual = |c: char| c.is_ascii_alphanumeric() || "@/._-+:~".contains(c);
    if text.is_empty() || text.starts_with(['-', '.', '/']) || text.contains("..") || !text.chars().all(usual) {
        return Err(format!("{text:?} is not {what}"));
    }
    Ok(text)
}
