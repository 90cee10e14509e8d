//! `npx` and `uvx`.

use super::Refusal;
use protocol::server::Source;

type Found = (Source, Vec<String>);

/// `npx [-y] [-p] PACKAGE[@VERSION] ARGS…`
pub(super) fn npx(args: &[String]) -> Result<Found, Refusal> {
    let mut rest = args.iter();
    let mut named = None;
    let first = loop {
        match rest.next().map(String::as_str) {
            Some(
                "-y" | "--yes" | "-q" | "--quiet" | "--prefer-offline" | "--prefer-online" | "--no-install" | "--",
            ) => {}
            Some("-p" | "--package") => named = Some(rest.next().ok_or(Refusal::Nothing)?.clone()),
            Some(flag) if flag.starts_with("--package=") => named = Some(flag["--package=".len()..].to_owned()),
            Some(flag) if flag.starts_with('-') => return Err(Refusal::Flag(shown(flag))),
            other => break other,
        }
    };
    let package = program(named, first)?;
    let at = package.rfind('@').filter(|at| *at > 0);
    let (name, version) = at.map_or((package.as_str(), None), |at| (&package[..at], Some(&package[at + 1..])));
    Ok((Source::Npx { package: name.to_owned(), version: version.map(str::to_owned) }, rest.cloned().collect()))
}

/// `uvx [--from] PACKAGE[@VERSION|==VERSION] ARGS…`
pub(super) fn uvx(args: &[String]) -> Result<Found, Refusal> {
    let mut rest = args.iter();
    let mut named = None;
    let first = loop {
        match rest.next().map(String::as_str) {
            Some("-q" | "--quiet" | "--refresh" | "--isolated" | "--no-cache" | "-n" | "--no-progress" | "--") => {}
            Some("-p" | "--python") => drop(rest.next()),
            Some("--from") => named = Some(rest.next().ok_or(Refusal::Nothing)?.clone()),
            Some(flag) if flag.starts_with("--python=") => {}
            Some(flag) if flag.starts_with("--from=") => named = Some(flag["--from=".len()..].to_owned()),
            Some(flag) if flag.starts_with('-') => return Err(Refusal::Flag(shown(flag))),
            other => break other,
        }
    };
    let package = program(named, first)?;
    let (name, version) = match package.split_once("==").or_else(|| package.split_once('@')) {
        Some((name, version)) => (name.to_owned(), Some(version.to_owned())),
        None => (package, None),
    };
    Ok((Source::Uvx { package: name, version }, rest.cloned().collect()))
}

/// The package. When it is named apart from the program, the program must be its own: a toolbox starts that.
fn program(named: Option<String>, first: Option<&str>) -> Result<String, Refusal> {
    match (named, first) {
        (None, Some(package)) => Ok(package.to_owned()),
        (None, None) => Err(Refusal::Nothing),
        (Some(package), None) => Ok(package),
        (Some(package), Some(program)) => {
            let bare = package.rsplit('/').next().unwrap_or(&package).split(['@', '=']).next().unwrap_or_default();
            if bare.eq_ignore_ascii_case(program) { Ok(package) } else { Err(Refusal::Program) }
        }
    }
}

/// A flag without the value that may hang on it.
pub(super) fn shown(flag: &str) -> String {
    flag.split('=').next().unwrap_or_default().chars().take(40).collect()
}
