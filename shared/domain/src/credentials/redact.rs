const REMOVED: &str = "[removed]";

/// Beginnings of keys that well-known services give out.
const PREFIXES: [&str; 22] = [
    "sk-",
    "sk_",
    "pk_live_",
    "rk_live_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "lin_api_",
    "ntn_",
    "secret_",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "eyJ",
    "dop_v1_",
];

/// The text without values that are known to be secret, and without words that look like a key.
pub fn redact(text: &str, secrets: &[&str]) -> String {
    let mut out = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        out = out.replace(secret, REMOVED);
    }
    let mut clean = String::with_capacity(out.len());
    for piece in
        out.split_inclusive(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | '=' | '(' | ')'))
    {
        let end = piece
            .trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | '=' | '(' | ')'));
        if looks_secret(end) {
            clean.push_str(REMOVED);
            clean.push_str(&piece[end.len()..]);
        } else {
            clean.push_str(piece);
        }
    }
    clean
}

/// `KEY=value`, `KEY: value` and `KEY is value` for one of `keys`, and the text without the values.
pub fn assignments(text: &str, keys: &[&str]) -> (Vec<(String, String)>, String) {
    let mut found = Vec::new();
    let mut rest = text.to_owned();
    for key in keys {
        let Some(at) = find_word(&rest, key) else { continue };
        let after = &rest[at + key.len()..];
        let trimmed = after.trim_start();
        let value = trimmed.strip_prefix(['=', ':']).or_else(|| trimmed.strip_prefix("is ")).map(str::trim_start);
        let Some(value) = value.and_then(|value| value.split_whitespace().next()) else { continue };
        let bare = value.trim_matches(['"', '\'', '`']).trim_end_matches([',', ';']).trim_matches(['"', '\'', '`']);
        if bare.is_empty() {
            continue;
        }
        found.push(((*key).to_owned(), bare.to_owned()));
        rest = rest.replace(bare, REMOVED);
    }
    (found, rest)
}

/// Where `key` stands as a word of its own.
fn find_word(text: &str, key: &str) -> Option<usize> {
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(key)
        .map(|(at, _)| at)
        .find(|at| !text[..*at].ends_with(part_of_word) && !text[at + key.len()..].starts_with(part_of_word))
}

/// A known beginning with enough behind it, or a long word of mixed letters and digits that is no address.
fn looks_secret(word: &str) -> bool {
    if PREFIXES.iter().any(|prefix| word.starts_with(prefix)) && word.len() >= 16 {
        return true;
    }
    let mixed = word.bytes().any(|b| b.is_ascii_digit()) && word.bytes().any(|b| b.is_ascii_alphabetic());
    let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+.".contains(&b));
    let uuid = word.len() == 36 && word.bytes().filter(|b| *b == b'-').count() == 4;
    word.len() >= 32 && mixed && plain && !uuid && !word.contains("..")
}
