//! A stdio server whose own cost is close to nothing.

use mcp::{Message, json::Limits, reply};
use serde_json::json;
use std::io::{self, BufRead, BufReader, Write};

pub(super) fn run() -> io::Result<()> {
    let mut input = BufReader::with_capacity(1 << 18, io::stdin().lock());
    let mut output = io::stdout().lock();
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        if let Some(mut answer) = answer(&line) {
            answer.push(b'\n');
            output.write_all(&answer)?;
            output.flush()?;
        }
        line.clear();
    }
    Ok(())
}

fn answer(line: &[u8]) -> Option<Vec<u8>> {
    let message = Message::parse(line, Limits::ANSWER).ok()?;
    let id = message.id()?.as_json();
    let result = match message.method.as_deref()? {
        "initialize" => json!({
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
            "serverInfo": {"name": "echo", "version": "1"},
        })
        .to_string(),
        "tools/list" => {
            let schema = json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
            json!({"tools": [{"name": "echo", "description": "Returns its text", "inputSchema": schema}]}).to_string()
        }
        // The text goes back as it is written in the arguments, escapes and all.
        "tools/call" => {
            let text = message.arguments()?.strip_prefix("{\"text\":")?.strip_suffix('}')?;
            format!("{{\"content\":[{{\"type\":\"text\",\"text\":{text}}}]}}")
        }
        _ => "{}".into(),
    };
    Some(reply::result(id, &result))
}
