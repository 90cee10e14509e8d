//! Over rows in memory, which a test can change as somebody with the database in hand could.

mod rotation;
mod rows;
mod swapped;

use super::*;
use crate::wrap::KeyFile;
use protocol::vault::Credential;
use rows::Rows;
use std::path::PathBuf;

struct Scene {
    /// Goes with the scene.
    _folder: tempfile::TempDir,
    path: PathBuf,
    rows: Rows,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("vault.key");
        KeyFile::open_or_create(&path).expect("created");
        Self { _folder: folder, path, rows: Rows::default() }
    }

    /// The vault as a process sees it that starts now.
    fn vault(&self) -> Vault<Rows> {
        Vault::new(self.rows.clone(), Arc::new(KeyFile::open(&self.path).expect("the file")))
    }

    async fn store(&self, owner: UserId, key: &str, value: &str) -> Credential {
        let value = Secret::new(value.into());
        self.vault().store(&owner, "io.example/server", key, &value, None).await.expect("stored")
    }

    async fn read(&self, owner: UserId) -> Result<Vec<String>, Error<rows::Never>> {
        let release = self.vault().release(&owner, ServerId::new()).await?;
        Ok(release.credentials.iter().map(|plain| plain.value.expose().to_owned()).collect())
    }
}

#[tokio::test]
async fn what_is_stored_comes_out_again() {
    let (scene, owner) = (Scene::new(), UserId::new());
    let first = scene.store(owner, "A", "one").await;
    let second = scene.store(owner, "A", "two").await;
    assert_eq!((first.id, first.version, second.version), (second.id, 1, 2));
    scene.store(owner, "B", "three").await;
    assert_eq!(scene.read(owner).await.expect("released"), ["two", "three"]);
    let rotated = scene.vault().rotate(&owner, first.id, &Secret::new("four".into())).await.expect("rotated");
    assert_eq!(rotated.version, 3);
    assert_eq!(scene.read(owner).await.expect("released"), ["four", "three"]);
}

#[tokio::test]
async fn no_row_holds_a_value() {
    let (scene, owner) = (Scene::new(), UserId::new());
    scene.store(owner, "A", "correct horse battery staple").await;
    assert!(!scene.rows.dump().contains("horse"));
    assert!(scene.rows.dump().contains("ciphertext"));
}

#[tokio::test]
async fn a_value_has_a_size() {
    let (scene, owner) = (Scene::new(), UserId::new());
    for (length, fits) in [(0, false), (1, true), (MAX_VALUE, true), (MAX_VALUE + 1, false)] {
        let value = Secret::new("a".repeat(length));
        let stored = scene.vault().store(&owner, "s", "k", &value, None).await;
        assert_eq!(stored.is_ok(), fits, "{length}");
    }
}

#[tokio::test]
async fn an_expired_value_is_missing() {
    let (scene, owner) = (Scene::new(), UserId::new());
    let value = Secret::new("short".into());
    for (end, expected) in [(Timestamp::now(), 0), (Timestamp::MAX, 1)] {
        scene.vault().store(&owner, "s", "k", &value, Some(end)).await.expect("stored");
        let release = scene.vault().release(&owner, ServerId::new()).await.expect("released");
        assert_eq!((release.credentials.len(), release.missing.len()), (expected, 1 - expected));
    }
}

#[tokio::test]
async fn a_faster_writer_is_not_overwritten() {
    let (scene, owner) = (Scene::new(), UserId::new());
    scene.store(owner, "A", "one").await;
    scene.rows.lose_next(2);
    assert_eq!(scene.store(owner, "A", "two").await.version, 2);
    scene.rows.lose_next(ATTEMPTS);
    let lost = scene.vault().store(&owner, "io.example/server", "A", &Secret::new("x".into()), None).await;
    assert!(matches!(lost, Err(Error::Busy)));
}
