//! The README's promises: each row names the test that proves it, and that test is there.

use tests::{read, root};

/// The rows of the promises table: promise and test, as `path::test`.
fn promises() -> Vec<(String, String)> {
    let readme = read("README.md");
    let table = readme.split("## Promises").nth(1).expect("a section of promises");
    let table = table.split("\n## ").next().expect("its text");
    let rows = table.lines().filter(|line| line.starts_with("| ") && line.contains("::"));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
        (cells.next().expect("a promise"), cells.next().expect("a test"))
    })
    .collect()
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let promises = promises();
    assert!(promises.len() >= 12, "the table has only {} rows", promises.len());
    for (promise, test) in promises {
        let (file, name) = test.rsplit_once("::").unwrap_or_else(|| panic!("{promise}: {test}"));
        assert!(root().join(file).is_file(), "{promise}: there is no file {file}");
        let text = read(file);
        let at = text.find(&format!("fn {name}(")).unwrap_or_else(|| panic!("{promise}: no {name} in {file}"));
        let before = &text[..at];
        let attribute = before.rfind("#[").map(|from| &before[from..]).unwrap_or_default();
        let is_test = attribute.contains("test") || before.rfind("proptest!").is_some();
        assert!(is_test, "{promise}: {name} in {file} is not a test");
        assert!(!attribute.contains("ignore"), "{promise}: {name} in {file} is switched off");
    }
}
