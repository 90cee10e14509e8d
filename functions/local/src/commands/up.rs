use crate::{
    cli::Up,
    home::{Home, Instance, Lock},
    trouble::{self, Trouble},
    up::{self, Started, signals::Stop},
};
use serde_json::json;
use std::{fs, os::unix::fs::OpenOptionsExt, process::ExitCode, time::Duration};

pub(super) async fn run(home: &Home, options: &Up, json: bool) -> Result<ExitCode, Trouble> {
    home.prepare()?;
    if options.detached {
        // A session of its own: neither Ctrl-C nor the end of the terminal that it came from is meant for it. It may lead
        // one already; then that is so.
        let _ = rustix::process::setsid();
    }
    if let Some(instance) = already(home).await? {
        eprintln!("Agentopia is already up.");
        say(home, &instance, json);
        return Ok(ExitCode::SUCCESS);
    }
    if options.detach {
        return Ok(match up::detach::start(home, options.port, Stop::listen()?).await? {
            Some(instance) => {
                say(home, &instance, json);
                ExitCode::SUCCESS
            }
            None => ExitCode::FAILURE,
        });
    }
    let lock = lock(home).await?;
    log(home)?;
    // Keys and credentials pass through this process: no core dump holds them, no other process of the user reads them.
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "core dumps of this process are not switched off");
    }
    let mut started = Started::default();
    let mut stop = Stop::listen()?;
    let outcome = tokio::select! {
        // Not cancel-safe by itself: what it started stands in `started`, which is stopped below.
        outcome = up::start(home, options.port, &mut started) => outcome.map(Some),
        // Cancel-safe: a signal is not lost.
        () = stop.asked() => Ok(None),
    };
    let outcome = match outcome {
        Ok(Some(instance)) => {
            if !options.detached {
                say(home, &instance, json);
            }
            tokio::select! {
                () = stop.asked() => {}
                () = up::keep(home, &mut started) => stop.asked().await,
            }
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(trouble) => Err(trouble),
    };
    eprintln!();
    started.stop(home).await;
    drop(lock);
    outcome.map(|()| ExitCode::SUCCESS)
}

/// The instance that runs, also when it is still starting: then once it has started.
async fn already(home: &Home) -> Result<Option<Instance>, Trouble> {
    for _ in 0..1200 {
        match Instance::running(home)? {
            Some(instance) if !instance.ready => tokio::time::sleep(Duration::from_millis(50)).await,
            found => return Ok(found),
        }
    }
    Err(Trouble::new("Another `agentopia up` has been starting for a minute.", "Stop it: agentopia down"))
}

fn say(home: &Home, instance: &Instance, json: bool) {
    eprintln!();
    eprintln!("  console  {}", instance.url);
    eprintln!("  gateway  {}", instance.gateway);
    eprintln!("  home     {}", home.path().display());
    let program = home.bin().join("agentopia");
    let program = if program.is_file() { program.display().to_string() } else { "agentopia".to_owned() };
    eprintln!("\n  Say what you want:  {program} chat \"Tell me the time in different time zones\"\n");
    if json {
        super::print_json(&json!({"url": instance.url, "home": home.path(), "gateway": instance.gateway}));
    } else {
        put!("{}", instance.url);
    }
}

/// The program's own log. What a person needs is printed as steps; this is for looking closer.
fn log(home: &Home) -> Result<(), Trouble> {
    let path = home.logs().join("agentopia.log");
    let open = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let file = open.map_err(trouble::file("Opening", &path))?;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    // A second subscriber is refused: then this is a test that has its own.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::sync::Mutex::new(file))
        .try_init();
    Ok(())
}

/// A glance of another command holds the lock for a moment; another `up` holds it for longer.
async fn lock(home: &Home) -> Result<Lock, Trouble> {
    for _ in 0..20 {
        if let Some(lock) = Lock::take(home)? {
            return Ok(lock);
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Err(Trouble::new("Another `agentopia up` starts at this moment.", "Wait for it: agentopia status"))
}
