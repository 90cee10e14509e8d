//! From the configuration that MCP clients keep (`npx …`, `uvx …`, `docker run …` with `env`, a `url` with `headers`) to what a
//! toolbox runs.
//!
//! The command is read, never run: what it says about the package, its arguments and its variables is taken over, and what
//! would reach past the container (mounts, networks, privileges, other programs) is refused by name. Whatever is not
//! clearly a plain setting is taken for a secret; a secret's value leaves this module only as a [`Secret`].

mod docker;
mod package;
mod remote;
mod secrets;
#[cfg(test)]
mod tests;

use protocol::{agent::McpServerConfig, chat::Secret, server::Source};
use std::collections::BTreeMap;

/// What one entry of `mcpServers` says.
pub(crate) struct Parsed {
    pub source: Source,
    /// Values that are secret are `{NAME}` here.
    pub args: Vec<String>,
    /// Plain settings.
    pub env: BTreeMap<String, String>,
    /// Names whose values the toolbox fetches from the vault.
    pub secrets: Vec<String>,
    /// Those of them whose values came along.
    pub values: Vec<(String, Secret)>,
}

/// Why an entry cannot be taken over. The text is for the user; it repeats no value, only names of flags.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("its command is not npx, uvx or docker, and it has no url")]
    Command,
    #[error("it has a command and a url; one server is one of both")]
    Both,
    #[error("its arguments name no package or image")]
    Nothing,
    #[error("a container at a toolbox does not take {0}")]
    Flag(String),
    #[error("it starts a program other than the package's own")]
    Program,
    #[error("it has two values for one secret argument")]
    Twice,
}

pub(crate) fn parse(config: &McpServerConfig) -> Result<Parsed, Refusal> {
    if let Some(url) = &config.url {
        return remote::parse(config, url);
    }
    let (command, args) = unwrap_shell(config);
    let (source, args, env) = match command {
        "npx" => package::npx(args).map(|(source, args)| (source, args, config.env.clone()))?,
        "uvx" => package::uvx(args).map(|(source, args)| (source, args, config.env.clone()))?,
        "docker" => docker::run(args, &config.env)?,
        _ => return Err(Refusal::Command),
    };
    let mut parsed = Parsed { source, args: Vec::new(), env: BTreeMap::new(), secrets: Vec::new(), values: Vec::new() };
    for (name, value) in env {
        match secrets::judge(&name, &value) {
            secrets::Judgement::Plain => {
                parsed.env.insert(name, value);
            }
            secrets::Judgement::Secret => parsed.keep(name, value)?,
            secrets::Judgement::Missing => parsed.secrets.push(name),
        }
    }
    for argument in secrets::arguments(args) {
        match argument {
            secrets::Argument::Plain(text) => parsed.args.push(text),
            secrets::Argument::Secret { before, name, value } => {
                parsed.args.push(format!("{before}{{{name}}}"));
                parsed.keep(name, value)?;
            }
        }
    }
    Ok(parsed)
}

impl Parsed {
    fn keep(&mut self, name: String, value: String) -> Result<(), Refusal> {
        if self.values.iter().any(|(held, secret)| *held == name && secret.expose() == value) {
            return Ok(());
        }
        if self.secrets.contains(&name) || self.env.contains_key(&name) {
            return Err(Refusal::Twice);
        }
        self.secrets.push(name.clone());
        self.values.push((name, Secret::new(value)));
        Ok(())
    }
}

/// The program's bare name, also when Windows' `cmd /c` stands before it.
fn unwrap_shell(config: &McpServerConfig) -> (&str, &[String]) {
    let bare = |path: &'_ str| -> usize { path.rfind(['/', '\\']).map_or(0, |slash| slash + 1) };
    let program = |path: &'_ str| -> String { path[bare(path)..].to_ascii_lowercase() };
    let (command, args) = match (program(&config.command).as_str(), config.args.as_slice()) {
        ("cmd" | "cmd.exe", [flag, command, args @ ..]) if flag.eq_ignore_ascii_case("/c") => (command.as_str(), args),
        _ => (config.command.as_str(), config.args.as_slice()),
    };
    let name = &command[bare(command)..];
    let name = [".cmd", ".exe"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    (name, args)
}
