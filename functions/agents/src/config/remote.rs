//! `url` and `headers`: a server that somebody else runs.

use super::{Parsed, Refusal, secrets};
use protocol::{agent::McpServerConfig, server::Source};
use std::collections::BTreeMap;

pub(super) fn parse(config: &McpServerConfig, url: &str) -> Result<Parsed, Refusal> {
    if !config.command.is_empty() || !config.args.is_empty() || !config.env.is_empty() {
        return Err(Refusal::Both);
    }
    let source = Source::Remote { url: String::new() };
    let mut parsed = Parsed { source, args: Vec::new(), env: BTreeMap::new(), secrets: Vec::new(), values: Vec::new() };
    for (header, value) in &config.headers {
        let name = secrets::variable(header, 0);
        let said = match secrets::judge(header, value) {
            secrets::Judgement::Plain => value.clone(),
            secrets::Judgement::Secret => {
                parsed.keep(name.clone(), value.clone())?;
                format!("{{{name}}}")
            }
            secrets::Judgement::Missing => {
                parsed.secrets.push(name.clone());
                format!("{{{name}}}")
            }
        };
        parsed.env.insert(header.clone(), said);
    }
    parsed.source = Source::Remote { url: address(url, &mut parsed)? };
    Ok(parsed)
}

/// The address with `{NAME}` in place of what is secret in its path and its query.
fn address(url: &str, parsed: &mut Parsed) -> Result<String, Refusal> {
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let mut keep = |name: String, value: &str| -> Result<String, Refusal> {
        let said = format!("{{{name}}}");
        parsed.keep(name, value.to_owned()).map(|()| said)
    };
    // Scheme, nothing, and host come first.
    let path = path.split('/').enumerate().map(|(nth, part)| {
        match nth > 2 && (secrets::is_made(part) || secrets::looks_secret(part)) {
            true => keep(format!("URL_SECRET_{}", nth - 2), part),
            false => Ok(part.to_owned()),
        }
    });
    let mut address = path.collect::<Result<Vec<_>, _>>()?.join("/");
    for (nth, pair) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
        address.push(if nth == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, value)) if matches!(secrets::judge(name, value), secrets::Judgement::Secret) => {
                address.push_str(&format!("{name}={}", keep(secrets::variable(name, nth), value)?));
            }
            _ => address.push_str(pair),
        }
    }
    Ok(address)
}
