use super::{follow, line, print_json};
use crate::{cli::Events, client::Client, home::Home, trouble::Trouble};
use protocol::event::{Happening, Recorded};
use serde_json::json;
use std::collections::HashMap;

/// The newest last, as a log.
pub(super) async fn run(home: &Home, options: &Events, json: bool) -> Result<(), Trouble> {
    let client = Client::connect(home).await?;
    let toolbox = follow::toolbox(home)?;
    let kind = options.kind.as_ref().map(|kind| {
        let encoded: String = url::form_urlencoded::byte_serialize(kind.as_bytes()).collect();
        format!("&kind={encoded}")
    });
    let path = format!("/api/toolboxes/{toolbox}/events?limit={}{}", options.limit, kind.unwrap_or_default());
    let mut events: Vec<Recorded> = client.get(&path).await?;
    events.reverse();
    if json {
        print_json(&events);
        return Ok(());
    }
    if events.is_empty() {
        put!("Nothing has happened yet that was told.");
        return Ok(());
    }
    let servers = follow::servers(&client, toolbox).await?;
    let names: HashMap<String, String> = servers.into_iter().map(|s| (s.spec.id.to_string(), s.spec.name)).collect();
    for event in events {
        put!("{:.0}  {:<12} {}", event.at, line(&event.kind), line(&words(&event, &names)));
    }
    Ok(())
}

fn words(event: &Recorded, names: &HashMap<String, String>) -> String {
    let name = |id: &dyn ToString| names.get(&id.to_string()).cloned().unwrap_or_else(|| id.to_string());
    match serde_json::from_value(json!({event.kind.as_str(): event.data})) {
        Ok(Happening::Call(calls)) => {
            let millis = calls.micros as f64 / 1000.0 / calls.count.max(1) as f64;
            let times = if calls.count == 1 { String::new() } else { format!(" {} times", calls.count) };
            let values = calls.values.map(|values| format!(" with {values}")).unwrap_or_default();
            let flags = match calls.flags.is_empty() {
                true => String::new(),
                false => format!(", not what it seems: {}", calls.flags.join(", ")),
            };
            format!("{}.{} {}{times}{values}, {millis:.1} ms{flags}", calls.server, calls.tool, calls.outcome)
        }
        Ok(Happening::Refusal(refusal)) => {
            let port = refusal.port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("{} was not let out to {}{port}: {}", name(&refusal.server_id), refusal.host, refusal.why)
        }
        Ok(Happening::Deployment(deployment)) => {
            let detail = deployment.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
            format!("{} is {}{detail}", name(&deployment.server_id), super::status::word(deployment.state))
        }
        Ok(Happening::ToolChanged(changed)) => {
            format!("{}'s {} says something else than it was granted for", name(&changed.server_id), changed.tool)
        }
        Ok(Happening::ToolRequest(request)) => {
            format!("an agent wishes for {} ({})", request.need, request.tools.join(", "))
        }
        Ok(Happening::Lost(lost)) => format!("{} events could not be kept", lost.count),
        // Of a newer release.
        Err(_) => event.data.to_string(),
    }
}
