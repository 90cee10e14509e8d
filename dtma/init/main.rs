//! The first program of ours in a server's container: it puts the server's standard streams on three named pipes that the
//! daemon holds the other ends of, and becomes the server. Docker is then in nobody's way, and a daemon that is started
//! again opens the same pipes.
//!
//! Built by `build.rs` without any dependency and linked statically, because it runs in images that hold nothing.

use std::{
    env,
    fs::{File, OpenOptions},
    io,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

/// Where the daemon mounts the pipes, read-only: a pipe can be written all the same, and nothing can be put beside it.
const FOLDER: &str = "/run/agentopia";

/// As shells do: 126 cannot be run, 127 is not there.
const CANNOT: u8 = 126;
const MISSING: u8 = 127;

fn main() -> ExitCode {
    let mut words = env::args_os().skip(1);
    let Some(program) = words.next() else {
        eprintln!("agentopia-init: no program to run");
        return ExitCode::from(CANNOT);
    };
    let mut server = Command::new(&program);
    server.args(words);
    for name in ["in", "out", "err"] {
        match pipe(name) {
            Ok(pipe) if name == "in" => server.stdin(pipe),
            Ok(pipe) if name == "out" => server.stdout(pipe),
            Ok(pipe) => server.stderr(pipe),
            Err(error) => {
                eprintln!("agentopia-init: {FOLDER}/{name}: {error}");
                return ExitCode::from(CANNOT);
            }
        };
    }
    // Returns only when it fails; the reason goes where the server's own words would.
    let error = server.exec();
    if let Ok(mut log) = pipe("err") {
        let _ = io::Write::write_all(&mut log, format!("cannot run {}: {error}\n", program.display()).as_bytes());
    }
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { MISSING } else { CANNOT })
}

/// For reading and writing, whichever the server does: so the server never sees an end of its input, nor a broken output,
/// while no daemon is there.
fn pipe(name: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(format!("{FOLDER}/{name}"))
}
