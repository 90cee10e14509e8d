//! The plan as JSON pairs, and what holds for every pair.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use dtma::{
    docker::Container,
    reconcile::{
        Observed, Step,
        plan::{Task, plan, spec_digest},
    },
};
use proptest::prelude::*;
use protocol::{
    ids::ServerId,
    server::{ServerSpec, Source},
    toolbox::DesiredState,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, path::Path};
use uuid::Uuid;

#[derive(Deserialize)]
struct Case {
    /// The rule, in words.
    rule: String,
    observed: Observed,
    desired: Option<DesiredState>,
    steps: Vec<Step>,
}

#[test]
fn every_pair_gives_its_steps() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reconcile");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut case: Case = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        // A digest is written as "current": that of the server's specification in the desired state.
        let current: BTreeMap<ServerId, String> =
            case.desired.iter().flat_map(|state| &state.servers).map(|spec| (spec.id, spec_digest(spec))).collect();
        let digest = |server: &ServerId, text: &mut String| {
            if text == "current" {
                *text = current[server].clone();
            }
        };
        for container in &mut case.observed.containers {
            if let Some(server) = container.server {
                digest(&server, &mut container.spec_digest);
            }
        }
        for (server, task) in &mut case.observed.tasks {
            digest(server, &mut task.spec_digest);
        }
        assert_eq!(plan(&case.observed, case.desired.as_ref()), case.steps, "{}: {}", path.display(), case.rule);
        seen += 1;
    }
    assert!(seen >= 14, "{seen} pairs");
}

/// Every running container carries it: when it changes for the same specification, an upgrade replaces them all.
#[test]
fn an_upgrade_of_the_daemon_does_not_change_what_a_container_is_compared_by() {
    let mut spec = spec(1, 0, 0);
    spec.env.insert("A".into(), "b".into());
    spec.hosts.push("a.example:443".into());
    let text = r#"[1,"s1",{"kind":"oci","image":"i0"},[],{"A":"b"},[],["a.example:443"]]"#;
    let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(spec_digest(&spec), digest);
    spec.revision = 7;
    assert_eq!(spec_digest(&spec), digest);
}

fn id(n: u8) -> ServerId {
    Uuid::from_u128(n.into()).into()
}

fn spec(n: u8, image: u8, revision: u32) -> ServerSpec {
    ServerSpec {
        id: id(n),
        name: format!("s{n}"),
        source: if image == 9 {
            Source::Remote { url: "https://a.example".into() }
        } else {
            Source::Oci { image: format!("i{image}") }
        },
        args: vec![],
        env: BTreeMap::new(),
        secrets: vec![],
        hosts: vec![],
        revision,
    }
}

prop_compose! {
    fn any_spec()(n in 0u8..5, image in prop_oneof![0u8..2, Just(9)], revision in 0u32..2) -> ServerSpec {
        spec(n, image, revision)
    }
}

prop_compose! {
    fn any_desired()(generation in 1u64..100, specs in prop::collection::vec(any_spec(), 0..6)) -> DesiredState {
        let unique: BTreeMap<ServerId, ServerSpec> = specs.into_iter().map(|spec| (spec.id, spec)).collect();
        DesiredState { generation, servers: unique.into_values().collect() }
    }
}

prop_compose! {
    fn any_container()(
        n in 0u8..7, ours in prop::bool::weighted(0.8), image in 0u8..3, revision in 0u32..2, running: bool, created in 0i64..3,
        nonce: u32,
    ) -> Container {
        Container {
            id: format!("c{nonce:08x}"),
            server: ours.then(|| id(n)),
            spec_digest: spec_digest(&spec(n, image, 0)),
            revision,
            running,
            created,
        }
    }
}

prop_compose! {
    fn any_observed()(
        containers in prop::collection::vec(any_container(), 0..8),
        tasks in prop::collection::vec((0u8..6, 0u8..3, 0u32..2, any::<prop::sample::Index>(), any::<bool>()), 0..4),
    ) -> Observed {
        let mut observed = Observed { docker: true, containers, tasks: BTreeMap::new() };
        let mut ids = std::collections::BTreeSet::new();
        observed.containers.retain(|c| ids.insert(c.id.clone()));
        for (n, image, revision, index, holds) in tasks {
            let own: Vec<&Container> = observed.containers.iter().filter(|c| c.server == Some(id(n))).collect();
            let container = (holds && !own.is_empty()).then(|| index.get(&own).id.clone());
            let task = Task { spec_digest: spec_digest(&spec(n, image, 0)), revision, container };
            observed.tasks.insert(id(n), task);
        }
        observed
    }
}

/// What the world looks like when every step did what it says.
fn apply(mut observed: Observed, desired: &DesiredState, steps: &[Step]) -> Observed {
    for (nth, step) in steps.iter().enumerate() {
        match step {
            Step::Stop { server } => drop(observed.tasks.remove(server)),
            Step::Remove { container, .. } => observed.containers.retain(|c| c.id != *container),
            Step::Adopt { server, container } => {
                let c = observed.containers.iter().find(|c| c.id == *container).unwrap();
                let task =
                    Task { spec_digest: c.spec_digest.clone(), revision: c.revision, container: Some(c.id.clone()) };
                observed.tasks.insert(*server, task);
            }
            Step::Start { server } => {
                let spec = desired.servers.iter().find(|spec| spec.id == *server).unwrap();
                let container = Container {
                    id: format!("new{nth}"),
                    server: Some(*server),
                    spec_digest: spec_digest(spec),
                    revision: spec.revision,
                    running: true,
                    created: 10,
                };
                let twin = observed.containers.iter().any(|c| c.server == Some(*server));
                assert!(!twin, "a container is started beside another of its server");
                let task = Task {
                    spec_digest: container.spec_digest.clone(),
                    revision: spec.revision,
                    container: Some(container.id.clone()),
                };
                observed.tasks.insert(*server, task);
                observed.containers.push(container);
            }
        }
    }
    observed
}

fn converged(observed: &Observed, desired: &DesiredState) {
    let here: Vec<&ServerSpec> =
        desired.servers.iter().filter(|spec| !matches!(spec.source, Source::Remote { .. })).collect();
    for spec in &here {
        let own = observed.containers.iter().filter(|c| c.server == Some(spec.id)).count();
        assert!(own <= 1, "{own} containers for one server");
        assert_eq!(observed.tasks[&spec.id].spec_digest, spec_digest(spec));
    }
    let wanted = |server: &ServerId| here.iter().any(|spec| spec.id == *server);
    assert!(observed.containers.iter().filter_map(|c| c.server.as_ref()).all(wanted));
    assert!(observed.tasks.keys().all(wanted));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_was_planned_and_done_needs_nothing_more(observed in any_observed(), desired in any_desired()) {
        let steps = plan(&observed, Some(&desired));
        let after = apply(observed, &desired, &steps);
        prop_assert_eq!(plan(&after, Some(&desired)), vec![]);
        converged(&after, &desired);
    }

    #[test]
    fn the_highest_generation_is_what_remains(observed in any_observed(), mut states in prop::collection::vec(any_desired(), 1..5)) {
        states.sort_by_key(|state| state.generation);
        let mut world = observed;
        for state in &states {
            let steps = plan(&world, Some(state));
            world = apply(world, state, &steps);
        }
        converged(&world, states.last().unwrap());
    }

    #[test]
    fn nothing_without_our_label_is_touched(observed in any_observed(), desired in any_desired()) {
        for step in plan(&observed, Some(&desired)) {
            if let Step::Remove { container, server } | Step::Adopt { container, server } = step {
                let named = observed.containers.iter().find(|c| c.id == container).unwrap();
                prop_assert_eq!(named.server, Some(server));
            }
        }
    }

    #[test]
    fn what_runs_as_it_should_is_never_removed(observed in any_observed(), desired in any_desired()) {
        let steps = plan(&observed, Some(&desired));
        for spec in &desired.servers {
            let good = |c: &&Container| {
                c.server == Some(spec.id) && c.running && c.spec_digest == spec_digest(spec) && c.revision == spec.revision
            };
            let goods: Vec<&Container> = observed.containers.iter().filter(good).collect();
            let untended = !observed.tasks.contains_key(&spec.id) && !matches!(spec.source, Source::Remote { .. });
            if untended && !goods.is_empty() {
                let kept = goods.iter().filter(|c| !steps.iter().any(|step| matches!(step, Step::Remove { container, .. } if *container == c.id))).count();
                prop_assert_eq!(kept, 1);
            }
        }
    }

    #[test]
    fn without_docker_or_a_desired_state_nothing_is_done(mut observed in any_observed(), desired in any_desired()) {
        prop_assert_eq!(plan(&observed, None), vec![]);
        observed.docker = false;
        prop_assert_eq!(plan(&observed, Some(&desired)), vec![]);
    }
}
