//! What the user gives: values and files. They go to the vault and nowhere else.

use super::Turn;
use base64::{Engine, prelude::BASE64_STANDARD};
use domain::{
    credentials,
    launch::{file, is_secret, of_file},
};
use edge::Error;
use protocol::chat::{File, FileKind, Secret};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const MESSAGE_MAX: usize = 8 * 1024;
const CREDENTIALS_MAX: usize = 50;
const FILES_MAX: usize = 10;

type Given = BTreeMap<String, BTreeMap<String, Secret>>;

/// Refuses what is too much before anything is done.
pub(crate) fn check(message: &str, given: &Given, files: &[File]) -> Result<(), Error> {
    if message.len() > MESSAGE_MAX {
        return Err(Error::invalid("The message is longer than 8 KiB.", "Say it in fewer words."));
    }
    if given.values().map(BTreeMap::len).sum::<usize>() > CREDENTIALS_MAX {
        return Err(Error::invalid("There are more than 50 credentials.", "Send them in several turns."));
    }
    if files.len() > FILES_MAX {
        return Err(Error::invalid("There are more than 10 files.", "Send them in several turns."));
    }
    Ok(())
}

impl Turn {
    /// Takes `KEY=value` for keys that are missing out of the message, and what looks like a key out of what is kept.
    pub(super) fn take_from_message(&mut self, message: &str, given: &mut Given) -> String {
        let missing: Vec<(String, String)> =
            self.session.missing.iter().map(|m| (m.mcp_server.clone(), m.credential_key.clone())).collect();
        let keys: Vec<&str> = missing.iter().map(|(_, key)| key.as_str()).collect();
        let (found, rest) = credentials::assignments(message, &keys);
        for (key, value) in found {
            if let Some((server, _)) = missing.iter().find(|(_, wanted)| *wanted == key) {
                given.entry(server.clone()).or_default().entry(key).or_insert(Secret::new(value));
            }
        }
        let secrets: Vec<&str> = given.values().flat_map(BTreeMap::values).map(Secret::expose).collect();
        credentials::redact(&rest, &secrets)
    }

    /// Stores values by the servers' short names. All are checked before the first is stored.
    pub(super) async fn store(&mut self, given: &Given) -> Result<(), Error> {
        let mut targets = Vec::new();
        for (short, values) in given {
            let server = self.catalog_name(short)?;
            for (key, value) in values {
                if !is_secret(key) {
                    return Err(Error::invalid(
                        "A credential's key is not the name of a variable that a server may have.",
                        "Use a name of letters, digits and underscores, such as GITHUB_TOKEN.",
                    ));
                }
                // People paste with a line break at the end.
                targets.push((
                    server.clone(),
                    key,
                    Secret::new(value.expose().trim_end_matches(['\r', '\n']).to_owned()),
                ));
            }
        }
        for (server, key, value) in targets {
            let written =
                self.state.vault.store(&self.caller, &server, key, &value, None).await.map_err(vault_error)?;
            self.restarted.extend(written.toolboxes);
            let declared = self.session.launch(&server).is_some_and(|(_, l)| l.inputs.iter().any(|i| &i.key == key));
            if !declared && self.session.entries.contains_key(&server) {
                self.session.added.entry(server.clone()).or_default().insert(key.clone());
            }
            let chosen = self.session.entries.contains_key(&server);
            let new = self.stored.entry(server).or_default().insert(key.clone());
            self.extended |= chosen && new;
        }
        Ok(())
    }

    /// The files that are credentials, as values for the servers that miss them; and the names of the others.
    pub(super) fn sort_files(&self, files: &[File], given: &mut Given) -> Result<Vec<String>, Error> {
        let wanted: Vec<(&str, &str)> = self
            .session
            .missing
            .iter()
            .filter_map(|missing| Some((missing.mcp_server.as_str(), file(&missing.credential_key)?)))
            .collect();
        let mut unused = Vec::new();
        for File { filename, content, kind } in files {
            if filename.is_empty()
                || filename.len() > 100
                || !filename.bytes().all(|b| b.is_ascii_alphanumeric() || b"._- ".contains(&b))
                || filename.starts_with('.')
            {
                return Err(Error::invalid(
                    "A file's name is not a plain one.",
                    "Use letters, digits, dots and dashes.",
                ));
            }
            let bytes = Zeroizing::new(BASE64_STANDARD.decode(content.expose()).map_err(|_| {
                Error::invalid("A file's content is not base64.", "Encode it with padding and without line breaks.")
            })?);
            let text = std::str::from_utf8(&bytes).map_err(|_| {
                Error::invalid("A credential file is not text.", "Send a text file, such as a JSON key or a PEM file.")
            })?;
            let meant = match kind {
                FileKind::Credential => meant(filename, &wanted),
                FileKind::Config | FileKind::Other => Vec::new(),
            };
            if meant.is_empty() {
                unused.push(filename.clone());
            }
            for (server, variable) in meant {
                let values = given.entry(server.to_owned()).or_default();
                values.insert(of_file(variable), Secret::new(text.to_owned()));
            }
        }
        Ok(unused)
    }

    /// The catalog name behind a short name of this session's plan, or of a server that runs already.
    fn catalog_name(&self, short: &str) -> Result<String, Error> {
        let planned = self.session.chosen().into_iter().find(|c| c.server == short || c.name == short);
        if let Some(choice) = planned {
            return Ok(choice.name.clone());
        }
        let present = self.present.iter().find(|present| present.name == short);
        present.map(|present| present.catalog_name.clone().unwrap_or_else(|| present.name.clone())).ok_or_else(|| {
            let names: Vec<&str> = self.session.chosen().into_iter().map(|c| c.server.as_str()).collect();
            let fix = match names.as_slice() {
                [] => "Ask for something first; the reply names the servers and what they need.".to_owned(),
                names => format!("Use one of: {}.", names.join(", ")),
            };
            Error::invalid("A credential is for a server that this session knows nothing of.", fix)
        })
    }
}

/// Whom a file is for, of servers and the variables of files that they miss: those that it is named after, or the only one.
fn meant<'w>(filename: &str, wanted: &[(&'w str, &'w str)]) -> Vec<(&'w str, &'w str)> {
    let stem = filename.split_once('.').map_or(filename, |(stem, _)| stem);
    let named = |variable: &str| variable.eq_ignore_ascii_case(stem);
    let only = wanted.first().is_some_and(|(_, first)| wanted.iter().all(|(_, variable)| variable == first));
    wanted.iter().filter(|(_, variable)| named(variable) || only).copied().collect()
}

fn vault_error(error: sealing::Error<database::Error>) -> Error {
    match error {
        sealing::Error::Store(error) => error.into(),
        sealing::Error::Size => {
            Error::invalid("A credential is empty or larger than 64 KiB.", "Check what was pasted and send it again.")
        }
        sealing::Error::Busy => Error::conflict("The credential is being written by somebody else.", "Send it again."),
        error => Error::internal(error),
    }
}
