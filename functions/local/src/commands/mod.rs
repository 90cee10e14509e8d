//! One module a command: each decides what to do and prints.

/// Prints a line of data. Unlike `println!` it does not panic when whoever read has gone (`| head`).
macro_rules! put {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod call;
mod capability;
mod catalog;
mod chat;
mod deploy;
mod doctor;
mod down;
mod events;
mod follow;
mod grants;
mod keys;
mod logs;
mod status;
mod toolboxes;
mod tools;
mod trace;
mod up;
mod vault;

use crate::{
    cli::{Catalog, Cli, Command, Vault},
    client::Client,
    home::Home,
    terminal::{line, lines},
    trouble::Trouble,
};
use serde::Serialize;
use std::process::ExitCode;

pub async fn run(cli: Cli) -> Result<ExitCode, Trouble> {
    let home = Home::locate(cli.home)?;
    let json = cli.json;
    let done = match cli.command {
        Command::Up(options) => return up::run(&home, &options, json).await,
        Command::Down => down::run(&home).await,
        Command::Status => return status::run(&home, json).await,
        Command::Doctor => return doctor::run(&home, json).await,
        Command::Token => token(&home, json).await,
        Command::Capability(options) => capability::run(&home, options.agent, json).await,
        Command::Catalog(Catalog::Import { url, full }) => return catalog::import(&home, url, full, json).await,
        Command::Catalog(Catalog::Search { text, limit }) => catalog::search(&home, &text, limit, json).await,
        Command::Deploy(options) => return deploy::run(&home, options, json).await,
        Command::Chat(options) => return chat::run(&home, options, json).await,
        Command::Tools(options) => tools::run(&home, options.agent, json).await,
        Command::Call(options) => return call::run(&home, options, json).await,
        Command::Logs(options) => logs::run(&home, &options).await,
        Command::Trace(options) => trace::run(&home, options.run, json).await,
        Command::Grants => grants::run(&home, json).await,
        Command::Toolboxes(command) => toolboxes::run(&home, command, json).await,
        Command::Keys(command) => keys::run(&home, command, json).await,
        Command::Vault(Vault::Rotate) => vault::rotate(&home, json),
        Command::Events(options) => events::run(&home, &options, json).await,
    };
    done.map(|()| ExitCode::SUCCESS)
}

async fn token(home: &Home, json: bool) -> Result<(), Trouble> {
    let client = Client::connect(home).await?;
    if json {
        print_json(&serde_json::json!({"token": client.token()}));
    } else {
        put!("{}", client.token());
    }
    Ok(())
}

fn print_json(value: &impl Serialize) {
    put!("{}", serde_json::to_string(value).expect("what is printed is plain JSON"));
}
