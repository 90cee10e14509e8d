//! The commands and their options.

use clap::{Args, Parser, Subcommand};
use protocol::ids::{AgentId, ApiKeyId, RunId, SessionId, ToolboxId};
use std::path::PathBuf;

/// A sentence becomes working tools on your own machine.
#[derive(Debug, Parser)]
#[command(name = "agentopia", version, propagate_version = true)]
pub struct Cli {
    /// The folder of the installation [default: ~/.agentopia]
    #[arg(long, global = true, value_name = "DIR", env = "AGENTOPIA_HOME")]
    pub home: Option<PathBuf>,
    /// Print data as JSON
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything on this machine; Ctrl-C stops it
    Up(Up),
    /// Stop what `up` started; data stays
    Down,
    /// Say what runs
    Status,
    /// Name what is wrong, and the command that mends it
    Doctor,
    /// Print a bearer token for the owner's account
    Token,
    /// Make, list and delete toolboxes: the machines that run your servers
    #[command(subcommand)]
    Toolboxes(Toolboxes),
    /// Make, list and end API keys, with which programs act as you
    #[command(subcommand)]
    Keys(Keys),
    /// Look after the vault's own key
    #[command(subcommand)]
    Vault(Vault),
    /// Print a capability for the local toolbox, for any MCP client
    Capability(Capability),
    /// Fill the catalog, or search it
    #[command(subcommand)]
    Catalog(Catalog),
    /// Deploy a server without the chat, and wait until its tools are listed
    Deploy(Deploy),
    /// Say what you want in a sentence
    Chat(Chat),
    /// List the tools that an agent may call
    Tools(Capability),
    /// Call a tool
    Call(Call),
    /// Follow what a server writes
    Logs(Logs),
    /// Show a run as a tree
    Trace(Trace),
    /// List who may call what
    Grants,
    /// List what has happened at this machine's toolbox: calls, hosts that were refused, deployments
    Events(Events),
}

#[derive(Debug, Args)]
pub struct Up {
    /// Return once everything is healthy
    #[arg(long)]
    pub detach: bool,
    /// This is the process that `--detach` started
    #[arg(long, hide = true, conflicts_with = "detach")]
    pub detached: bool,
    /// Where the console listens [default: 8787, or what this home used before]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
}

#[derive(Debug, Args)]
pub struct Capability {
    /// The agent [default: your own, which may use whatever you deployed]
    #[arg(long, value_name = "ID")]
    pub agent: Option<AgentId>,
}

#[derive(Debug, Subcommand)]
pub enum Catalog {
    /// Import from a registry that speaks the official MCP Registry API
    Import {
        /// Its base address [default: the official registry]
        #[arg(long)]
        url: Option<String>,
        /// Read everything again instead of what changed since the last complete import
        #[arg(long)]
        full: bool,
    },
    /// Search with the ranking of the chat
    Search {
        text: String,
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
        limit: u16,
    },
}

#[derive(Debug, Subcommand)]
pub enum Toolboxes {
    /// List them, and when each was last heard of
    List,
    /// Make one and print its enrolment token, which works once
    Create { name: String },
    /// Delete one; what runs on its machine goes on until dtma is uninstalled there
    Delete { id: ToolboxId },
}

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make one and print it; it is not shown again
    Create {
        /// What it is for
        name: String,
        /// Days until it ends [default: it has no end]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=3650))]
        days: Option<u16>,
    },
    /// List them, without the keys themselves
    List,
    /// End one
    Delete { id: ApiKeyId },
}

#[derive(Debug, Subcommand)]
pub enum Vault {
    /// Give it another key; what is stored is wrapped anew with it, a part each minute, and nothing waits for that
    Rotate,
}

#[derive(Debug, Args)]
pub struct Deploy {
    /// npx:PACKAGE[@VERSION], uvx:PACKAGE[@VERSION], oci:IMAGE, or remote:URL for a server that somebody else runs
    #[arg(value_name = "SOURCE")]
    pub source: crate::source::Text,
    /// What to call it [default: made from the source]
    #[arg(long)]
    pub name: Option<String>,
    /// A plain setting, NAME=VALUE; never a secret
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub env: Vec<(String, String)>,
    /// A header for a server behind a URL; `{NAME}` in it, or in the URL, stands for a secret
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    pub header: Vec<(String, String)>,
    /// The name of a variable whose value the vault has; file:NAME for one that shall hold the path of a file with it
    #[arg(long, value_name = "NAME")]
    pub secret: Vec<String>,
    /// A host that it may reach, HOST:PORT, or `*` for any public one
    #[arg(long, value_name = "HOST:PORT")]
    pub host: Vec<String>,
    /// Return at once instead of waiting for its tools
    #[arg(long)]
    pub no_wait: bool,
    /// Arguments of the server
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Chat {
    /// What you want
    pub text: String,
    /// Go on with this conversation; `last` is the last one of this home
    #[arg(long, value_name = "ID", value_parser = session)]
    pub session: Option<Session>,
    /// Talk to this agent
    #[arg(long, value_name = "ID")]
    pub agent: Option<AgentId>,
    /// Read credentials from this file instead of asking: {"server": {"KEY": "value"}}, `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub credentials_file: Option<PathBuf>,
    /// A file that a server asks for, instead of asking for its path
    #[arg(long, value_name = "NAME=PATH", value_parser = file)]
    pub file: Vec<(String, PathBuf)>,
    /// Return with the reply instead of following the deployment
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    Last,
    Id(SessionId),
}

#[derive(Debug, Args)]
pub struct Call {
    /// SERVER.TOOL
    #[arg(value_name = "SERVER.TOOL", value_parser = target)]
    pub target: Target,
    /// The arguments as JSON
    #[arg(default_value = "{}", value_parser = object)]
    pub arguments: serde_json::Value,
    #[arg(long, value_name = "ID")]
    pub agent: Option<AgentId>,
}

/// Servers' names have no dot; tools' may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub server: String,
    pub tool: String,
}

#[derive(Debug, Args)]
pub struct Logs {
    /// The server's name
    pub server: String,
    /// Print what there is and return
    #[arg(long)]
    pub no_follow: bool,
}

#[derive(Debug, Args)]
pub struct Events {
    /// Only these: call, refusal, deployment, tool_changed, tool_request or lost
    #[arg(long)]
    pub kind: Option<String>,
    /// The newest so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
}

#[derive(Debug, Args)]
pub struct Trace {
    pub run: RunId,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a setting is NAME=VALUE")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("{name:?} is not the name of a variable"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn file(text: &str) -> Result<(String, PathBuf), String> {
    setting(text).map(|(name, path)| (name, path.into())).map_err(|_| "a file is NAME=PATH".to_owned())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn session(text: &str) -> Result<Session, String> {
    if text == "last" {
        return Ok(Session::Last);
    }
    text.parse().map(Session::Id).map_err(|_| "a session is an id, as a chat prints it, or `last`".to_owned())
}

fn target(text: &str) -> Result<Target, String> {
    match text.split_once('.') {
        Some((server, tool)) if !server.is_empty() && !tool.is_empty() => {
            Ok(Target { server: server.to_owned(), tool: tool.to_owned() })
        }
        _ => Err("say SERVER.TOOL, as `agentopia tools` lists them".to_owned()),
    }
}

fn object(text: &str) -> Result<serde_json::Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(value),
        Ok(_) => Err("the arguments are a JSON object, e.g. '{\"timezone\": \"Asia/Tokyo\"}'".to_owned()),
        Err(error) => Err(format!("the arguments are not JSON: {error}")),
    }
}

#[cfg(test)]
mod tests;
