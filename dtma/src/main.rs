//! The `dtma` program.

use dtma::commands::Command;
use std::process::ExitCode;

// Two workers: one waits for Docker while the other serves.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
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
