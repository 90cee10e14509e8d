//! Builds the containers' init, which the daemon carries in itself: one file to install, sign and update.

use std::{env, path::PathBuf, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=init");
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let out = PathBuf::from(variable("OUT_DIR")).join("init");
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args(["--edition", "2024", "--crate-name", "agentopia_init", "--target", &variable("TARGET")]);
    for option in
        ["opt-level=s", "panic=abort", "strip=symbols", "lto=fat", "codegen-units=1", "target-feature=+crt-static"]
    {
        rustc.args(["-C", option]);
    }
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.args(["-C", &format!("linker={linker}")]);
    }
    let status = rustc.arg("-o").arg(&out).arg("init/main.rs").status().expect("rustc runs");
    assert!(status.success(), "the containers' init could not be built");
}
