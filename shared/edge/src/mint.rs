//! A capability for one agent at one toolbox, from its live grants.

use crate::Error;
use capability::{Bearer, MintError, Minter};
use database::{Caller, Database};
use protocol::{capability::CapabilityRequest, ids::ToolboxId};

/// A capability, and where it is good. It has no `Debug`: the token is a secret.
pub struct Minted {
    pub token: String,
    /// Seconds since the epoch.
    pub expires_at: i64,
    pub toolbox: ToolboxId,
    pub gateway: String,
}

/// One round trip: the database says what the caller's agent may do, and that is signed.
pub async fn capability(
    database: &Database,
    minter: &Minter,
    caller: &Caller,
    request: &CapabilityRequest,
) -> Result<Minted, Error> {
    let issued = database.capability_issue(caller, request).await?;
    let bearer = Bearer {
        toolbox: issued.toolbox_id,
        owner: issued.owner,
        agent: issued.agent_id,
        run: request.run_id,
        epoch: issued.epoch,
    };
    let claims = bearer.claims(issued.tools, issued.now, Some(issued.expires_at)).map_err(refused)?;
    let token = minter.mint(&claims).map_err(refused)?;
    Ok(Minted { token, expires_at: claims.exp, toolbox: issued.toolbox_id, gateway: issued.gateway })
}

fn refused(error: MintError) -> Error {
    match error {
        MintError::TooLarge(_) => Error::conflict(
            "This agent may call more tools than one capability can carry.",
            "Use an agent with fewer servers, or take grants away with DELETE /api/grants/{id}.",
        ),
        // A grant that ends within this second.
        MintError::Life => Error::conflict("One of the agent's grants is just ending.", "Ask again in a second."),
        error => Error::internal(error),
    }
}
