use super::{line, print_json};
use crate::{client::Client, home::Home, steps::Step, trouble::Trouble};
use protocol::catalog::{ImportRequest, SearchReply};
use serde_json::Value;

pub(super) async fn search(home: &Home, text: &str, limit: u16, json: bool) -> Result<(), Trouble> {
    let client = Client::connect(home).await?;
    let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let reply: SearchReply = client.get(&format!("/api/catalog/search?q={query}&limit={limit}")).await?;
    if json {
        print_json(&reply);
        return Ok(());
    }
    if reply.no_match || reply.servers.is_empty() {
        println!("Nothing in the catalog does this.");
        return Ok(());
    }
    for need in &reply.needs {
        if reply.needs.len() > 1 {
            println!("{}", line(need));
        }
        for found in reply.servers.iter().filter(|found| found.need == *need) {
            println!("  {:>3.0} %  {}", found.confidence * 100.0, line(&found.name));
            println!("         {}", line(&found.description));
            println!("         {}", line(&found.why));
        }
    }
    Ok(())
}

pub(super) async fn import(home: &Home, url: Option<String>, full: bool, json: bool) -> Result<(), Trouble> {
    let client = Client::connect(home).await?;
    let step = Step::start("importing the catalog");
    let reply = client.post::<Value>("/api/catalog/import", &ImportRequest { url, full }).await;
    match reply {
        Ok(reply) => {
            step.done();
            print_json(&reply);
            let _ = json;
            Ok(())
        }
        Err(trouble) => {
            step.failed();
            Err(trouble)
        }
    }
}
