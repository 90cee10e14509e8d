//! Many calls of the same kind are one event, or a busy server's calls would cost more to report than to make.

use super::Dated;
use crate::gateway::{Access, Flags, Outcome, TraceId};
use protocol::{
    Timestamp,
    event::{Calls, Happening},
    ids::{AgentId, RunId},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

/// Kinds that are told apart at once. Of a flood that has more, calls of one tool are told together, whatever their arguments:
/// more could not be uploaded, and to tell them apart would cost more than to make them.
const KINDS: usize = 1_000;
/// Characters of a name that a call gave.
const NAME: usize = 128;

type Kind = (AgentId, Option<RunId>, Arc<str>, Arc<str>, Option<[u8; 32]>, Outcome, Option<TraceId>, Flags);

/// In the order in which the first of each kind was made.
pub(super) fn gathered(records: Vec<Access>) -> Vec<Dated> {
    let mut places: HashMap<Kind, usize> = HashMap::new();
    let mut events: Vec<(Timestamp, Calls)> = Vec::new();
    for access in records {
        let Access { at, agent, run, server, tool, arguments, values, outcome, micros, trace, flags } = access;
        let (arguments, values, trace) =
            if events.len() < KINDS { (Some(arguments), values, trace) } else { (None, None, None) };
        match places.entry((agent, run, server.clone(), tool.clone(), arguments, outcome, trace, flags)) {
            Entry::Occupied(place) => {
                if let Some((_, calls)) = events.get_mut(*place.get()) {
                    calls.count += 1;
                    calls.micros += micros;
                }
            }
            Entry::Vacant(place) => {
                place.insert(events.len());
                let calls = Calls {
                    agent_id: agent,
                    run_id: run,
                    server: server.chars().take(NAME).collect(),
                    tool: tool.chars().take(NAME).collect(),
                    arguments: arguments.map(|digest| crate::hex(&digest)).unwrap_or_default(),
                    values: values.map(String::from),
                    outcome: outcome.as_str().to_owned(),
                    count: 1,
                    micros,
                    trace_id: trace.map(|trace| trace.to_string()),
                    flags: flags.names().into_iter().map(str::to_owned).collect(),
                };
                events.push((Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH), calls));
            }
        }
    }
    events.into_iter().map(|(at, calls)| (at, Happening::Call(calls))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_one_kind_are_one_event_and_others_are_not() {
        let agent = AgentId::new();
        let access = |tool: &str, arguments: u8, outcome| Access {
            at: 1_000,
            agent,
            run: None,
            server: "time".into(),
            tool: tool.into(),
            arguments: [arguments; 32],
            values: None,
            outcome,
            micros: 10,
            trace: None,
            flags: Flags::default(),
        };
        let events = gathered(vec![
            access("now", 1, Outcome::Answered),
            access("now", 2, Outcome::Answered),
            access("now", 1, Outcome::Answered),
            access("now", 1, Outcome::Refused),
            access(&"x".repeat(500), 1, Outcome::Answered),
        ]);
        let told: Vec<_> = events
            .iter()
            .map(|(_, what)| match what {
                Happening::Call(calls) => (calls.count, calls.micros, calls.outcome.as_str(), calls.tool.len()),
                _ => unreachable!(),
            })
            .collect();
        assert_eq!(
            told,
            [(2, 20, "answered", 3), (1, 10, "answered", 3), (1, 10, "refused", 3), (1, 10, "answered", 128)]
        );
    }

    #[test]
    fn a_flood_is_told_by_tool() {
        let agent = AgentId::new();
        let call = |n: usize| {
            let mut arguments = [0; 32];
            arguments[..8].copy_from_slice(&n.to_le_bytes());
            let tool = if n < 3_000 { "early" } else { "late" };
            let (server, tool, outcome) = ("time".into(), tool.into(), Outcome::Answered);
            let (values, run, trace, flags) = (Some("{}".into()), None, None, Flags::default());
            Access { at: 1, agent, run, server, tool, arguments, values, outcome, micros: 1, trace, flags }
        };
        let told = gathered((0..5_000).map(call).collect());
        assert_eq!(told.len(), KINDS + 2);
        let calls = told.iter().map(|(_, what)| match what {
            Happening::Call(calls) => calls,
            _ => unreachable!(),
        });
        assert_eq!(calls.clone().map(|calls| calls.count).sum::<u64>(), 5_000, "none is lost");
        let flood: Vec<_> =
            calls.filter(|calls| calls.arguments.is_empty()).map(|calls| (calls.count, &calls.values)).collect();
        assert_eq!(flood, [(2_000, &None), (2_000, &None)]);
    }
}
