//! `docker run -i --rm -e KEY IMAGE ARGS…`

use super::{Refusal, package::shown};
use protocol::server::Source;
use std::collections::BTreeMap;

type Found = (Source, Vec<String>, BTreeMap<String, String>);

/// Flags that say what a toolbox does anyway, or nothing that matters there.
const PLAIN: [&str; 9] = ["-i", "-t", "-it", "-ti", "--interactive", "--tty", "--rm", "--init", "--quiet"];
/// The same, with a value.
const VALUED: [&str; 5] = ["--name", "--pull", "--platform", "--label", "-l"];

/// Variables reach the container only by `-e`; the rest of `environment` is the docker program's own.
pub(super) fn run(args: &[String], environment: &BTreeMap<String, String>) -> Result<Found, Refusal> {
    let mut rest = args.iter();
    let mut env = BTreeMap::new();
    match rest.next().map(String::as_str) {
        Some("run") => {}
        _ => return Err(Refusal::Command),
    }
    let image = loop {
        let Some(argument) = rest.next() else { return Err(Refusal::Nothing) };
        let (flag, joined) = argument.split_once('=').map_or((argument.as_str(), None), |(f, v)| (f, Some(v)));
        match flag {
            _ if !argument.starts_with('-') => break argument,
            "-e" | "--env" => {
                let pair = joined.map(str::to_owned).or_else(|| rest.next().cloned()).ok_or(Refusal::Nothing)?;
                match pair.split_once('=') {
                    Some((name, value)) => env.insert(name.to_owned(), value.to_owned()),
                    None => {
                        let value = environment.get(&pair).cloned().unwrap_or_default();
                        env.insert(pair, value)
                    }
                };
            }
            _ if PLAIN.contains(&flag) => {}
            _ if VALUED.contains(&flag) => {
                if joined.is_none() {
                    rest.next();
                }
            }
            _ => return Err(Refusal::Flag(shown(flag))),
        }
    };
    Ok((Source::Oci { image: image.clone() }, rest.cloned().collect(), env))
}
