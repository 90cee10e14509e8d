//! Credentials on their way from a person to the vault. They are never arguments, never printed, and wiped when dropped.

use crate::{commands::line, trouble::Trouble};
use protocol::chat::{RequiredCredential, Secret};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use std::{collections::BTreeMap, io::Read, path::Path, time::Duration};
use zeroize::Zeroizing;

/// Values by server and key.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Credentials(BTreeMap<String, BTreeMap<String, Secret>>);

/// The one place where they are written out: into the request.
pub(super) struct Exposed<'a>(pub &'a Credentials);

impl Serialize for Exposed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.0.len()))?;
        for (server, keys) in &self.0.0 {
            let keys: BTreeMap<&str, &str> = keys.iter().map(|(key, value)| (key.as_str(), value.expose())).collect();
            map.serialize_entry(server, &keys)?;
        }
        map.end()
    }
}

impl Credentials {
    /// Those that are wanted; says what is missing.
    pub(super) fn only(mut self, wanted: &[RequiredCredential]) -> Result<Self, Trouble> {
        let mut kept: BTreeMap<String, BTreeMap<String, Secret>> = BTreeMap::new();
        let mut missing = Vec::new();
        for credential in wanted {
            let found = self.0.get_mut(&credential.mcp_server).and_then(|keys| keys.remove(&credential.credential_key));
            match found {
                Some(value) => {
                    kept.entry(credential.mcp_server.clone())
                        .or_default()
                        .insert(credential.credential_key.clone(), value);
                }
                None => missing.push(format!("{}: {}", line(&credential.mcp_server), line(&credential.credential_key))),
            }
        }
        if missing.is_empty() {
            return Ok(Self(kept));
        }
        Err(Trouble::new(
            "Not every credential that is needed was given.",
            "Put them in as {\"server\": {\"KEY\": \"value\"}}, then run this again with --session last.",
        )
        .because(format!("missing: {}", missing.join(", "))))
    }
}

/// Asks at the terminal, without echo.
pub(super) fn ask(wanted: &[RequiredCredential]) -> Result<Credentials, Trouble> {
    let mut all: BTreeMap<String, BTreeMap<String, Secret>> = BTreeMap::new();
    for credential in wanted {
        explain(credential);
        let prompt = format!("{} (not shown): ", line(&credential.credential_key));
        let value = rpassword::prompt_password(prompt).map_err(|error| {
            Trouble::new(
                "The credential could not be read.",
                "Run this at a terminal, or give --credentials-file FILE.",
            )
            .because(error.to_string())
        })?;
        let value = Zeroizing::new(value);
        if value.trim().is_empty() {
            return Err(Trouble::new(
                format!("No value was given for {}.", line(&credential.credential_key)),
                "The conversation waits; go on with: agentopia chat --session last \"go on\"",
            ));
        }
        let keys = all.entry(credential.mcp_server.clone()).or_default();
        keys.insert(credential.credential_key.clone(), Secret::new(value.trim().to_owned()));
    }
    Ok(Credentials(all))
}

/// What is needed, and how to get it.
pub(super) fn explain(credential: &RequiredCredential) {
    eprintln!(
        "\n{} needs {}: {}",
        line(&credential.mcp_server),
        line(&credential.credential_key),
        line(&credential.description)
    );
    for (number, instruction) in credential.instructions.iter().enumerate() {
        eprintln!("  {}. {}", number + 1, line(instruction));
    }
}

/// From a file, `-` for standard input.
pub(super) fn read_file(path: &Path) -> Result<Credentials, Trouble> {
    let mut text = Zeroizing::new(Vec::new());
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut text))
    };
    read.map_err(|error| {
        Trouble::new(format!("The credentials in {} cannot be read.", path.display()), "Check the path.")
            .because(error.to_string())
    })?;
    parse(&text)
}

/// From standard input that is no terminal. What stays silent for a second has none.
pub(super) async fn read_input() -> Result<Option<Credentials>, Trouble> {
    let (send, receive) = tokio::sync::oneshot::channel();
    // A thread of its own: a read of standard input cannot be taken back, and must not keep the program from ending.
    std::thread::spawn(move || {
        let mut first = Zeroizing::new(vec![0; 1]);
        let begun = std::io::stdin().read(&mut first).unwrap_or(0);
        let (rest, tell) = std::sync::mpsc::channel();
        if send.send((begun, tell)).is_ok() && begun > 0 {
            let mut text = Zeroizing::new(Vec::with_capacity(64 * 1024));
            text.extend_from_slice(&first);
            if std::io::stdin().read_to_end(&mut text).is_ok() {
                let _ = rest.send(text);
            }
        }
    });
    let Ok(Ok((begun, rest))) = tokio::time::timeout(Duration::from_secs(1), receive).await else { return Ok(None) };
    if begun == 0 {
        return Ok(None);
    }
    let text = tokio::task::spawn_blocking(move || rest.recv()).await;
    match text {
        Ok(Ok(text)) => parse(&text).map(Some),
        _ => Ok(None),
    }
}

/// What is wrong is said by its place only: the message of a parser may repeat what it read.
fn parse(text: &[u8]) -> Result<Credentials, Trouble> {
    serde_json::from_slice(text).map_err(|error| {
        Trouble::new("The credentials are not of the form {\"server\": {\"KEY\": \"value\"}}.", "Mend the JSON.")
            .because(format!("line {}, column {}", error.line(), error.column()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(server: &str, key: &str) -> RequiredCredential {
        RequiredCredential {
            mcp_server: server.into(),
            credential_key: key.into(),
            description: String::new(),
            instructions: Vec::new(),
        }
    }

    #[test]
    fn only_what_is_wanted_is_sent() {
        let given = parse(br#"{"linear": {"KEY": "v1", "OTHER": "v2"}, "github": {"T": "v3"}}"#).unwrap();
        let sent = given.only(&[wanted("linear", "KEY")]).unwrap();
        assert_eq!(serde_json::to_string(&Exposed(&sent)).unwrap(), r#"{"linear":{"KEY":"v1"}}"#);
    }

    #[test]
    fn what_is_missing_is_named_and_nothing_is_repeated() {
        let given = parse(br#"{"linear": {"KEY": "hunter2"}}"#).unwrap();
        let trouble = given.only(&[wanted("linear", "KEY"), wanted("github", "TOKEN")]).err().unwrap().to_string();
        assert!(trouble.contains("github: TOKEN") && !trouble.contains("hunter2"), "{trouble}");
        for bad in [r#"{"linear": "hunter2"}"#, r#"{"linear": {"KEY": ["hunter2"]}}"#, "hunter2"] {
            let trouble = parse(bad.as_bytes()).err().unwrap().to_string();
            assert!(!trouble.contains("hunter2"), "{trouble}");
        }
    }
}
