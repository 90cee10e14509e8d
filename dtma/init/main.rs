//! The first program of ours in a server's container: it puts the server's standard streams on three named pipes that the
//! daemon holds the other ends of, takes what the server is given in secret, and becomes the server. Docker is then in
//! nobody's way, and a daemon that is started again opens the same pipes.
//!
//! Secrets come through the server's own standard input, before anything else does, so that they stand on no disk of the
//! machine and in nothing that the Docker engine tells: `docker/given.rs` writes what is read here.
//!
//! Built by `build.rs` without any dependency and linked statically, because it runs in images that hold nothing.

mod agreed;

use agreed::{END, FILES, FOLDER, MARK};
use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, OpenOptionsExt},
        process::CommandExt,
    },
    process::{Command, ExitCode},
};

/// Bytes that are taken at most.
const MOST: usize = 16 << 20;

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
    let [mut input, output, errors] = match ["in", "out", "err"].map(pipe) {
        [Ok(input), Ok(output), Ok(errors)] => [input, output, errors],
        pipes => {
            pipes.into_iter().filter_map(Result::err).for_each(|error| eprintln!("agentopia-init: {FOLDER}: {error}"));
            return ExitCode::from(CANNOT);
        }
    };
    let arguments = match give(&mut input, &mut server) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = (&errors).write_all(format!("what the server is given did not arrive whole: {error}\n").as_bytes());
            return ExitCode::from(CANNOT);
        }
    };
    match arguments.is_empty() {
        true => server.args(words),
        false => server.args(arguments),
    };
    let mut log = errors.try_clone();
    // Returns only when it fails; the reason goes where the server's own words would.
    let error = server.stdin(input).stdout(output).stderr(errors).exec();
    if let Ok(log) = &mut log {
        let _ = log.write_all(format!("cannot run {}: {error}\n", program.display()).as_bytes());
    }
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { MISSING } else { CANNOT })
}

/// For reading and writing, whichever the server does: so the server never sees an end of its input, nor a broken output,
/// while no daemon is there.
fn pipe(name: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(format!("{FOLDER}/{name}"))
}

/// Sets the variables, writes the files; the arguments that are to be used instead of those of the command line. Reads not
/// a byte more than was given: what follows is for the server. A daemon that was killed while it wrote leaves less than
/// that, and what the next one writes does not end as it should.
fn give(input: &mut File, server: &mut Command) -> io::Result<Vec<OsString>> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let mut head = [0; MARK.len() + 4];
    input.read_exact(&mut head)?;
    let length = head.strip_prefix(MARK).and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
    let length = length.map(|length| length as usize).filter(|length| *length <= MOST).ok_or_else(bad)?;
    let mut given = vec![0; length];
    input.read_exact(&mut given)?;
    let given = given.strip_suffix(END).ok_or_else(bad)?;
    let mut arguments = Vec::new();
    for field in given.split_inclusive(|byte| *byte == 0) {
        let (kind, text) = field.strip_suffix(b"\0").and_then(<[u8]>::split_first).ok_or_else(bad)?;
        let pair = || {
            let at = text.iter().position(|byte| *byte == b'=')?;
            Some((OsStr::from_bytes(&text[..at]), &text[at + 1..]))
        };
        match kind {
            b'a' => arguments.push(OsStr::from_bytes(text).to_owned()),
            b'v' => {
                let (name, value) = pair().ok_or_else(bad)?;
                server.env(name, OsStr::from_bytes(value));
            }
            b'f' => {
                let (name, content) = pair().ok_or_else(bad)?;
                write(name, content)?;
            }
            _ => return Err(bad()),
        }
    }
    Ok(arguments)
}

fn write(name: &OsStr, content: &[u8]) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(FILES) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let path = std::path::Path::new(FILES).join(name);
    OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?.write_all(content)
}
