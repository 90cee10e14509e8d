//! The machine's own programs that set what the kernel does with a server's packets.

use std::process::Stdio;
use tokio::{io::AsyncWriteExt, process::Command};

/// Runs one to its end; its first line of complaint is the error.
pub(super) async fn run(program: &str, args: &[&str], input: &str) -> Result<String, String> {
    let spawn = |program: &str| {
        Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    };
    // A user's search path may lack the folder.
    let spawned = spawn(program).or_else(|_| spawn(&format!("/usr/sbin/{program}")));
    let mut child = spawned.map_err(|error| format!("{program}: {error}"))?;
    if let Some(mut stdin) = child.stdin.take()
        && let Err(error) = stdin.write_all(input.as_bytes()).await
    {
        tracing::debug!(%error, program, "it does not read");
    }
    let output = child.wait_with_output().await.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program}: {}", said.lines().next().unwrap_or("it refused")))
}
