//! Splitting an instruction into words: flags, blank-separated words with quotes kept, JSON arrays, heredoc markers.

use super::ast::Heredoc;
use crate::base::error::{Result, usage};

/// Blanks between words of one line.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
}

/// Splits off the keyword, in upper case.
pub(super) fn keyword(line: &str) -> (String, &str) {
    let end = line.find(is_blank).unwrap_or(line.len());
    (line[..end].to_uppercase(), line[end..].trim())
}

/// The words of a line, where quotes and the escape character protect blanks; all of them are kept for expansion.
pub(super) fn split(text: &str, escape: char) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if quote.is_none() && is_blank(letter) {
            words.extend(word.take());
            continue;
        }
        let current = word.get_or_insert_default();
        if letter == escape && quote != Some('\'') {
            // An escape character at the very end means nothing.
            if let Some(next) = letters.next() {
                current.extend([letter, next]);
            }
            continue;
        }
        match quote {
            Some(open) if open == letter => quote = None,
            None if matches!(letter, '\'' | '"') => quote = Some(letter),
            _ => {}
        }
        current.push(letter);
    }
    words.extend(word.filter(|word| !word.is_empty()));
    words
}

/// Takes the `--flag` words from the beginning, quotes and escapes resolved; a bare `--` ends them.
pub(super) fn flags(text: &str, escape: char) -> (Vec<String>, &str) {
    let (mut found, mut rest) = (Vec::new(), text.trim_start());
    while rest.starts_with("--") {
        let (word, after) = flag(rest, escape);
        rest = after.trim_start();
        if word == "--" {
            break;
        }
        found.push(word);
    }
    (found, rest)
}

fn flag(text: &str, escape: char) -> (String, &str) {
    let (mut word, mut quote) = (String::new(), None);
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match quote {
            None if is_blank(letter) => return (word, &text[at..]),
            _ if letter == escape && quote != Some('\'') => word.extend(letters.next().map(|(_, next)| next)),
            Some(open) if open == letter => quote = None,
            None if matches!(letter, '\'' | '"') => quote = Some(letter),
            _ => word.push(letter),
        }
    }
    (word, "")
}

/// A JSON array of strings; `None` is the shell form. A valid array of other things is an error: it is nothing that
/// a shell could mean.
pub(super) fn json(text: &str) -> Result<Option<Vec<String>>> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(serde_json::Value::Array(items)) = serde_json::from_str(text) else { return Ok(None) };
    let strings: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    strings.map(Some).ok_or_else(|| usage("a JSON array may hold strings only"))
}

/// The heredocs that a line announces, contents still empty, each with its marker as written.
pub(super) fn heredocs(line: &str, escape: char) -> Vec<(Heredoc, String)> {
    if !line.contains("<<") {
        return Vec::new();
    }
    let (mut name, mut rest) = keyword(line);
    if name == "ONBUILD" {
        (name, rest) = keyword(rest);
    }
    let (_, rest) = flags(rest, escape);
    if !matches!(name.as_str(), "RUN" | "COPY" | "ADD") || matches!(json(rest), Ok(Some(_))) {
        return Vec::new();
    }
    let shell = name == "RUN";
    split(rest, escape).into_iter().filter_map(|word| Some((marker(&word, shell)?, word))).collect()
}

/// `[FD]<<[-]NAME`. In a shell's line the name ends where an operator begins (`<<EOF>file`).
pub(super) fn marker(word: &str, shell: bool) -> Option<Heredoc> {
    let (descriptor, rest) = word.split_once("<<")?;
    let strip_tabs = rest.starts_with('-');
    let rest = rest.strip_prefix('-').unwrap_or(rest);
    let operators: &[char] = if shell { &['>', ';', '&', '|', ')'] } else { &[] };
    let rest = &rest[..rest.find(operators).unwrap_or(rest.len())];
    if rest.is_empty() || rest.contains('<') || !descriptor.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let name: String = rest.chars().filter(|letter| !matches!(letter, '\'' | '"' | '\\')).collect();
    let expand = name == rest;
    (!name.is_empty()).then_some(Heredoc { name, content: String::new(), expand, strip_tabs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_quotes() {
        let table: [(&str, &[&str]); 10] = [
            ("", &[]),
            ("  a \t b ", &["a", "b"]),
            ("a='x y' b", &["a='x y'", "b"]),
            (r#"a="x \" y" b"#, &[r#"a="x \" y""#, "b"]),
            (r"a=x\ y b", &[r"a=x\ y", "b"]),
            (r"a='x\' b", &[r"a='x\'", "b"]),
            (r#""" b"#, &[r#""""#, "b"]),
            (r"a \", &["a"]),
            ("a=\"x y", &["a=\"x y"]),
            ("größe=ü ß", &["größe=ü", "ß"]),
        ];
        for (text, words) in table {
            assert_eq!(split(text, '\\'), words, "{text}");
        }
        assert_eq!(split(r"a=c:\ b=` x", '`'), [r"a=c:\", "b=` x"]);
    }

    #[test]
    fn flags_come_first() {
        let table: [(&str, &[&str], &str); 6] = [
            ("a --b", &[], "a --b"),
            ("--a --b=c d", &["--a", "--b=c"], "d"),
            (r#"--a="x y" --b='$x' d"#, &["--a=x y", "--b=$x"], "d"),
            (r"--a=x\ y d", &["--a=x y"], "d"),
            ("--a -- --b", &["--a"], "--b"),
            ("--a", &["--a"], ""),
        ];
        for (text, found, rest) in table {
            assert_eq!(flags(text, '\\'), (found.iter().map(|f| f.to_string()).collect(), rest), "{text}");
        }
    }

    #[test]
    fn json_needs_double_quotes() {
        assert_eq!(json(r#"["a", "b\n\u00e9"]"#).unwrap().unwrap(), ["a", "b\né"]);
        assert_eq!(json("[]").unwrap().unwrap(), Vec::<String>::new());
        for shell in ["['a']", "[ -f x ] && y", r#"["a""#, r#"["a"] b"#, r#"["a",]"#, "a", "{}"] {
            assert_eq!(json(shell).unwrap(), None, "{shell}");
        }
        assert!(json("[1]").is_err() && json(r#"["a", ["b"]]"#).is_err());
    }

    #[test]
    fn heredocs_are_announced() {
        let names = |line| -> Vec<(String, bool, bool)> {
            heredocs(line, '\\').into_iter().map(|(h, _)| (h.name, h.expand, h.strip_tabs)).collect()
        };
        type Found = &'static [(&'static str, bool, bool)];
        let table: [(&str, Found); 14] = [
            ("RUN <<EOF", &[("EOF", true, false)]),
            ("run cat <<-'A' 3<<\"B\" > x", &[("A", false, true), ("B", false, false)]),
            ("COPY --chmod=755 <<a.sh <<b.sh /", &[("a.sh", true, false), ("b.sh", true, false)]),
            ("RUN cat <<EOF>x", &[("EOF", true, false)]),
            ("RUN (cat <<EOF)", &[("EOF", true, false)]),
            ("RUN cat <<E\\OF", &[("EOF", false, false)]),
            ("ONBUILD RUN <<EOF", &[("EOF", true, false)]),
            ("RUN echo $((1<<2))", &[]),
            ("RUN echo $((1 << 2))", &[]),
            ("RUN cat <<<word", &[]),
            ("RUN echo '<<EOF'", &[]),
            ("RUN [\"a\", \"<<EOF\"]", &[]),
            ("CMD cat <<EOF", &[]),
            ("ENV a=<<EOF", &[]),
        ];
        for (line, found) in table {
            let found: Vec<_> = found.iter().map(|(n, e, s)| (n.to_string(), *e, *s)).collect();
            assert_eq!(names(line), found, "{line}");
        }
    }
}
