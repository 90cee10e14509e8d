//! From text to comparable words.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Lower case, without accents on Latin letters.
pub fn fold(text: &str) -> String {
    // Most of the catalog, and many times as fast.
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(text.len());
    for c in text.nfkd() {
        // Marks of other scripts are part of their letters.
        if is_combining_mark(c) && (c as u32) < 0x370 {
            continue;
        }
        match c {
            'ß' | 'ẞ' => folded.push_str("ss"),
            '’' => folded.push('\''),
            _ => folded.extend(c.to_lowercase()),
        }
    }
    folded.nfc().collect()
}

/// The folded runs of letters and digits.
pub fn words(text: &str) -> Vec<String> {
    let separates = |c: char| !(c.is_alphanumeric() || (is_combining_mark(c) && (c as u32) >= 0x370));
    fold(text).split(separates).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// A light English stem: enough that "lamps" meets "lamp" and "scraping" meets "scrape".
pub fn stem(word: &str) -> String {
    if !word.is_ascii() {
        return word.to_owned();
    }
    if word.len() > 4 && word.ends_with("ies") {
        return format!("{}y", &word[..word.len() - 3]);
    }
    if word.len() > 4 && ["sses", "xes", "ches", "shes", "zes"].iter().any(|end| word.ends_with(end)) {
        return word[..word.len() - 2].to_owned();
    }
    let mut stem = word;
    if stem.len() > 3 && stem.ends_with('s') && !["ss", "us", "is"].iter().any(|end| stem.ends_with(end)) {
        stem = &stem[..stem.len() - 1];
    }
    if stem.len() > 5 && stem.ends_with("ing") {
        stem = &stem[..stem.len() - 3];
        let bytes = stem.as_bytes();
        if stem.len() > 2
            && bytes[stem.len() - 1] == bytes[stem.len() - 2]
            && !matches!(bytes[stem.len() - 1], b's' | b'l')
        {
            stem = &stem[..stem.len() - 1];
        }
    } else if stem.len() > 4 && stem.ends_with("ed") {
        stem = &stem[..stem.len() - 2];
    }
    if stem.len() > 4 && stem.ends_with('e') {
        stem = &stem[..stem.len() - 1];
    }
    stem.to_owned()
}

/// The stems of a text's words.
pub fn stems(text: &str) -> Vec<String> {
    words(text).iter().map(|word| stem(word)).collect()
}
