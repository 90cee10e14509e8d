//! What an installed package is and how it is started, as the installer found it.

use serde::{Deserialize, Serialize};

/// Kept as JSON in the label of the package's image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    pub version: String,
    pub command: Vec<String>,
    /// Packages in it whose install scripts did not run.
    #[serde(default)]
    pub scripts: Vec<String>,
    /// The version of Python's `mcp` in it.
    #[serde(default)]
    pub mcp: Option<String>,
}

/// The last line of what the describing script printed.
pub(super) fn parse(stdout: &str) -> Result<Installed, String> {
    let line = stdout.lines().rfind(|line| line.starts_with('{')).unwrap_or_default();
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Good(Installed),
        Bad { error: String },
    }
    match serde_json::from_str(line) {
        Ok(Said::Good(installed)) if !installed.command.is_empty() => Ok(installed),
        Ok(Said::Bad { error }) => Err(error),
        _ => Err("the package could not be looked at after its installation".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_the_last_line() {
        let said = parse("added 3 packages\n{\"version\":\"1\",\"command\":[\"node\",\"x.js\"]}\n").unwrap();
        assert_eq!(said.command, ["node", "x.js"]);
        assert_eq!(parse("{\"error\":\"it has no command\"}").unwrap_err(), "it has no command");
        assert!(parse("nothing").is_err());
        assert!(parse("{\"version\":\"1\",\"command\":[]}").is_err());
    }
}
