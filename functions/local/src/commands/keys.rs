use super::{line, print_json};
use crate::{cli::Keys, client::Client, home::Home, trouble::Trouble};
use jiff::{SignedDuration, Timestamp};
use protocol::vault::{ApiKey, ApiKeyCreate, ApiKeyCreated};

pub(super) async fn run(home: &Home, command: Keys, json: bool) -> Result<(), Trouble> {
    let client = Client::connect(home).await?;
    match command {
        Keys::Create { name, days } => create(&client, name, days, json).await,
        Keys::List => list(&client, json).await,
        Keys::Delete { id } => client.delete(&format!("/api/vault/keys/{id}")).await,
    }
}

async fn create(client: &Client, name: String, days: Option<u16>, json: bool) -> Result<(), Trouble> {
    let expires_at = days.map(|days| Timestamp::now() + SignedDuration::from_hours(24 * i64::from(days)));
    let made: ApiKeyCreated = client.post("/api/vault/keys", &ApiKeyCreate { name, expires_at }).await?;
    if json {
        print_json(&made);
    } else {
        eprintln!("It acts as you, and is shown this once; `agentopia keys delete {}` ends it.", made.made.id);
        put!("{}", made.key);
    }
    Ok(())
}

async fn list(client: &Client, json: bool) -> Result<(), Trouble> {
    let keys: Vec<ApiKey> = client.get("/api/vault/keys").await?;
    if json {
        print_json(&keys);
        return Ok(());
    }
    if keys.is_empty() {
        put!("There is no API key. Make one: agentopia keys create NAME");
    }
    for key in keys {
        let until = key.expires_at.map_or("without an end".to_owned(), |at| format!("until {at:.0}"));
        let used = key.used_at.map_or("never used".to_owned(), |at| format!("last used {at:.0}"));
        put!("{}  {:<24} {until}, {used}", key.id, line(&key.name));
    }
    Ok(())
}
