//! Files that servers ask for, on their way from this machine to the vault. Wiped when dropped.

use crate::{commands::line, trouble::Trouble};
use base64::{Engine, prelude::BASE64_STANDARD};
use protocol::chat::RequiredFile;
use serde::{Serialize, Serializer};
use std::{fs, io::Read, path::Path};
use zeroize::Zeroizing;

/// As the vault has it.
const LONGEST: u64 = 64 * 1024;

#[derive(Serialize)]
pub(super) struct File {
    /// What it is asked for by, whatever it is called here.
    filename: String,
    #[serde(serialize_with = "exposed")]
    content: Zeroizing<String>,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// The one place where it is written out: into the request.
fn exposed<S: Serializer>(content: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(content)
}

impl File {
    pub(super) fn is(&self, wanted: &RequiredFile) -> bool {
        self.filename == wanted.key
    }
}

pub(super) fn read(name: &str, path: &Path) -> Result<File, Trouble> {
    let mut content = Zeroizing::new(Vec::new());
    let read = fs::File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut content));
    let why = match read {
        Err(error) => error.to_string(),
        Ok(_) if content.len() as u64 > LONGEST => "it is larger than 64 KiB".to_owned(),
        Ok(0) => "it is empty".to_owned(),
        Ok(_) => {
            let content = Zeroizing::new(BASE64_STANDARD.encode(&content));
            return Ok(File { filename: name.to_owned(), content, kind: "credential" });
        }
    };
    Err(Trouble::new(
        format!("The file {} cannot be used.", path.display()),
        format!("The conversation waits; give another: agentopia chat --session last --file {name}=PATH \"go on\""),
    )
    .because(why))
}

/// Asks at the terminal where it is.
pub(super) fn ask(wanted: &RequiredFile) -> Result<File, Trouble> {
    explain(wanted);
    eprint!("Path of {}: ", line(&wanted.key));
    let mut path = String::new();
    std::io::stdin().read_line(&mut path).map_err(|error| {
        Trouble::new("The path could not be read.", "Run this at a terminal, or give --file NAME=PATH.")
            .because(error.to_string())
    })?;
    read(&wanted.key, Path::new(path.trim()))
}

/// What is needed, and how to get it.
pub(super) fn explain(wanted: &RequiredFile) {
    eprintln!("\nThe file {}: {}", line(&wanted.key), line(&wanted.description));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_out_whole_and_one_that_is_none_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        fs::write(&path, "{}").unwrap();
        let file = read("KUBECONFIG", &path).unwrap();
        let sent = serde_json::to_string(&file).unwrap();
        assert_eq!(sent, r#"{"filename":"KUBECONFIG","content":"e30=","type":"credential"}"#);
        fs::write(&path, vec![b'x'; LONGEST as usize + 1]).unwrap();
        assert!(read("K", &path).err().unwrap().to_string().contains("64 KiB"));
        fs::write(&path, "").unwrap();
        assert!(read("K", &path).err().unwrap().to_string().contains("empty"));
        assert!(read("K", &folder.path().join("none")).is_err());
    }
}
