use super::{line, print_json};
use crate::{client::Client, home::Home, trouble::Trouble};
use protocol::{
    ids::RunId,
    run::{Event, RunReply, RunState},
};
use serde_json::Value;

/// Shows a run's journal as a tree: the run, under it the model's answers, under those what they called.
pub(crate) async fn run(home: &Home, run: RunId, json: bool) -> Result<(), Trouble> {
    let client = Client::connect(home).await?;
    let reply: RunReply = client.get(&format!("/api/runs/{run}")).await?;
    if json {
        print_json(&reply);
    } else {
        put!("{}", tree(&reply));
    }
    Ok(())
}

fn tree(reply: &RunReply) -> String {
    let run = &reply.run;
    let mut out = format!("run {} {}: {}", run.id, word(run.state), short(&run.message));
    for event in &reply.events {
        let seconds = (event.at - run.created_at).total(jiff::Unit::Second).unwrap_or_default();
        let about = about(event);
        out.push_str(&format!("\n{:>8.3} s  {}{}{about}", seconds, "  ".repeat(depth(&event.kind)), line(&event.kind)));
    }
    out
}

fn depth(kind: &str) -> usize {
    match kind.split('.').next() {
        Some("run") => 0,
        Some("tool") => 2,
        _ => 1,
    }
}

/// The tool, then what was given, came back or was said; each cut to a line.
fn about(event: &Event) -> String {
    let mut out = String::new();
    for key in ["server", "tool", "name", "arguments", "output", "text", "reason", "error"] {
        match event.data.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => out.push_str(&format!("  {}", short(text))),
            Some(other) => out.push_str(&format!("  {}", short(&other.to_string()))),
        }
    }
    out
}

fn short(text: &str) -> String {
    let text = line(text);
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn word(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Finished => "finished",
        RunState::Failed => "failed",
        RunState::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::tree;
    use serde_json::json;

    #[test]
    fn what_was_called_stands_under_the_answer() {
        let id = protocol::ids::RunId::new();
        let at = |ms: u32| format!("2026-11-21T05:00:00.{ms:03}Z");
        let reply = serde_json::from_value(json!({
            "id": id, "agent_id": protocol::ids::AgentId::new(), "state": "finished", "message": "what time is it",
            "sequence": 3, "created_at": at(0),
            "events": [
                {"sequence": 1, "type": "run.started", "at": at(1)},
                {"sequence": 2, "type": "model.answered", "at": at(20), "text": "I look it up"},
                {"sequence": 3, "type": "tool.called", "at": at(30), "tool": "time.now", "arguments": {"zone": "x\u{1b}[31m"}},
            ],
        }))
        .unwrap();
        let shown = tree(&reply);
        assert!(shown.starts_with(&format!("run {id} finished: what time is it")), "{shown}");
        assert!(shown.contains("\n   0.030 s      tool.called  time.now  {\"zone\""), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }
}
