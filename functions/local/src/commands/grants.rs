use super::{line, print_json};
use crate::{client::Client, home::Home, trouble::Trouble};
use protocol::{
    agent::Agent,
    grant::{Grant, GrantState},
};

pub(super) async fn run(home: &Home, json: bool) -> Result<(), Trouble> {
    let client = Client::connect(home).await?;
    let grants: Vec<Grant> = client.get("/api/grants").await?;
    if json {
        print_json(&grants);
        return Ok(());
    }
    if grants.is_empty() {
        put!("No agent may call anything yet. Deploy a server, or say what you want: agentopia chat \"…\"");
        return Ok(());
    }
    let agents: Vec<Agent> = client.get("/api/agents").await?;
    for grant in grants {
        let agent = agents.iter().find(|agent| agent.id == grant.agent_id);
        let name = agent.map_or_else(|| grant.agent_id.to_string(), |agent| line(&agent.name));
        let until = grant.expires_at.map_or("as long as the agent exists".to_owned(), |at| format!("until {at:.0}"));
        put!(
            "{name:<20} {:<40} {:<8} {until}: {}",
            format!("{}.{}", grant.server, line(&grant.tool)),
            state(grant.state),
            line(&grant.why)
        );
    }
    Ok(())
}

fn state(state: GrantState) -> &'static str {
    match state {
        GrantState::Waiting => "waiting",
        GrantState::Active => "active",
        GrantState::Denied => "denied",
        GrantState::Expired => "expired",
        GrantState::Revoked => "revoked",
    }
}
