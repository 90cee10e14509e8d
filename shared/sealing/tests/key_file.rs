//! The wrapping keys in a file.

use protocol::ids::UserId;
use sealing::{
    Key, KeyFile, KeyWrap,
    wrap::{Whose, WrapError},
};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};
use uuid::Uuid;

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vault.key");
    (folder, path)
}

fn whose() -> Whose {
    Whose { tenant: UserId::new(), key_id: Uuid::now_v7() }
}

#[tokio::test]
async fn a_wrapped_key_unwraps_for_its_tenant_only() {
    let (_folder, path) = place();
    let file = KeyFile::open_or_create(&path).expect("created");
    let (key, whose, other) = (Key::new([7; 32]), whose(), whose());
    let wrapped = file.wrap(&key, whose).await.expect("wrapped");
    assert_eq!(file.unwrap(&wrapped, whose).await.expect("unwrapped"), key);
    for other in [Whose { tenant: other.tenant, ..whose }, Whose { key_id: other.key_id, ..whose }] {
        assert!(matches!(file.unwrap(&wrapped, other).await, Err(WrapError::Opening)));
    }
}

#[tokio::test]
async fn a_rotated_file_reads_what_the_older_key_wrapped() {
    let (_folder, path) = place();
    let before = KeyFile::open_or_create(&path).expect("created");
    let (key, whose) = (Key::new([7; 32]), whose());
    let old = before.wrap(&key, whose).await.expect("wrapped");
    let after = KeyFile::rotate(&path).expect("rotated");
    assert_eq!((before.current(), after.current()), (1, 2));
    assert_eq!(after.unwrap(&old, whose).await.expect("unwrapped"), key);
    let new = after.wrap(&key, whose).await.expect("wrapped");
    assert_eq!(new.key, 2);
    assert!(matches!(before.unwrap(&new, whose).await, Err(WrapError::NoSuchKey(2))));
    let renamed = sealing::wrap::Wrapped { key: 2, ..old };
    assert!(matches!(after.unwrap(&renamed, whose).await, Err(WrapError::Opening)));
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let (_folder, path) = place();
    KeyFile::open_or_create(&path).expect("created");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    for mode in [0o640, 0o604, 0o660, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
        assert!(matches!(KeyFile::open(&path), Err(WrapError::OpenToOthers(_))), "{mode:o}");
        assert!(KeyFile::open_or_create(&path).is_err());
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
        assert!(KeyFile::open(&path).is_ok());
    }
}

#[test]
fn a_file_that_is_none_of_ours_is_refused_and_kept() {
    let (_folder, path) = place();
    assert!(matches!(KeyFile::open(&path), Err(WrapError::File(..))));
    for text in ["", "secret", "1 short\n", "x AAAA\n"] {
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        assert!(matches!(KeyFile::open_or_create(&path), Err(WrapError::Format(_))));
        assert_eq!(fs::read_to_string(&path).expect("there"), text);
    }
}

#[test]
fn two_creators_end_up_with_one_key() {
    let (_folder, path) = place();
    let texts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    KeyFile::open_or_create(&path).expect("created or opened");
                    fs::read_to_string(&path).expect("there")
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]));
}
