use crate::{
    home::{Home, Instance, Lock},
    steps::Step,
    trouble::Trouble,
    up,
};
use rustix::process::Signal;
use std::time::Duration;

/// Stopping the servers' containers and Postgres takes some seconds.
const PATIENCE: Duration = Duration::from_secs(90);

pub(super) async fn run(home: &Home) -> Result<(), Trouble> {
    if !home.run().exists() {
        eprintln!("Nothing runs: {} is no home of Agentopia's.", home.path().display());
        return Ok(());
    }
    if let Some(instance) = Instance::running(home)? {
        let step = Step::start("stopping Agentopia");
        instance.process.signal(Signal::TERM);
        if instance.process.gone(PATIENCE).await {
            step.done();
        } else {
            instance.process.signal(Signal::KILL);
            instance.process.gone(Duration::from_secs(2)).await;
            step.done_with("it did not stop by itself");
        }
    }
    // What a killed process left behind; usually nothing.
    let lock = Lock::take(home)?.ok_or_else(|| {
        Trouble::new("Agentopia was started again in between.", "Run `agentopia down` once more to stop that one too.")
    })?;
    if up::leftovers(home).await {
        up::stop_leftovers(home, &lock).await;
    }
    Ok(())
}
