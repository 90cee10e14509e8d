//! What an entry's vector is made from.

/// Phrases that nearly every entry has: they make all entries alike.
const BOILERPLATE: [&str; 16] = [
    "model context protocol",
    "mcp server implementation",
    "mcp server",
    "mcp servers",
    "mcp tool",
    "mcp tools",
    "mcp integration",
    "(mcp)",
    "mcp",
    "server",
    "ai assistants",
    "ai agents",
    "ai models",
    "llms",
    "for claude",
    "for cursor",
];

/// Words before them that say nothing either.
const FILLERS: [&str; 12] = [
    "a",
    "an",
    "the",
    "simple",
    "lightweight",
    "powerful",
    "comprehensive",
    "official",
    "unofficial",
    "production-ready",
    "python",
    "typescript",
];

/// Words of a package name that are not the product's.
const NAME_NOISE: [&str; 11] =
    ["mcp", "server", "servers", "the", "for", "py", "io", "github", "remote", "mcpserver", "universal"];

/// Prefixes under which others' servers are published again.
const REPUBLISHERS: [&str; 5] = ["iflow-mcp-", "mseep-", "mcpbind-", "universal-mcp-", "awslabs-"];

/// At most this many characters: about 90 tokens, most entries have 25.
const LONGEST: usize = 400;

/// The entry in one line: what it is called, then what it does, without what every entry says.
pub fn content(name: &str, title: &str, description: &str, package: Option<&str>) -> String {
    let label = label(name, title, package);
    let what: String = without_boilerplate(description).chars().take(LONGEST).collect();
    if what.is_empty() { label } else { format!("{label}: {what}") }
}

fn label(name: &str, title: &str, package: Option<&str>) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    let text = if title != last && !title.is_empty() {
        title.to_owned()
    } else {
        let identifier = package.and_then(|package| package.split_once(':')).map_or(last, |(_, identifier)| identifier);
        let short =
            identifier.rsplit('/').next().unwrap_or(identifier).split(':').next().unwrap_or_default().to_lowercase();
        let short = short.replace(['_', '.'], "-");
        REPUBLISHERS.iter().find_map(|prefix| short.strip_prefix(prefix)).unwrap_or(&short).to_owned()
    };
    let kept: Vec<&str> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !NAME_NOISE.contains(&word.to_lowercase().as_str()))
        .collect();
    kept.join(" ")
}

fn without_boilerplate(description: &str) -> String {
    let mut text = format!(
        " {} ",
        description.split_whitespace().filter(|word| !word.contains("://")).collect::<Vec<_>>().join(" ")
    );
    for phrase in BOILERPLATE {
        text = without(&text, phrase);
    }
    let mut words: Vec<&str> = text.split_whitespace().collect();
    while words.first().is_some_and(|first| {
        FILLERS.contains(&first.to_lowercase().as_str())
            || matches!(*first, "for" | "to" | "that" | "which" | "—" | "-" | "–" | ":")
    }) {
        words.remove(0);
    }
    words.join(" ").trim_matches([' ', '.', ',', ':', ';', '-', '—', '–']).to_owned()
}

/// The text without a phrase, wherever it stands as words of its own, in any case.
fn without(text: &str, phrase: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let lower = text.to_ascii_lowercase();
    let mut from = 0;
    while let Some(found) = lower[from..].find(phrase) {
        let (start, end) = (from + found, from + found + phrase.len());
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-');
        if word(lower[..start].chars().next_back()) || word(lower[end..].chars().next()) {
            kept.push_str(&text[from..end]);
        } else {
            kept.push_str(&text[from..start]);
        }
        from = end;
    }
    kept.push_str(&text[from..]);
    kept
}
