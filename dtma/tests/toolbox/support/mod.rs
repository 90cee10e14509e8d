//! A hand-written control plane and a real `dtma` beside it, with real Docker. Cleans up what it made, by label.

mod engine;
mod plane;
mod toolbox;

pub(crate) use engine::Engine;
pub(crate) use plane::{Inner, Plane};
pub(crate) use toolbox::Toolbox;

use protocol::{
    ids::ServerId,
    server::{ServerSpec, Source},
};
use std::process::Command;

/// False, loudly, where Docker or the runner images are not.
pub(crate) fn docker() -> bool {
    let ready = ["agentopia/mcp-node", "agentopia/mcp-python"].iter().all(|image| {
        Command::new("docker").args(["image", "inspect", image]).output().is_ok_and(|output| output.status.success())
    });
    if !ready {
        eprintln!("SKIPPED: Docker does not answer or the runner images are missing (scripts/build-images)");
    }
    ready
}

/// A control plane and a toolbox that has checked in with it; none where there is no Docker.
pub(crate) async fn running() -> Option<(Plane, Toolbox)> {
    if !docker() {
        return None;
    }
    let plane = Plane::start().await;
    let mut toolbox = Toolbox::enrolled(&plane);
    toolbox.run();
    plane.until_checked_in(0).await;
    Some((plane, toolbox))
}

pub(crate) fn sh(command: &str, args: &[&str]) -> String {
    let output = Command::new(command).args(args).output().unwrap();
    assert!(output.status.success(), "{command} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn spec(name: &str, source: Source) -> ServerSpec {
    ServerSpec {
        id: ServerId::new(),
        name: name.into(),
        source,
        args: vec![],
        env: Default::default(),
        secrets: vec![],
        hosts: vec![],
        revision: 0,
    }
}

pub(crate) fn npx(name: &str, package: &str) -> ServerSpec {
    spec(name, Source::Npx { package: package.into(), version: None })
}

pub(crate) fn uvx(name: &str, package: &str) -> ServerSpec {
    spec(name, Source::Uvx { package: package.into(), version: None })
}

pub(crate) fn memory() -> ServerSpec {
    let mut spec = npx("memory", "@modelcontextprotocol/server-memory");
    spec.env.insert("MEMORY_FILE_PATH".into(), "/data/memory.json".into());
    spec
}

/// A small MCP server for the runner image, whose first argument says how it behaves.
const SERVER: &str = include_str!("server.js");

/// That server, as an image that is present on the machine.
pub(crate) fn scripted(name: &str, behaviour: &str) -> ServerSpec {
    let mut spec = spec(name, Source::Oci { image: "agentopia/mcp-node".into() });
    spec.args = ["node", "-e", SERVER, "--", behaviour].map(str::to_owned).to_vec();
    spec
}
