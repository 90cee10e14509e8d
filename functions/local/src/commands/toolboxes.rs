use super::{line, print_json};
use crate::{cli::Toolboxes, client::Client, home::Home, trouble::Trouble};
use protocol::toolbox::{Toolbox, ToolboxCreate, ToolboxCreated};

pub(super) async fn run(home: &Home, command: Toolboxes, json: bool) -> Result<(), Trouble> {
    let client = Client::connect(home).await?;
    match command {
        Toolboxes::List => list(&client, json).await,
        Toolboxes::Create { name } => create(&client, ToolboxCreate { name, provision: None }, json).await,
        Toolboxes::Delete { id } => client.delete(&format!("/api/toolboxes/{id}")).await,
    }
}

async fn list(client: &Client, json: bool) -> Result<(), Trouble> {
    let toolboxes: Vec<Toolbox> = client.get("/api/toolboxes").await?;
    if json {
        print_json(&toolboxes);
        return Ok(());
    }
    for toolbox in toolboxes {
        let seen = toolbox.last_seen_at.map_or("never seen".to_owned(), |at| format!("last seen {at:.0}"));
        put!("{}  {:<20} {:<8} {seen}", toolbox.id, line(&toolbox.name), line(&toolbox.state));
        if let Some(trouble) = toolbox.trouble {
            put!("{:<38}{}", "", line(&trouble));
        }
    }
    Ok(())
}

async fn create(client: &Client, wanted: ToolboxCreate, json: bool) -> Result<(), Trouble> {
    let made: ToolboxCreated = client.post("/api/toolboxes", &wanted).await?;
    if json {
        print_json(&made);
        return Ok(());
    }
    eprintln!(
        "The enrolment token works once, within the hour. On a machine that reaches this address, with the token in a \
         file: install-dtma.sh --url {} --token-file FILE",
        client.url()
    );
    put!("{}", made.enrolment_token.unwrap_or_default());
    Ok(())
}
