//! From text to logical lines: directives, comments, continuations, heredocs.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ast::{Directives, Heredoc, Source, Warning};
use super::words;
use crate::base::error::{Explain, Result, ensure, usage};

/// The longest file that is parsed, in bytes; a generous bound for what people write.
pub const MAX_FILE: usize = 4 << 20;

/// The most instructions of a file.
const MAX_LINES: usize = 1 << 16;

/// A file as logical lines.
pub(super) struct Lexed {
    pub(super) directives: Directives,
    /// Neither empty nor comments.
    pub(super) lines: Vec<Source>,
    pub(super) warnings: Vec<Warning>,
}

/// Splits a file.
pub(super) fn lex(name: &str, text: &str) -> Result<Lexed> {
    if text.len() > MAX_FILE {
        return Err(usage(format!("`{name}` is longer than {MAX_FILE} bytes, too long for a Dockerfile")));
    }
    if text.contains('\0') {
        return Err(usage(format!("`{name}` is a binary file, not a Dockerfile")));
    }
    let mut lexer = Lexer::new(name, text.strip_prefix('\u{feff}').unwrap_or(text));
    lexer.directives()?;
    let mut lines = Vec::new();
    while let Some(line) = lexer.logical()? {
        ensure!(lines.len() < MAX_LINES, usage(format!("`{name}` has more than {MAX_LINES} instructions")));
        lines.push(line);
    }
    Ok(Lexed { directives: lexer.directives, lines, warnings: lexer.warnings })
}

struct Lexer<'a> {
    file: Arc<str>,
    /// What was not read yet.
    rest: &'a str,
    /// The number of the physical line that was read last.
    number: u32,
    directives: Directives,
    /// Keys of directives that were seen.
    given: BTreeSet<String>,
    warnings: Vec<Warning>,
}

impl<'a> Lexer<'a> {
    fn new(name: &str, text: &'a str) -> Lexer<'a> {
        Lexer {
            file: name.into(),
            rest: text,
            number: 0,
            directives: Directives::default(),
            given: BTreeSet::new(),
            warnings: Vec::new(),
        }
    }

    /// The next physical line with its line ending.
    fn physical(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.number += 1;
        Some(line)
    }

    /// Directives stand at the very top: whatever else comes first (an unknown one too) ends them.
    fn directives(&mut self) -> Result<()> {
        loop {
            let before = (self.rest, self.number);
            let Some(line) = self.physical() else { return Ok(()) };
            let Some((key, value)) = directive(line) else {
                (self.rest, self.number) = before;
                return Ok(());
            };
            self.directive(&key, value)
                .map_err(|error| self.place(self.number, line.trim()).explain(error))?;
        }
    }

    fn directive(&mut self, key: &str, value: &str) -> Result<()> {
        if !self.given.insert(key.to_owned()) {
            return Err(usage(format!("the directive `{key}` was given already")));
        }
        match (key, value) {
            ("syntax", _) => self.directives.syntax = Some(value.to_owned()),
            ("check", _) => self.directives.check = Some(value.to_owned()),
            (_, "\\") => self.directives.escape = '\\',
            (_, "`") => self.directives.escape = '`',
            _ => return Err(usage(format!("the escape character is \\ or `, not `{value}`"))),
        }
        Ok(())
    }

    /// The next instruction as one line, its heredocs attached.
    fn logical(&mut self) -> Result<Option<Source>> {
        let Some((first, text)) = self.joined() else { return Ok(None) };
        let mut source = self.place(first, text.trim());
        for (mut heredoc, marker) in words::heredocs(&source.text, self.directives.escape) {
            heredoc.content = self.heredoc(&heredoc).map_err(|error| {
                source.explain(error.hint(format!("`{marker}` needs a line that is just `{}`", heredoc.name)))
            })?;
            source.heredocs.push(heredoc);
        }
        source.last = self.number;
        Ok(Some(source))
    }

    /// The next line that says something, with the lines that continue it, and the number of its first.
    fn joined(&mut self) -> Option<(u32, String)> {
        let (first, mut text) = loop {
            let line = self.physical()?.trim();
            if !line.is_empty() && !line.starts_with('#') {
                break (self.number, line);
            }
        };
        let mut joined = String::new();
        let mut blank = false;
        while let Some(part) = continued(text, self.directives.escape) {
            joined.push_str(part);
            text = "";
            // Comments between the lines vanish, and so, with a warning, do blank lines.
            while let Some(next) = self.physical() {
                let trimmed = next.trim();
                blank |= trimmed.is_empty();
                if !trimmed.is_empty() && !trimmed.starts_with('#') {
                    text = next.trim_end_matches(['\n', '\r']);
                    break;
                }
            }
        }
        joined.push_str(text);
        if blank {
            let message = "empty line inside a continued instruction".to_owned();
            self.warnings.push(Warning { line: first, message });
        }
        Some((first, joined))
    }

    /// The lines up to the delimiter, as they are.
    fn heredoc(&mut self, heredoc: &Heredoc) -> Result<String> {
        let mut content = String::new();
        while let Some(line) = self.physical() {
            let bare = line.trim_end_matches(['\n', '\r']);
            let bare = if heredoc.strip_tabs { bare.trim_start_matches('\t') } else { bare };
            if bare == heredoc.name {
                return Ok(content);
            }
            content.push_str(line);
        }
        Err(usage(format!("the heredoc `{}` does not end", heredoc.name)))
    }

    fn place(&self, first: u32, text: &str) -> Source {
        Source { file: self.file.clone(), first, last: first, text: text.to_owned(), heredocs: Vec::new() }
    }
}

/// `# key = value` with a key that is known, in lower case.
fn directive(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.trim().strip_prefix('#')?.split_once('=')?;
    let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
    (matches!(key.as_str(), "syntax" | "escape" | "check") && !value.is_empty()).then_some((key, value))
}

/// What stands before the escape character that ends a line, blanks after it aside. Two of them are no continuation.
fn continued(line: &str, escape: char) -> Option<&str> {
    let before = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!before.ends_with(escape)).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{hints_of, render};

    fn texts(text: &str) -> Vec<String> {
        lex("Dockerfile", text).unwrap().lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_are_joined() {
        let table: [(&str, &[&str]); 12] = [
            ("", &[]),
            ("\n# a\n  # b\n \t\n", &[]),
            ("FROM a", &["FROM a"]),
            ("\u{feff}FROM a\r\nRUN b\\\r\n c\r\n", &["FROM a", "RUN b c"]),
            ("  FROM a  \n\tRUN b\n", &["FROM a", "RUN b"]),
            ("RUN a \\\n# gone\n  # gone \\\n  b # stays\n", &["RUN a   b # stays"]),
            ("RUN a \\  \n\n\nb\nRUN c", &["RUN a b", "RUN c"]),
            ("RUN a \\\\\nRUN b", &["RUN a \\\\", "RUN b"]),
            ("RUN a \\", &["RUN a"]),
            ("RUN a \\\n# only", &["RUN a"]),
            ("# escape=`\nRUN a `\n b\\\nRUN c", &["RUN a  b\\", "RUN c"]),
            ("\\\nFROM a", &["FROM a"]),
        ];
        for (text, lines) in table {
            assert_eq!(texts(text), lines, "{text:?}");
        }
    }

    #[test]
    fn directives_stand_at_the_top_only() {
        let of = |text| lex("Dockerfile", text).unwrap().directives;
        let all = of("# syntax=docker/dockerfile:1\n#escape = `\n# CHECK=skip=all;error=true\nFROM a");
        assert_eq!(all.syntax.as_deref(), Some("docker/dockerfile:1"));
        assert_eq!((all.escape, all.check.as_deref()), ('`', Some("skip=all;error=true")));
        for plain in
            ["# hello\n# escape=`\n", "\n# escape=`\n", "FROM a\n# escape=`\n", "# unknown=1\n# escape=`\n"]
        {
            assert_eq!(of(plain), Directives::default(), "{plain}");
        }
        let bad = |text| render(&lex("D", text).err().unwrap());
        assert_eq!(bad("# escape=x\nFROM a"), "D:1: `# escape=x`: the escape character is \\ or `, not `x`");
        assert_eq!(
            bad("# escape=`\n# Escape=`\n"),
            "D:2: `# Escape=`\u{60}: the directive `escape` was given already"
        );
    }

    #[test]
    fn lines_are_counted() {
        let lexed = lex("D", "# x\n\nFROM a\nRUN b \\\n\n  c\nCOPY <<X <<Y /\n1\nX\n2\nY\nRUN d").unwrap();
        let spans: Vec<_> = lexed.lines.iter().map(|line| (line.first, line.last)).collect();
        assert_eq!(spans, [(3, 3), (4, 6), (7, 11), (12, 12)]);
        assert_eq!(lexed.warnings.len(), 1);
        assert_eq!(lexed.warnings[0].line, 4);
    }

    #[test]
    fn heredocs_end_at_their_word() {
        let one = |text| lex("D", text).unwrap().lines.remove(0).heredocs.remove(0);
        assert_eq!(one("RUN <<EOF\n a\n# b\n\nEOF\n").content, " a\n# b\n\n");
        assert_eq!(one("RUN cat <<-'E'\n\ta\n\t\tE\n").content, "\ta\n");
        assert_eq!(one("RUN <<EOF\r\na\r\nEOF\r\n").content, "a\r\n");
        assert_eq!(one("RUN a \\\n <<EOF b\nx\nEOF").content, "x\n");
        let error = lex("D", "FROM a\nRUN <<EOF\nx\n EOF\n").err().unwrap();
        assert_eq!(render(&error), "D:2: `RUN <<EOF`: the heredoc `EOF` does not end");
        assert_eq!(hints_of(&error), ["`<<EOF` needs a line that is just `EOF`"]);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert!(lex("D", "FROM a\n\0").is_err());
        assert!(lex("D", &"#".repeat(MAX_FILE + 1)).is_err());
        assert!(lex("D", &"a\n".repeat(MAX_LINES + 1)).is_err());
    }
}
