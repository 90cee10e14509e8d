use super::{line, print_json};
use crate::{client::Client, home::Home, trouble::Trouble};
use protocol::ids::RunId;
use serde_json::Value;

/// Shows a run's journal as a tree: a model's turn, and under it what it called.
pub(super) async fn run(home: &Home, run: RunId, json: bool) -> Result<(), Trouble> {
    let client = Client::connect(home).await?;
    let run: Value = client.get(&format!("/api/runs/{run}")).await?;
    if json {
        print_json(&run);
        return Ok(());
    }
    println!("{}", tree(&run));
    Ok(())
}

fn tree(run: &Value) -> String {
    let text = |value: &Value| line(value.as_str().unwrap_or_default());
    let mut out = format!("run {} {}", text(&run["id"]), text(&run["state"]));
    for event in run["events"].as_array().into_iter().flatten() {
        let kind = text(&event["type"]);
        let depth = if kind.starts_with("run.") {
            1
        } else if kind.starts_with("tool.") {
            3
        } else {
            2
        };
        let about =
            ["tool", "name", "text", "reason"].iter().map(|key| text(&event[*key])).find(|text| !text.is_empty());
        out.push_str(&format!("\n{}{kind}  {}", "  ".repeat(depth), about.unwrap_or_default()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::tree;

    #[test]
    fn what_was_called_stands_under_the_turn() {
        let run = serde_json::json!({"id": "r", "state": "finished", "events": [
            {"seq": 1, "type": "run.started"},
            {"seq": 2, "type": "model.delta", "text": "I look it up"},
            {"seq": 3, "type": "tool.called", "tool": "time.now"},
        ]});
        let shown = tree(&run);
        assert!(shown.contains("\n  run.started") && shown.contains("\n      tool.called  time.now"), "{shown}");
    }
}
