//! The rules of the house: who may depend on whom, and where a thing may be named.

use serde_json::Value;
use std::{collections::BTreeMap, path::Path, process::Command};
use tests::{files, root};

/// Direct dependencies of each member, those for tests apart.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let names = |package: &Value| -> Vec<String> {
        let all = package["dependencies"].as_array().expect("dependencies");
        let real = all.iter().filter(|d| d["kind"] != "dev");
        real.map(|d| d["name"].as_str().expect("a name").to_owned()).collect()
    };
    packages.iter().map(|p| (p["name"].as_str().expect("a name").to_owned(), names(p))).collect()
}

const FUNCTIONS: [&str; 6] = ["agents", "chat", "sweeper", "toolboxes", "tools", "vault"];

#[test]
fn no_function_depends_on_another_or_on_the_toolbox() {
    let all = dependencies();
    for function in FUNCTIONS {
        for dependency in &all[function] {
            assert!(!FUNCTIONS.contains(&dependency.as_str()), "{function} depends on the function {dependency}");
            assert!(dependency != "dtma" && dependency != "local", "{function} depends on {dependency}");
        }
    }
}

#[test]
fn the_toolbox_holds_no_part_of_the_control_plane() {
    for dependency in &dependencies()["dtma"] {
        let allowed = ["protocol", "domain", "capability", "sealing", "mcp", "runtime"];
        let ours =
            root().join("shared").join(dependency).is_dir() || root().join("functions").join(dependency).is_dir();
        assert!(!ours || allowed.contains(&dependency.as_str()), "dtma depends on {dependency}");
    }
}

#[test]
fn the_rules_are_pure() {
    let impure = ["tokio", "reqwest", "axum", "hyper", "http", "tokio-postgres", "postgrest", "bollard", "async-trait"];
    for member in ["protocol", "domain"] {
        for dependency in &dependencies()[member] {
            assert!(!impure.contains(&dependency.as_str()), "{member} depends on {dependency}");
            assert!(!dependency.starts_with("aws-"), "{member} depends on {dependency}");
        }
    }
}

#[test]
fn each_engine_has_one_door() {
    let doors: [(&str, &[&str]); 6] = [
        ("bollard", &["dtma"]),
        ("tokio-postgres", &["database"]),
        ("deadpool-postgres", &["database"]),
        ("postgrest", &["database"]),
        ("aws-sdk-dynamodb", &["ephemeral"]),
        ("lambda_http", &["edge", "agents", "chat", "sweeper", "toolboxes", "tools", "vault"]),
    ];
    for (member, dependencies) in dependencies() {
        for (engine, allowed) in doors {
            let named = dependencies.iter().any(|d| d == engine);
            assert!(!named || allowed.contains(&member.as_str()), "{member} depends on {engine}");
        }
    }
}

#[test]
fn only_the_docker_module_names_bollard() {
    let source = root().join("dtma/src");
    let door = source.join("docker");
    for file in files(&source, ".rs") {
        let text = std::fs::read_to_string(&file).expect("readable");
        assert!(file.starts_with(&door) || !text.contains("bollard::"), "{} names bollard", file.display());
    }
}

#[test]
fn a_dependency_has_its_version_in_one_place() {
    for manifest in files(&root(), "Cargo.toml").into_iter().filter(|m| m.parent() != Some(&root())) {
        let text = std::fs::read_to_string(&manifest).expect("readable");
        let sections =
            text.split("\n[").filter(|s| s.split(']').next().is_some_and(|head| head.ends_with("dependencies")));
        for line in sections.flat_map(|section| section.lines().skip(1)).filter(|line| line.contains('=')) {
            // A crate's own tests may switch on a feature of the crate itself.
            let shared = line.contains("workspace = true") || line.contains("path = \".\"");
            assert!(shared, "{} has a version of its own: {line}", manifest.display());
        }
    }
}

#[test]
fn a_file_is_not_scrolled_for_minutes() {
    let mut all: Vec<(usize, String)> = ["shared", "functions", "dtma", "tests"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), ".rs"))
        .map(|file| (std::fs::read_to_string(&file).expect("readable").lines().count(), relative(&file)))
        .collect();
    all.sort();
    for (lines, file) in &all {
        assert!(*lines <= 500, "{file} has {lines} lines");
    }
}

fn relative(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}
