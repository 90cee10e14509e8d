//! The labels that say whose a thing is. They are the truth: a daemon without a ledger finds its containers by them.

use protocol::ids::{ServerId, ToolboxId};
use std::collections::HashMap;

/// On every container, network and volume: the toolbox that made it.
pub const TOOLBOX: &str = "agentopia.toolbox";
pub const SERVER: &str = "agentopia.server";
pub const NAME: &str = "agentopia.name";
pub const SPEC: &str = "agentopia.spec-digest";
pub const REVISION: &str = "agentopia.revision";
/// The version or digest that was resolved for it.
pub const PINNED: &str = "agentopia.pinned";
/// The [`super::RECIPE`] that the container was made by.
pub const RECIPE: &str = "agentopia.recipe";
/// On a throw-away container: the toolbox that made it. Another label than [`TOOLBOX`], because Docker copies a container's
/// labels to the image that is made of it, and from there to every container.
pub const INSTALL: &str = "agentopia.install";

/// On a server's container: the memory that it may use, in bytes.
pub const MEMORY: &str = "agentopia.memory";

/// On an image with a package: what it holds and how it is started, as JSON.
pub const PACKAGE: &str = "agentopia.package";
/// On the same image: which package it is a version of.
pub const PACKAGE_KEY: &str = "agentopia.package-key";
/// The one repository whose images are packages. An image that somebody else made may carry our labels; it has another name.
pub const PACKAGES: &str = "agentopia-pkg";

pub fn of_toolbox(toolbox: ToolboxId) -> HashMap<String, String> {
    [(TOOLBOX.to_owned(), toolbox.to_string())].into()
}

pub fn of_server(toolbox: ToolboxId, server: ServerId) -> HashMap<String, String> {
    let mut labels = of_toolbox(toolbox);
    labels.insert(SERVER.into(), server.to_string());
    labels
}

/// A name that a throw-away container can have. An image may bring labels along, never a name: so a server from an image that
/// claims to be an installer is none.
pub fn throw_away() -> String {
    format!("{THROW_AWAY}{}", uuid::Uuid::now_v7().simple())
}

pub const THROW_AWAY: &str = "agentopia-install-";

/// How every name of ours begins.
pub(super) const STEM: &str = "agentopia-";

/// The one name that a server's container, network or volume can have: Docker itself refuses a second one.
pub fn name(toolbox: ToolboxId, server: ServerId) -> String {
    format!("{}{server}", stem(toolbox))
}

/// The server of that toolbox whose name it is.
pub fn server(toolbox: ToolboxId, name: &str) -> Option<ServerId> {
    name.strip_prefix(&stem(toolbox))?.parse().ok()
}

fn stem(toolbox: ToolboxId) -> String {
    let toolbox = toolbox.to_string().replace('-', "");
    // The end of a version 7 id is its random part.
    format!("{STEM}{}-", &toolbox[toolbox.len() - 8..])
}
