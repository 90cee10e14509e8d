use super::{follow, print_json};
use crate::{cli::Deploy, client::Client, home::Home, trouble::Trouble};
use protocol::toolbox::{Server, ServerCreate};
use std::process::ExitCode;

pub(super) async fn run(home: &Home, options: Deploy, json: bool) -> Result<ExitCode, Trouble> {
    let client = Client::connect(home).await?;
    let toolbox = follow::toolbox(home)?;
    let request = ServerCreate {
        name: options.name,
        source: options.source.0,
        args: options.args,
        env: options.env.into_iter().chain(options.header).collect(),
        secrets: options.secret,
        hosts: options.host,
    };
    let made: Server = client.post(&format!("/api/toolboxes/{toolbox}/servers"), &request).await?;
    let name = made.spec.name.clone();
    let good = options.no_wait || follow::until_settled(&client, toolbox, std::slice::from_ref(&name)).await?;
    let id = made.spec.id;
    let server: Server = client.get(&format!("/api/toolboxes/{toolbox}/servers/{id}")).await?;
    if json {
        print_json(&server);
    } else if good {
        for tool in server.status.tools.iter().flatten() {
            put!("{name}.{}", super::line(&tool.name));
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
