//! A row is good in its own place only. Each test reads before and after, so that it is the swap that is noticed.

use super::*;

fn is_alert<T>(result: &Result<T, Error<rows::Never>>) -> bool {
    matches!(result, Err(Error::Opening(_)))
}

#[tokio::test]
async fn two_credentials() {
    let (scene, owner) = (Scene::new(), UserId::new());
    let a = scene.store(owner, "A", "one").await.id;
    let b = scene.store(owner, "B", "two").await.id;
    assert!(scene.read(owner).await.is_ok());
    scene.rows.swap(a, b);
    assert!(is_alert(&scene.read(owner).await));
    scene.rows.swap(a, b);
    assert_eq!(scene.read(owner).await.expect("released"), ["one", "two"]);
}

#[tokio::test]
async fn two_versions() {
    let (scene, owner) = (Scene::new(), UserId::new());
    let a = scene.store(owner, "A", "one").await.id;
    let older = scene.rows.row(a);
    scene.store(owner, "A", "two").await;
    let newer = scene.rows.row(a);
    scene.rows.put_back(a, (older.0, older.1));
    assert!(is_alert(&scene.read(owner).await));
    scene.rows.put_back(a, newer);
    assert!(scene.read(owner).await.is_ok());
}

#[tokio::test]
async fn two_tenants() {
    let (scene, ann, bob) = (Scene::new(), UserId::new(), UserId::new());
    let a = scene.store(ann, "A", "one").await.id;
    let b = scene.store(bob, "A", "two").await.id;
    scene.rows.swap(a, b);
    assert!(is_alert(&scene.read(ann).await) && is_alert(&scene.read(bob).await));
    scene.rows.swap(a, b);
    assert!(scene.read(ann).await.is_ok());
    scene.rows.swap_tenant_keys(ann, bob);
    assert!(matches!(scene.read(ann).await, Err(Error::Wrap(WrapError::Opening))));
    scene.rows.swap_tenant_keys(ann, bob);
    assert!(scene.read(ann).await.is_ok() && scene.read(bob).await.is_ok());
}

#[tokio::test]
async fn a_stored_text_is_never_handed_out() {
    let (scene, owner) = (Scene::new(), UserId::new());
    let a = scene.store(owner, "A", "one").await.id;
    let (data_key, mut value) = scene.rows.row(a);
    value.ciphertext = b"plain text".to_vec();
    scene.rows.put_back(a, (data_key, value));
    assert!(is_alert(&scene.read(owner).await));
}

#[tokio::test]
async fn a_tenant_without_its_key_is_shredded_alone() {
    let (scene, ann, bob) = (Scene::new(), UserId::new(), UserId::new());
    scene.store(ann, "A", "one").await;
    scene.store(bob, "A", "two").await;
    scene.rows.shred(ann);
    assert!(is_alert(&scene.read(ann).await));
    assert_eq!(scene.read(bob).await.expect("released"), ["two"]);
}
