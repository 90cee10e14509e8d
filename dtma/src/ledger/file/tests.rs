use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Content = BTreeMap<String, u64>;

fn document() -> (tempfile::TempDir, Document<Content>) {
    let folder = tempfile::tempdir().unwrap();
    let document = Document::new(folder.path(), "numbers");
    (folder, document)
}

fn content() -> Content {
    [("one".to_owned(), 1), ("two".to_owned(), 2)].into()
}

#[test]
fn what_is_stored_is_loaded() {
    let (_folder, document) = document();
    assert!(document.load().unwrap().is_none());
    document.store(&content()).unwrap();
    assert_eq!(document.load().unwrap(), Some(content()));
}

#[test]
fn a_torn_file_is_put_aside_and_not_fatal() {
    let (folder, document) = document();
    document.store(&content()).unwrap();
    let bytes = fs::read(document.path()).unwrap();
    fs::write(document.path(), &bytes[..bytes.len() - 3]).unwrap();
    assert_eq!(document.load().unwrap(), None);
    assert!(folder.path().join("numbers.damaged").exists());
    assert!(!document.path().exists());
}

#[test]
fn another_version_kind_or_shape_is_named() {
    let (_folder, document) = document();
    let body = br#"{"one":1}"#;
    let line = |version: &str, kind: &str, body: &[u8]| {
        [format!("agentopia-ledger {version} {kind} {}\n", digest(body)).as_bytes(), body].concat()
    };
    assert!(document.decode(&line("1", "numbers", body)).is_ok());
    assert_eq!(document.decode(&line("2", "numbers", body)), Err(Damage::Version("2".into())));
    assert_eq!(document.decode(&line("1", "desired", body)), Err(Damage::Header));
    assert_eq!(document.decode(&line("1", "numbers", b"[]")), Err(Damage::Shape));
    assert_eq!(document.decode(b"{}"), Err(Damage::Header));
}

#[test]
fn only_the_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, document) = document();
    document.store(&content()).unwrap();
    assert_eq!(fs::metadata(document.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

proptest! {
    #[test]
    fn no_cut_and_no_changed_byte_is_taken_for_good(at in 0usize..10_000, flip in 1u8..=255, cut: bool) {
        let (_folder, document) = document();
        document.store(&content()).unwrap();
        let mut bytes = fs::read(document.path()).unwrap();
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
        prop_assert!(document.decode(&bytes).is_err());
    }
}
