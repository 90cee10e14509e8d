use super::print_json;
use crate::{
    home::{Home, Instance, keys},
    trouble::Trouble,
};

pub(super) fn rotate(home: &Home, json: bool) -> Result<(), Trouble> {
    let number = keys::rotate_vault(home)?;
    let running = Instance::running(home)?.is_some();
    if json {
        print_json(&serde_json::json!({"key": number, "restart": running}));
        return Ok(());
    }
    put!(
        "The vault has key number {number}. The older ones stay in the file, to read what they wrapped: keep a backup of it."
    );
    if running {
        eprintln!("What runs uses it after: agentopia down && agentopia up --detach");
    }
    Ok(())
}
