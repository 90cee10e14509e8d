use super::{line, print_json};
use crate::{client::Client, home::Home, steps::Step, trouble::Trouble};
use protocol::{
    catalog::{Import, ImportRequest, ImportState, SearchReply},
    ids::ImportId,
};
use std::{process::ExitCode, time::Duration};

pub(super) async fn search(home: &Home, text: &str, limit: u16, json: bool) -> Result<(), Trouble> {
    let client = Client::connect(home).await?;
    let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let reply: SearchReply = client.get(&format!("/api/catalog/search?q={query}&limit={limit}")).await?;
    if json {
        print_json(&reply);
        return Ok(());
    }
    if reply.no_match || reply.servers.is_empty() {
        put!("Nothing in the catalog does this.");
        return Ok(());
    }
    for need in &reply.needs {
        if reply.needs.len() > 1 {
            put!("{}", line(need));
        }
        for found in reply.servers.iter().filter(|found| found.need == *need) {
            put!("  {:>3.0} %  {}", found.confidence * 100.0, line(&found.name));
            put!("         {}", line(&found.description));
            put!("         {}", line(&found.why));
        }
    }
    Ok(())
}

pub(crate) async fn import(home: &Home, url: Option<String>, full: bool, json: bool) -> Result<ExitCode, Trouble> {
    let client = Client::connect(home).await?;
    let begun: Import = client.post("/api/catalog/import", &ImportRequest { url, full }).await?;
    let step = Step::start(format!("importing {}", line(&begun.url)));
    let import = follow(&client, begun.id, &step).await?;
    if import.state == ImportState::Failed {
        step.failed();
        let why = import.detail.as_deref().unwrap_or("the registry gave no reason");
        return Err(Trouble::new(
            format!("The import stopped after {} pages; what it read is kept.", import.pages),
            "Run the same command again: it goes on where it stopped.",
        )
        .because(line(why)));
    }
    step.done();
    if json {
        print_json(&import);
        return Ok(ExitCode::SUCCESS);
    }
    put!(
        "{} new or changed, {} as before, {} removed, {} skipped; {} servers in the catalog",
        import.imported,
        import.unchanged,
        import.removed,
        import.skipped,
        import.servers
    );
    for skipped in &import.report {
        eprintln!("  skipped {}: {}", line(&skipped.name), line(&skipped.reason));
    }
    Ok(ExitCode::SUCCESS)
}

/// Looks until it has ended and everything that it brought can be found by meaning.
async fn follow(client: &Client, id: ImportId, step: &Step) -> Result<Import, Trouble> {
    let (mut before, mut unmoved) = (None, 0);
    loop {
        let import: Import = client.get(&format!("/api/catalog/imports/{id}")).await?;
        step.note(&format!(
            "{} pages, {} of {} servers searchable by meaning",
            import.pages, import.embedded, import.servers
        ));
        let indexed = import.embedded >= import.servers;
        // Vectors that cannot be made must not hold up a person who has the entries already.
        let now = (import.pages, import.embedded);
        unmoved = if before == Some(now) { unmoved + 1 } else { 0 };
        before = Some(now);
        match import.state {
            ImportState::Failed => return Ok(import),
            ImportState::Complete if indexed || unmoved > 60 => return Ok(import),
            _ => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}
