use super::*;

#[tokio::test]
async fn rotating_the_wrapping_key_fails_no_request() {
    let scene = Scene::new();
    let owners = [(); 5].map(|()| UserId::new());
    for owner in owners {
        scene.store(owner, "A", "one").await;
    }
    let before = scene.vault();
    KeyFile::rotate(&scene.path).expect("rotated");
    // A process that started before does not know the new key and goes on with the old.
    assert_eq!(before.rewrap(10).await.expect("nothing to do"), Rewrapped { done: 0, complete: true });
    for owner in owners {
        assert_eq!(scene.read(owner).await.expect("released"), ["one"]);
    }
    assert_eq!(scene.rows.wrapped_by(owners[0]), 2);
}

#[tokio::test]
async fn the_minimum_rises_when_nothing_is_left_below() {
    let scene = Scene::new();
    let owners = [(); 5].map(|()| UserId::new());
    for owner in owners {
        scene.store(owner, "A", "one").await;
    }
    let old = scene.rows.tenant_key(owners[0]);
    KeyFile::rotate(&scene.path).expect("rotated");
    let vault = scene.vault();
    assert_eq!(vault.rewrap(3).await.expect("some"), Rewrapped { done: 3, complete: false });
    assert_eq!(vault.rewrap(3).await.expect("rest"), Rewrapped { done: 2, complete: false });
    assert_eq!(vault.rewrap(3).await.expect("none"), Rewrapped { done: 0, complete: true });
    assert!(scene.read(owners[0]).await.is_ok());
    scene.rows.put_tenant_key(old);
    assert!(matches!(scene.read(owners[0]).await, Err(Error::Retired)));
}

#[tokio::test]
async fn one_that_cannot_be_read_holds_up_no_other() {
    let (scene, strange) = (Scene::new(), Scene::new());
    let owners = [(); 3].map(|()| UserId::new());
    for owner in owners {
        scene.store(owner, "A", "one").await;
    }
    // Wrapped by a key that this vault never had.
    strange.store(owners[1], "A", "other").await;
    scene.rows.put_tenant_key(strange.rows.tenant_key(owners[1]));
    KeyFile::rotate(&scene.path).expect("rotated");
    assert_eq!(scene.vault().rewrap(10).await.expect("the rest"), Rewrapped { done: 2, complete: false });
}

#[tokio::test]
async fn without_its_key_file_nothing_opens() {
    let (scene, owner) = (Scene::new(), UserId::new());
    scene.store(owner, "A", "one").await;
    std::fs::remove_file(&scene.path).expect("removed");
    KeyFile::open_or_create(&scene.path).expect("another");
    assert!(matches!(scene.read(owner).await, Err(Error::Wrap(WrapError::Opening))));
}
