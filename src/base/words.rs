//! Words that users type as values of options.

use super::error::{Result, usage};

/// `true`, `1`, `yes`… and their opposites, as Go's `strconv.ParseBool` and YAML readers take them.
pub fn boolean(what: &str, text: &str) -> Result<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "t" | "yes" | "on" => Ok(true),
        "false" | "0" | "f" | "no" | "off" => Ok(false),
        _ => Err(usage(format!("`{what}` takes true or false, not `{text}`"))),
    }
}

/// Splits the value of an option such as `--mount`: one line of comma-separated values, where quotes protect commas: `type=bind,"src=/a,b",dst=/c`.
pub fn csv_fields(text: &str) -> Result<Vec<String>> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    if quoted {
        return Err(usage(format!("`{text}` has an open quote")));
    }
    if let Some(at) = fields.iter().position(String::is_empty) {
        return Err(usage(format!("`{text}` has an empty field (number {})", at + 1)));
    }
    Ok(fields)
}

/// The candidate that differs from `word` by the fewest edits, when it is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.into_iter().map(|candidate| (distance(word, candidate), candidate));
    scored.min().filter(|(edits, _)| *edits <= 2.max(word.len() / 4)).map(|(_, candidate)| candidate)
}

/// Levenshtein distance over bytes, in one row of memory; words here are short.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_only_when_near() {
        assert_eq!(nearest("NET_ADMN", ["NET_ADMIN", "NET_RAW"]), Some("NET_ADMIN"));
        assert_eq!(nearest("quux", ["NET_ADMIN", "CHOWN"]), None);
        assert!(boolean("x", "True").unwrap() && !boolean("x", "0").unwrap() && boolean("x", "").is_err());
    }
}
