//! `POST /api/agents/create`.

mod describe;

use crate::{State, config, config::Parsed, entries::Entries};
use axum::{Json, extract::State as From};
use database::{
    Caller,
    agent::{MadeAgent, NewAgent},
    server::Wanted,
    toolbox::Reachable,
};
use edge::{Error, User};
use http::StatusCode;
use protocol::agent::{AgentCreate, AgentCreated};

const SERVERS: usize = 30;
const PROMPT: usize = 20_000;

/// One server of the configuration: what it is called there, and what it is.
pub(crate) struct Named {
    pub name: String,
    pub parsed: Parsed,
}

pub(crate) async fn create(
    user: User,
    From(state): From<State>,
    edge::Json(request): edge::Json<AgentCreate>,
) -> Result<(StatusCode, Json<AgentCreated>), Error> {
    let caller = user.caller();
    let mut servers = read(&request)?;
    let sources = servers.iter().map(|server| &server.parsed.source);
    let entries = Entries::find(&state.edge.database, &caller, sources).await?;
    for server in &mut servers {
        entries.correct(&mut server.parsed);
        check(server)?;
    }
    let agent = NewAgent {
        servers: wanted(&servers, &entries),
        toolbox_id: request.toolbox_id,
        ..describe::agent(&request, &servers, &entries)
    };
    let made = state.edge.database.agent_create(&caller, &agent).await?;
    if let Err(error) = keep(&state, &caller, &servers, &agent, &made).await {
        // Without its secrets it would only ever fail.
        state.edge.database.agent_delete(&caller, made.agent_id).await?;
        return Err(error);
    }
    if let Some(gateway) = made.gateway.clone() {
        state.tell(&[Reachable { id: made.toolbox_id, gateway }]).await;
    }
    let names: Vec<_> = made.servers.iter().map(|server| server.name.as_str()).collect();
    let message = format!("The agent was made; its servers are being started: {}.", names.join(", "));
    Ok((StatusCode::CREATED, Json(AgentCreated { status: "ok".to_owned(), agent_id: made.agent_id, message })))
}

fn read(request: &AgentCreate) -> Result<Vec<Named>, Error> {
    let configured = &request.mcp_config.mcp_servers;
    if !(1..=SERVERS).contains(&configured.len()) {
        return Err(Error::invalid("An agent has 1 to 30 servers.", "Put them under mcp_config.mcpServers."));
    }
    if request.user_prompt.len() > PROMPT || request.user_prompt.contains('\0') {
        return Err(Error::invalid("The user's prompt is too long, or not text.", "Send up to 20,000 bytes of text."));
    }
    let parse = |(name, config): (&String, &protocol::agent::McpServerConfig)| {
        let parsed = config::parse(config).map_err(|refusal| refused(name, &refusal))?;
        Ok(Named { name: name.clone(), parsed })
    };
    configured.iter().map(parse).collect()
}

fn check(server: &mut Named) -> Result<(), Error> {
    let Parsed { source, args, env, secrets, .. } = &server.parsed;
    let fitted =
        domain::desired::fit(source, args, env, secrets, &[]).map_err(|unfit| refused(&server.name, &unfit))?;
    server.parsed.source = fitted;
    Ok(())
}

fn refused(name: &str, why: &dyn std::fmt::Display) -> Error {
    let name = domain::names::inline(name, 60);
    Error::invalid(
        format!("The server {name} cannot be taken over: {why}."),
        "Write it as npx PACKAGE, uvx PACKAGE or docker run IMAGE, with its settings in env.",
    )
}

fn wanted(servers: &[Named], entries: &Entries) -> Vec<Wanted> {
    let one = |Named { name, parsed }: &Named| Wanted {
        name: Some(domain::names::server_slug(name)),
        suggested: domain::desired::name(&parsed.source),
        catalog_name: entries.get(&parsed.source).map(|entry| entry.name.clone()),
        source: parsed.source.clone(),
        pinned: parsed.source.is_pinned(),
        args: parsed.args.clone(),
        env: parsed.env.clone(),
        secrets: parsed.secrets.clone(),
        hosts: entries.hosts(&parsed.source),
    };
    servers.iter().map(one).collect()
}

/// The values into the vault, under the name that the toolbox will ask by.
async fn keep(
    state: &State,
    caller: &Caller,
    servers: &[Named],
    agent: &NewAgent,
    made: &MadeAgent,
) -> Result<(), Error> {
    for ((server, wanted), made) in servers.iter().zip(&agent.servers).zip(&made.servers) {
        let owner = wanted.catalog_name.as_ref().unwrap_or(&made.name);
        for (key, value) in &server.parsed.values {
            state.vault.store(caller, owner, key, value, None).await.map_err(|error| match error {
                sealing::vault::Error::Store(error) => error.into(),
                sealing::vault::Error::Size => {
                    Error::invalid(format!("The value of {key} is larger than 64 KiB."), "Send a shorter one.")
                }
                sealing::vault::Error::Busy => {
                    Error::conflict("The same credential is being changed elsewhere.", "Try again.")
                }
                error => Error::internal(error),
            })?;
        }
    }
    Ok(())
}
