//! `.dockerignore`: which paths of a context are left out.
//!
//! Patterns are those of [`glob`](super::glob), from the root of the context. The last one that matches wins; `!`
//! takes back in; a pattern also covers what is below what it matches. `#` makes a comment at the beginning of a line
//! only. As moby's patternmatcher has it.

use super::glob::{Pattern, clean};
use super::lexer::MAX_FILE;
use crate::base::error::{Context, Result, bail, ensure, usage};

/// The most patterns of one list.
const MAX_RULES: usize = 10_000;

/// An ordered list of patterns.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    /// `!`: what matches is taken back in.
    include: bool,
    pattern: Pattern,
}

impl Ignore {
    /// Parses a `.dockerignore` file; errors name the line.
    pub fn parse(text: &str) -> Result<Ignore> {
        ensure!(text.len() <= MAX_FILE, usage(format!("the list is longer than {MAX_FILE} bytes")));
        let mut ignore = Ignore::default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            ignore.add(line).with_context(|| format!("line {}", number + 1))?;
        }
        Ok(ignore)
    }

    /// The patterns of `--exclude`.
    pub fn from_patterns<S: AsRef<str>>(patterns: &[S]) -> Result<Ignore> {
        let mut ignore = Ignore::default();
        patterns.iter().try_for_each(|pattern| ignore.add(pattern.as_ref()))?;
        Ok(ignore)
    }

    /// Adds a pattern behind the others, so that it wins over them. Blank ones mean nothing.
    pub fn add(&mut self, line: &str) -> Result<()> {
        let line = line.trim();
        let (include, text) = match line.strip_prefix('!') {
            Some(text) => (true, text.trim()),
            None => (false, line),
        };
        if include && text.is_empty() {
            bail!(usage("`!` needs a pattern behind it"));
        }
        // `/` and `.` name the context itself, which is never left out.
        if clean(text).is_empty() {
            return Ok(());
        }
        ensure!(self.rules.len() < MAX_RULES, usage(format!("more than {MAX_RULES} patterns")));
        self.rules.push(Rule { include, pattern: Pattern::new(text)? });
        Ok(())
    }

    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether this slash-separated path, relative to the root of the context, is left out. Rules that match one of
    /// its parents count too.
    pub fn excludes(&self, path: &str) -> bool {
        self.last_match(path).is_some_and(|at| !self.rules[at].include)
    }

    /// Whether something below this excluded directory may be taken back in by a later `!` rule: whether a walk must
    /// still enter it.
    pub fn may_include_below(&self, dir: &str) -> bool {
        match self.last_match(dir) {
            Some(at) if !self.rules[at].include => {
                self.rules[at + 1..].iter().any(|rule| rule.include && rule.pattern.may_match_below(dir))
            }
            _ => true,
        }
    }

    /// The last rule that matches the path or one of its parents.
    fn last_match(&self, path: &str) -> Option<usize> {
        self.rules.iter().rposition(|rule| rule.covers(path))
    }
}

impl Rule {
    /// Whether it matches the path or one of its parents.
    fn covers(&self, path: &str) -> bool {
        if let Some(literal) = self.pattern.literal() {
            return path.strip_prefix(literal).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        }
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        parents.chain([path]).any(|part| self.pattern.matches(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_left_out_as_moby_does() {
        let table: [(&str, &str, bool); 48] = [
            ("", "a", false),
            ("a", "a", true),
            ("a", "a/b/c", true),
            ("a", "ab", false),
            ("a", "x/a", false),
            ("/a", "a", true),
            ("a/", "a", true),
            ("a/", "a/b", true),
            ("./a", "a", true),
            ("  a  ", "a", true),
            ("a//b/../c", "a/c", true),
            ("*", "a", true),
            ("*", "a/b", true),
            ("*.md", "a.md", true),
            ("*.md", "x/a.md", false),
            ("*/*.md", "x/a.md", true),
            ("*/*.md", "x/y/a.md", false),
            ("**/*.md", "a.md", true),
            ("**/*.md", "x/y/a.md", true),
            ("*/tmp*", "x/tmp.txt/z", true),
            ("temp?", "tempa", true),
            ("temp?", "temp", false),
            ("[ab]*", "b1", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("# a\n#b\nc", "#b", false),
            (" #b", "#b", true),
            ("\\#b", "#b", true),
            ("*\n!a", "a", false),
            ("*\n!a", "a/b", false),
            ("*\n!a", "b", true),
            ("!a\n*", "a", true),
            ("a\n!a/b", "a/b", false),
            ("a\n!a/b", "a/b/c", false),
            ("a\n!a/b", "a/c", true),
            ("a\n!a/b\na/b/c", "a/b/c", true),
            ("*.md\n!README*.md\nREADME-secret.md", "README.md", false),
            ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
            ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false),
            ("**\n!src/**/*.rs", "src/a/b.rs", false),
            ("**\n!src/**/*.rs", "src/a/b.c", true),
            ("**/node_modules", "x/node_modules/y", true),
            ("a/**", "a", false),
            ("a/**", "a/b", true),
            ("! a\n", "a", false),
            (".\n/\n./", "a", false),
            ("\u{feff}a\r\nb\r\n", "b", true),
            ("../a", "a", false),
        ];
        for (text, path, excluded) in table {
            assert_eq!(Ignore::parse(text).unwrap().excludes(path), excluded, "{text:?} {path}");
        }
    }

    #[test]
    fn walks_skip_what_cannot_come_back() {
        let table = [
            ("a", "a", false),
            ("a\n!a/b", "a", true),
            ("a\n!a/b", "a/c", false),
            ("a\n!a/b/c", "a/b", true),
            ("!a/b\na", "a", false),
            ("*\n!src", "src", true),
            ("*\n!**/*.rs", "x", true),
            ("*\n!src/*.rs", "x", false),
            ("node_modules\n!dist", "node_modules", false),
        ];
        for (text, dir, may) in table {
            assert_eq!(Ignore::parse(text).unwrap().may_include_below(dir), may, "{text:?} {dir}");
        }
    }

    #[test]
    fn wrong_patterns_name_their_line() {
        let error = Ignore::parse("a\n[b\n").unwrap_err();
        assert_eq!(crate::base::error::render(&error), "line 2: `[b` is not a valid pattern");
        assert!(Ignore::parse("!").is_err());
    }
}
