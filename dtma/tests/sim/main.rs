//! The real reconciler, tasks, back-off, ledger and MCP connection, against a fake Docker, a fake control plane and a virtual
//! clock, all under one seed. `SIM_SEED=n` runs one seed, `SIM_SEEDS=n` the first n of them.
//!
//! The daemon is killed in the middle of Docker calls, and lives on in the same world. All along: nothing of somebody else is
//! touched, nothing ends while Docker is away or without a desired state that says so, a healthy unchanged server keeps its
//! container, no server has two. Once the faults stop, everything is as wanted, and said so, within two intervals.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod life;
mod machine;
mod world;

use dtma::{docker::labels, ledger::Ledger, reconcile::spec_digest};
use life::{Seen, live};
use protocol::server::{ServerState, Source};
use rand::Rng;
use std::{panic::AssertUnwindSafe, path::Path, time::Duration};
use world::{Box_, Sim};

const SEEDS: u64 = 1000;
/// Two of the reconciler's looks.
const TWO_INTERVALS: Duration = Duration::from_secs(120);

#[test]
fn whatever_befalls_it_the_toolbox_comes_back_as_wanted() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SIM_SEED") {
        Some(one) => one..one + 1,
        None => 0..number("SIM_SEEDS").unwrap_or(SEEDS),
    };
    // A folder in memory: many ledgers are flushed many times.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let mut lives = 0;
    for seed in seeds {
        let run = AssertUnwindSafe(|| one(seed, &folder.path().join(seed.to_string())));
        match std::panic::catch_unwind(run) {
            Ok(count) => lives += count,
            Err(panic) => {
                eprintln!("seed {seed} failed; replay it with SIM_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(lives > 0);
}

/// How many times the daemon lived.
fn one(seed: u64, folder: &Path) -> u32 {
    let sim = Sim::new(seed);
    let ledger = Ledger::open(folder).unwrap();
    let mut plane = life::Plane::new(&sim);
    foreign(&sim, &plane);
    let count = sim.lock().rng.random_range(2..6);
    for _ in 0..count {
        let seconds = sim.lock().rng.random_range(1..400);
        live(&sim, &ledger, &mut plane, Duration::from_secs(seconds));
        check(&sim, seed);
    }
    {
        let mut state = sim.lock();
        (state.faults, state.down, state.full) = (false, false, false);
    }
    plane.newer(&sim);
    let seen = live(&sim, &ledger, &mut plane, TWO_INTERVALS);
    check(&sim, seed);
    converged(&sim, &plane, &seen, seed);
    count + 1
}

/// Made by a person of an image that carries our labels.
fn foreign(sim: &Sim, plane: &life::Plane) {
    let mut state = sim.lock();
    let of_server = labels::of_server(state.toolbox, plane.pool[0].id);
    let mut made = Box_::new(&mut state, "somebodys".into(), of_server, false);
    (made.foreign, made.running) = (true, true);
    state.containers.insert(made.id.clone(), made);
}

fn check(sim: &Sim, seed: u64) {
    let state = sim.lock();
    assert!(state.broken.is_empty(), "seed {seed}: {:#?}", state.broken);
    assert!(state.containers.values().any(|b| b.foreign && b.running), "seed {seed}: somebody's container is gone");
    for b in state.containers.values().filter(|b| b.server().is_some()) {
        let twins = state.containers.values().filter(|other| other.server() == b.server()).count();
        assert_eq!(twins, 1, "seed {seed}: two containers for one server");
    }
}

fn converged(sim: &Sim, plane: &life::Plane, seen: &Seen, seed: u64) {
    let state = sim.lock();
    let wanted = plane.newest();
    assert_eq!(state.accepted.as_ref(), Some(wanted), "seed {seed}: the highest generation is accepted");
    assert_eq!(seen.standing.trouble, None, "seed {seed}");
    assert_eq!(seen.standing.applied, wanted.generation, "seed {seed}: {:#?}", seen.statuses);
    for b in state.containers.values().filter(|b| !b.foreign) {
        assert!(wanted.servers.iter().any(|spec| Some(spec.id) == b.server()), "seed {seed}: one too many runs");
    }
    assert_eq!(seen.statuses.len(), wanted.servers.len(), "seed {seed}");
    for spec in &wanted.servers {
        let status = seen.statuses.iter().find(|status| status.id == spec.id).unwrap();
        let bad = matches!(&spec.source, Source::Oci { image } if image.contains("bad"));
        if bad {
            let failed = matches!(status.state, ServerState::Failed | ServerState::BackingOff);
            assert!(failed && status.exit_code == Some(7), "seed {seed}: {status:#?}");
            continue;
        }
        assert_eq!(status.state, ServerState::Running, "seed {seed}: {status:#?}");
        assert_eq!(status.revision, spec.revision, "seed {seed}");
        let own = state.containers.values().find(|b| b.server() == Some(spec.id)).unwrap();
        assert!(own.running, "seed {seed}: it is reported as running");
        assert_eq!(own.label(labels::SPEC), spec_digest(spec), "seed {seed}");
        assert_eq!(own.label(labels::REVISION), spec.revision.to_string(), "seed {seed}");
    }
}
