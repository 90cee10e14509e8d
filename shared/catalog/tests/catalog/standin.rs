//! The stand-in registry with its faults, where it is present: `AGENTOPIA_REGISTRY` names its folder, or it lies beside this
//! repository in `shared/registry`.

use crate::double::{Letters, quick};
use catalog::import::Importer;
use database::Caller;
use protocol::catalog::ImportState;
use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

struct StandIn(Child);

impl Drop for StandIn {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/registry");
    let folder = env::var_os("AGENTOPIA_REGISTRY").map_or(beside, PathBuf::from);
    folder.join("serve.py").is_file().then_some(folder)
}

async fn serve(arguments: &[&str]) -> Option<(StandIn, String)> {
    let Some(folder) = folder() else {
        eprintln!("SKIPPED: no stand-in registry; set AGENTOPIA_REGISTRY to the folder with serve.py");
        return None;
    };
    let port_file = env::temp_dir().join(format!("agentopia-registry-{}", Uuid::new_v4()));
    let child = Command::new("python3")
        .arg(folder.join("serve.py"))
        .args(["--port", "0", "--port-file"])
        .arg(&port_file)
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .expect("python3 runs");
    let child = StandIn(child);
    let deadline = Instant::now() + Duration::from_secs(60);
    let port = loop {
        match std::fs::read_to_string(&port_file) {
            Ok(port) if port.trim().parse::<u16>().is_ok() => break port,
            _ => assert!(Instant::now() < deadline, "the stand-in does not start"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    std::fs::remove_file(&port_file).ok();
    Some((child, format!("http://127.0.0.1:{}", port.trim())))
}

#[tokio::test]
async fn a_registry_with_every_fault_is_imported_whole() {
    let faults = "500=0.05,429=0.1:0,slow=0.02:0.2,malformed=0.02,truncate=0.03,drop=0.03,html=0.03,loop=0.03,first=2";
    let Some((_standin, url)) = serve(&["--limit-servers", "1500", "--faults", faults, "--seed", "7"]).await else {
        return;
    };
    let db = testkit::database().await;
    let importer = Importer::new(db.database.clone(), Arc::new(Letters));
    let registry = quick(&url);
    let worker = Uuid::new_v4();
    let begun = db.database.catalog_import_begin(&Caller::service(), registry.url(), false, worker).await.unwrap();
    let done = importer.run(&registry, begun, worker).await.unwrap();
    assert_eq!(done.state, ImportState::Complete);
    assert!(done.imported + done.skipped >= 1_500, "{done:?}");
    assert!(done.skipped > 0 && done.skipped < 90, "{done:?}");
    assert!(done.report.iter().all(|one| !one.reason.is_empty()));
}

#[tokio::test]
async fn the_official_metadata_is_enough() {
    let Some((_standin, url)) = serve(&["--limit-servers", "400", "--official-meta"]).await else { return };
    let db = testkit::database().await;
    let importer = Importer::new(db.database.clone(), Arc::new(Letters));
    let registry = quick(&url);
    let worker = Uuid::new_v4();
    let begun = db.database.catalog_import_begin(&Caller::service(), registry.url(), false, worker).await.unwrap();
    let done = importer.run(&registry, begun, worker).await.unwrap();
    assert_eq!((done.state, done.imported, done.skipped), (ImportState::Complete, 400, 0));
}
