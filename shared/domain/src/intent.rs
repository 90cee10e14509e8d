//! Whether a text asks for something that a server could do at all.
//!
//! Retrieval finds a nearest server for everything: a greeting scores above a quarter of the good requests. So talk and
//! commands about the platform itself are told apart by rule before anything is searched, and requests for the work of hands
//! or for acts of law by how near they are in meaning to [`unfit_examples`].

#[cfg(test)]
mod tests;

use crate::text::{concepts_in, products_in, words};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// A greeting, thanks, a word that asks for nothing.
    Talk,
    /// About an agent, a run, a schedule, an account: for the platform, not for a server.
    Platform,
    /// Something to do.
    Task,
}

/// Words that make up a greeting.
const TALK: &str = "hi hello hey hallo servus moin bonjour salut hola ola ciao thanks thank thx danke merci gracias obrigado \
    grazie bye goodbye ok okay yes no yeah lol haha cool great nice please good morning evening afternoon night day there a \
    lot you very much bitte guten tag abend nacht morgen nihao namaste so for your help the well awesome perfect wow hm hmm \
    nope yep sure fine test testing tschuss cheers welcome sorry oh ah wie geht es dir euch ihnen how are doing today who \
    what s up is your name can do me i am bored sad happy love hate blah foo bar never mind un beau buenos dias tardes \
    comment ca va vas tu que tal como estas hoy heute aujourd hui oggi hoje esta voce tudo bem bene bien gut";

/// Openings of talk in other scripts.
const TALK_ELSEWHERE: [&str; 14] = [
    "你好",
    "您好",
    "谢谢",
    "早上好",
    "नमस्ते",
    "धन्यवाद",
    "こんにちは",
    "ありがとう",
    "おはよう",
    "привет",
    "здравствуй",
    "спасибо",
    "안녕",
    "مرحبا",
];

/// Things that belong to the platform.
const OURS: [&str; 14] = [
    "agent",
    "agents",
    "workflow",
    "workflows",
    "toolbox",
    "toolboxes",
    "automation",
    "automations",
    "agenten",
    "agente",
    "agentes",
    "bot's",
    "arbeitsablauf",
    "conversation",
];
const RUNS: [&str; 4] = ["run", "runs", "schedule", "execution"];
const ACCOUNT: [&str; 8] =
    ["account", "plan", "subscription", "credentials", "keys", "profile", "permission", "permissions"];
const DETERMINERS: [&str; 16] = [
    "my", "the", "this", "that", "your", "our", "all", "which", "meine", "meinen", "den", "diesen", "mon", "mi", "mis",
    "these",
];
/// What one does to them, or asks about them.
const ACTIONS: [&str; 72] = [
    "delete",
    "remove",
    "stop",
    "pause",
    "resume",
    "start",
    "restart",
    "rename",
    "change",
    "edit",
    "update",
    "cancel",
    "list",
    "show",
    "run",
    "make",
    "disable",
    "enable",
    "turn",
    "schedule",
    "reschedule",
    "revoke",
    "duplicate",
    "copy",
    "clone",
    "retry",
    "undo",
    "modify",
    "set",
    "switch",
    "deactivate",
    "activate",
    "give",
    "clear",
    "reset",
    "upgrade",
    "replace",
    "archive",
    "restore",
    "hide",
    "share",
    "export",
    "transfer",
    "approve",
    "deny",
    "grant",
    "allow",
    "connect",
    "who",
    "where",
    "what",
    "which",
    "how",
    "why",
    "when",
    "did",
    "is",
    "are",
    "do",
    "have",
    "losche",
    "losch",
    "pausiere",
    "stoppe",
    "zeige",
    "andere",
    "starte",
    "supprime",
    "arrete",
    "elimina",
    "borra",
    "detener",
];
const ADVERBS: [&str; 16] = [
    "every", "daily", "weekly", "hourly", "monthly", "instead", "again", "twice", "once", "later", "now", "tomorrow",
    "day", "hour", "often", "earlier",
];

pub fn intent(text: &str) -> Intent {
    let said = words(text);
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    let trimmed = text.trim();
    let elsewhere =
        trimmed.chars().count() < 12 && TALK_ELSEWHERE.iter().any(|talk| trimmed.to_lowercase().starts_with(talk));
    if said.is_empty()
        || elsewhere
        || (said.len() <= 8 && said.iter().all(|word| TALK.split_whitespace().any(|talk| talk == *word)))
    {
        return Intent::Talk;
    }
    if is_platform(&said) { Intent::Platform } else { Intent::Task }
}

fn is_platform(said: &[&str]) -> bool {
    let owned: Vec<String> = said.iter().map(|word| (*word).to_owned()).collect();
    if !products_in(&owned).is_empty() {
        return false;
    }
    let acts = said.iter().take(4).any(|word| ACTIONS.contains(word));
    // "delete my agent", "the paused workflow": a determiner, at most one word, the thing.
    let ours = |things: &[&str]| {
        said.iter().enumerate().any(|(at, word)| {
            things.contains(word)
                && (at == 1 && ACTIONS.contains(&said[0])
                    || said[at.saturating_sub(3)..at].iter().any(|before| DETERMINERS.contains(before)))
        })
    };
    if acts && (ours(&OURS) || said.len() <= 8 && ours(&RUNS)) {
        return true;
    }
    // "run it every day instead": about what was made before.
    let pronoun = said.len() > 1 && matches!(said[1], "it" | "this" | "that" | "them");
    if pronoun
        && matches!(
            said[0],
            "run" | "make" | "do" | "execute" | "start" | "repeat" | "stop" | "pause" | "schedule" | "cancel"
        )
        && (said.len() <= 3 || said.iter().any(|word| ADVERBS.contains(word)))
        && concepts_in(&owned).is_empty()
    {
        return true;
    }
    let undoes = matches!(said[0], "undo" | "revert") && said.len() <= 6;
    let signs = matches!(said[0], "log" | "sign")
        && said.len() <= 4
        && said.iter().any(|word| matches!(*word, "out" | "off" | "in"));
    let stored = said.windows(2).any(|pair| matches!(pair, ["stored" | "saved", "credentials" | "keys" | "secrets"]));
    let asks_own =
        said.len() <= 8 && said.windows(2).any(|pair| matches!(pair[0], "my" | "this") && ACCOUNT.contains(&pair[1]));
    let given = said.iter().any(|word| ACCOUNT.contains(word))
        && said.iter().any(|word| matches!(*word, "stored" | "gave" | "given"));
    said.windows(2).any(|pair| pair == ["this", "platform"])
        || undoes
        || signs
        || stored
        || given
        || (acts && asks_own && concepts_in(&owned).is_empty())
        || said.len() <= 5 && said.starts_with(&["change", "my", "password"])
}

/// Requests that no server fulfils, to be compared with by meaning.
pub fn unfit_examples() -> Vec<&'static str> {
    include_str!("intent/unfit.txt")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}
