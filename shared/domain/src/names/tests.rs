use super::*;
use proptest::prelude::*;

#[test]
fn well_known_names_are_short() {
    for (identifier, slug) in [
        ("io.modelcontextprotocol/time", "time"),
        ("@modelcontextprotocol/server-memory", "memory"),
        ("mcp-server-github", "github"),
        ("linear-mcp-server", "linear"),
        ("io.github.github/github-mcp-server", "github"),
        ("io.github.modelcontextprotocol/SQLite", "sqlite"),
        ("io.github.modelcontextprotocol/everything-latest", "everything"),
        ("io.github.modelcontextprotocol/server-postgres", "postgres"),
        ("@modelcontextprotocol/server-sequential-thinking", "sequential-thinking"),
        ("io.github.florentine-ai/mcp", "florentine-ai"),
        ("@cloudflare/mcp-server-cloudflare", "cloudflare"),
        ("ghcr.io/stacklok/dockyard/npx/magic-mcp:0.1.0", "magic"),
        ("mcp_server_fetch", "fetch"),
        ("duckduckgo-mcp-server@1.2.3", "duckduckgo"),
    ] {
        assert_eq!(server_slug(identifier), slug, "{identifier}");
    }
}

#[test]
fn a_reserved_or_empty_name_is_never_given() {
    for identifier in
        ["wake", "x/need_more_tools", "call_tool", "mcp/tools", "", "///", "日本語", "mcp", "io.x/mcp-server"]
    {
        let slug = server_slug(identifier);
        assert!(is_server_name(&slug), "{identifier} gave {slug}");
    }
    assert!(!is_server_name("wake") && !is_server_name("Time") && !is_server_name("a_b") && !is_server_name("-a"));
}

#[test]
fn a_taken_name_gets_the_next_number() {
    assert_eq!(unique("time", |_| false), "time");
    assert_eq!(unique("time", |n| n == "time" || n == "time-2"), "time-3");
    let long = "a".repeat(40);
    assert_eq!(unique(&long, |n| n == long), format!("{}-2", "a".repeat(38)));
}

#[test]
fn shown_text_is_one_line_without_tricks() {
    assert_eq!(inline("a\u{202e}b\u{200b}\n\n  c\u{7}\u{e0041}", 50), "ab c");
    assert_eq!(inline("abcdef", 4), "abc…");
    assert_eq!(inline("abcd", 4), "abcd");
    assert_eq!(inline("ab cd", 3), "ab…");
    assert_eq!(inline("  ", 3), "");
}

proptest! {
    #[test]
    fn every_slug_is_a_server_name(identifier in "\\PC{0,80}") {
        prop_assert!(is_server_name(&server_slug(&identifier)));
    }

    #[test]
    fn a_slug_of_a_slug_is_itself_or_still_valid(identifier in "[a-zA-Z0-9@/._-]{1,60}") {
        let slug = server_slug(&identifier);
        prop_assert!(is_server_name(&server_slug(&slug)));
    }

    #[test]
    fn unique_names_are_valid_and_free(count in 0usize..30, base in "[a-z]{1,40}") {
        prop_assume!(is_server_name(&base));
        let mut taken = std::collections::BTreeSet::new();
        for _ in 0..=count {
            let name = unique(&base, |n| taken.contains(n));
            prop_assert!(is_server_name(&name));
            prop_assert!(taken.insert(name));
        }
    }

    #[test]
    fn inline_is_bounded_and_visible(text in any::<String>(), max in 1usize..60) {
        let shown = inline(&text, max);
        prop_assert!(shown.chars().count() <= max);
        prop_assert!(!shown.chars().any(is_invisible));
        prop_assert!(!shown.contains('\n'));
    }
}
