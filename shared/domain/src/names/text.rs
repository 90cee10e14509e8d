/// One line of at most `max` characters that shows what it says: no control, format or direction character, no line
/// break, white space folded. For names and descriptions that strangers wrote, before they reach a reply or a prompt.
pub fn inline(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max * 4));
    let mut length = 0;
    let mut space = false;
    for c in text.chars() {
        if c.is_whitespace() || c == '\u{85}' {
            space = length > 0;
            continue;
        }
        if is_invisible(c) {
            continue;
        }
        if length + usize::from(space) >= max {
            // The last character that fits makes room for the mark that something is missing.
            while length >= max {
                out.pop();
                length -= 1;
            }
            out.push('…');
            return out;
        }
        if space {
            out.push(' ');
            length += 1;
            space = false;
        }
        out.push(c);
        length += 1;
    }
    out
}

/// Characters that change what a reader sees without being seen: controls, zero-width, direction marks, tags,
/// variation selectors, private use.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{10ffff}')
}
