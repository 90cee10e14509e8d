use super::print_json;
use crate::{
    client::Client,
    home::{Config, Home},
    trouble::Trouble,
};
use protocol::{
    capability::{CapabilityReply, CapabilityRequest},
    ids::AgentId,
};

pub(super) async fn run(home: &Home, agent: Option<AgentId>, json: bool) -> Result<(), Trouble> {
    let reply = get(&Client::connect(home).await?, home, agent).await?;
    if json {
        print_json(&reply);
    } else {
        put!("{}", reply.capability);
    }
    Ok(())
}

/// A capability at this machine's toolbox.
pub(super) async fn get(client: &Client, home: &Home, agent: Option<AgentId>) -> Result<CapabilityReply, Trouble> {
    let request = CapabilityRequest { agent_id: agent, toolbox_id: Config::load(home)?.toolbox_id, run_id: None };
    client.post("/api/capabilities", &request).await
}
