//! The `dtma` program.

use dtma::commands::Command;
use std::process::ExitCode;

// One thread: what is fast has a thread of its own (`wire`), the rest waits for others nearly always.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let command = <Command as clap::Parser>::parse();
    match command.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
