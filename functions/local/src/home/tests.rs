use super::*;
use std::os::unix::fs::PermissionsExt;

fn home() -> (tempfile::TempDir, Home) {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::locate(Some(folder.path().join("home"))).unwrap();
    home.prepare().unwrap();
    (folder, home)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn keys_are_made_once_and_private() {
    let (_folder, home) = home();
    let first = keys::Keys::load_or_make(&home).unwrap();
    for name in ["vault.key", "capability.pk8", "accounts.pk8"] {
        assert_eq!(mode(&home.keys().join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&home.keys()), 0o700);
    let again = keys::Keys::load_or_make(&home).unwrap();
    assert_eq!(*first.capability, *again.capability);
    assert_eq!(*first.accounts, *again.accounts);
}

#[test]
fn an_open_key_is_closed_and_an_empty_one_refused() {
    let (_folder, home) = home();
    keys::Keys::load_or_make(&home).unwrap();
    let key = home.keys().join("accounts.pk8");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    keys::Keys::load_or_make(&home).unwrap();
    assert_eq!(mode(&key), 0o600);
    for name in ["accounts.pk8", "vault.key"] {
        let path = home.keys().join(name);
        let before = fs::read(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert!(keys::Keys::load_or_make(&home).is_err(), "{name}");
        assert_eq!(fs::read(&path).unwrap().len(), 0, "an empty key is not replaced behind the owner's back");
        fs::write(&path, before).unwrap();
    }
}

#[test]
fn the_owner_stays_the_same() {
    let (_folder, home) = home();
    let first = Owner::load_or_make(&home).unwrap();
    assert_eq!(mode(&home.path().join("owner.json")), 0o600);
    assert_eq!(first.password, Owner::load_or_make(&home).unwrap().password);
    assert!(first.password.len() >= 43);
}

#[test]
fn a_folder_that_was_there_can_be_passed_through_and_is_else_left() {
    for (before, after) in [(0o1777, 0o1777), (0o755, 0o755), (0o700, 0o711)] {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(before)).unwrap();
        let home = Home::locate(Some(folder.path().to_owned())).unwrap();
        home.prepare().unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o7777, after);
        assert_eq!(mode(&home.keys()), 0o700);
    }
}

#[test]
fn two_that_write_the_same_file_at_once_both_succeed() {
    let (_folder, home) = home();
    let path = home.run().join("session.json");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || (0..50).for_each(|_| write_json(path, &vec![writer; 1000]).unwrap()));
        }
    });
    let kept: Vec<u32> = read_json(&path).unwrap().unwrap();
    assert_eq!((kept.len(), mode(&path)), (1000, 0o600));
    assert_eq!(fs::read_dir(home.run()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn config_is_strict_and_comes_back() {
    let (_folder, home) = home();
    let mut config = Config::load(&home).unwrap();
    assert_eq!(config.port, 8787);
    config.gateway_port = Some(9787);
    config.save(&home).unwrap();
    assert_eq!(Config::load(&home).unwrap(), config);
    fs::write(home.path().join("config.json"), r#"{"port": 1, "prot": 2}"#).unwrap();
    let trouble = Config::load(&home).unwrap_err().to_string();
    assert!(trouble.contains("config.json") && trouble.contains("prot"), "{trouble}");
}

#[test]
fn one_process_has_the_lock() {
    let (_folder, home) = home();
    assert!(Instance::running(&home).unwrap().is_none());
    let lock = Lock::take(&home).unwrap().unwrap();
    assert!(Lock::take(&home).unwrap().is_none());
    let me = Instance {
        process: Process::of(std::process::id()).unwrap(),
        url: "http://127.0.0.1:1".into(),
        gateway: "http://127.0.0.1:2/mcp".into(),
        version: "0".into(),
        ready: false,
    };
    me.save(&home).unwrap();
    assert_eq!(Instance::running(&home).unwrap(), Some(me));
    assert!(Instance::required(&home).unwrap_err().to_string().contains("still starting"));
    drop(lock);
    assert!(Instance::running(&home).unwrap().is_none(), "a file without the lock says nothing");
    let trouble = Instance::required(&home).unwrap_err().to_string();
    assert!(trouble.contains("agentopia up"), "{trouble}");
}

#[tokio::test]
async fn a_process_is_known_by_more_than_its_number() {
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let process = Process::of(child.id()).unwrap();
    assert!(process.alive());
    let text = serde_json::to_string(&process).unwrap();
    let other: Process = serde_json::from_str(&text.replace("\"started\":", "\"started\":9")).unwrap();
    assert!(!other.alive(), "the same number, started at another time");
    assert!(other.stop(std::time::Duration::from_millis(10)).await);
    assert!(process.alive(), "and it is not ended for it");
    assert!(process.stop(std::time::Duration::from_secs(5)).await);
    child.wait().unwrap();
    assert!(!process.alive());
}

#[test]
fn the_vault_gets_another_key_beside_the_ones_that_it_has() {
    let (_folder, home) = home();
    let refused = keys::rotate_vault(&home).unwrap_err().to_string();
    assert!(refused.contains("no vault yet"), "{refused}");
    let current = || keys::Keys::load_or_make(&home).unwrap().vault.current();
    assert_eq!(current(), 1);
    assert_eq!(keys::rotate_vault(&home).unwrap(), 2);
    assert_eq!(current(), 2);
}
