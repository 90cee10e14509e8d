//! Where events come from.

use super::{Dated, Refusals, calls};
use crate::{
    gateway::{Records, Registry, RequestLog},
    reconcile::Statuses,
};
use protocol::{
    Timestamp,
    event::{Deployment, Happening, Lost, ToolChanged, ToolRequest},
    ids::ServerId,
    server::{ServerState, ServerStatus},
};
use std::{collections::BTreeMap, sync::Arc};

/// Records of calls that are taken at once: all that are kept.
const RECORDS: usize = 10_000;

pub struct Sources {
    pub records: Records,
    pub requests: Arc<RequestLog>,
    pub registry: Registry,
    pub refusals: Refusals,
    pub statuses: Statuses,
}

/// What was last told of each server.
pub(super) type Told = BTreeMap<ServerId, (u32, ServerState)>;

impl Sources {
    /// What has happened since the last time.
    pub(super) fn take(&self, told: &mut Told) -> Vec<Dated> {
        let now = Timestamp::now();
        let (records, mut lost) = self.records.take(RECORDS);
        let (mut events, refusals_lost) = self.refusals.take();
        lost += refusals_lost;
        events.extend(calls::gathered(records));
        events.extend(self.requests.take().into_iter().map(|request| {
            let at = Timestamp::from_second(request.at).unwrap_or(now);
            let what = ToolRequest {
                agent_id: request.agent,
                run_id: request.run,
                need: request.need,
                tools: request.tools,
                reason: request.reason,
            };
            (at, Happening::ToolRequest(what))
        }));
        events.extend(self.registry.take_redefined().into_iter().map(|one| {
            let what = ToolChanged { server_id: one.server, tool: one.tool, before: one.before, now: one.now };
            (now, Happening::ToolChanged(what))
        }));
        let deployments = deployments(self.statuses.all(), told);
        events.extend(deployments.map(|(at, what)| (at.unwrap_or(now), Happening::Deployment(what))));
        events.sort_by_key(|(at, _)| *at);
        events.extend((lost > 0).then_some((now, Happening::Lost(Lost { count: lost }))));
        events
    }
}

/// Servers that have come to run, or to an end, since they were last told of, and since when they run. The steps between are the
/// check-in's.
fn deployments(statuses: Vec<ServerStatus>, told: &mut Told) -> impl Iterator<Item = (Option<Timestamp>, Deployment)> {
    let settled = |state| {
        matches!(state, ServerState::Running | ServerState::Failed | ServerState::BackingOff | ServerState::Stopped)
    };
    told.retain(|id, _| statuses.iter().any(|status| status.id == *id));
    statuses.into_iter().filter(move |status| settled(status.state)).filter_map(|status| {
        let ServerStatus { id, state, revision, detail, exit_code, log_tail, started_at, .. } = status;
        let news = told.insert(id, (revision, state)) != Some((revision, state));
        let since = started_at.filter(|_| state == ServerState::Running);
        news.then_some((since, Deployment { server_id: id, revision, state, detail, exit_code, log_tail }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_told_of_when_it_comes_to_something_new() {
        let id = ServerId::new();
        let status = |state: &str, revision: u32| -> ServerStatus {
            serde_json::from_value(serde_json::json!({"id": id, "state": state, "revision": revision})).unwrap()
        };
        let mut told = Told::new();
        let mut count = |statuses: Vec<ServerStatus>| deployments(statuses, &mut told).count();
        assert_eq!(count(vec![status("installing", 0)]), 0);
        assert_eq!(count(vec![status("running", 0)]), 1);
        assert_eq!(count(vec![status("running", 0)]), 0);
        assert_eq!(count(vec![status("failed", 0)]), 1);
        assert_eq!(count(vec![status("running", 1)]), 1);
        assert_eq!(count(vec![]), 0);
        assert_eq!(count(vec![status("running", 1)]), 1);
    }
}
