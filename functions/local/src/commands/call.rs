use super::{capability, follow, lines, print_json, tools};
use crate::{
    cli::Call,
    client::{self, Client},
    home::Home,
    trouble::Trouble,
};
use std::process::ExitCode;

/// Calls a tool as the agent would: with a capability, at the toolbox.
pub(super) async fn run(home: &Home, options: Call, json: bool) -> Result<ExitCode, Trouble> {
    let client = Client::connect(home).await?;
    let reply = capability::get(&client, home, options.agent).await?;
    let server = &options.target.server;
    let mcp = mcp::client::Client::new(client::http(), tools::endpoint(&reply.gateway, server), reply.capability);
    let call = async || mcp.call(&options.target.tool, &options.arguments).await;
    let result = follow::once_served(&client, home, server, call).await.map_err(|error| match error {
        mcp::Error::Rpc { .. } => Trouble::new(
            format!("The call of {server}.{} was refused.", options.target.tool),
            "See what there is: agentopia tools",
        )
        .caused_by(&error),
        error => tools::refused(server, &error),
    })?;
    if json {
        print_json(&result);
    } else {
        let text = lines(&result.text());
        match &result.structured_content {
            Some(value) if text.is_empty() => put!("{value}"),
            _ => put!("{text}"),
        }
    }
    Ok(if result.is_error { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
