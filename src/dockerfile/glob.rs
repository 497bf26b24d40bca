//! Patterns of paths: Go's `filepath.Match` (`*`, `?`, `[a-z]`, `[^a]`, `\` before a literal character) and `**` for
//! any number of directories. Matching takes time in proportion to path and pattern; nothing backtracks.

use crate::base::error::{Result, usage};

/// The longest pattern, in characters.
const MAX_PATTERN: usize = 4096;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Letter(char),
    /// `?`: anything but `/`.
    One,
    /// `*`: any number of anything but `/`.
    Any,
    /// `**` at the end or at the very beginning: any number of anything.
    Everything,
    /// `**/`: any number of whole directories, none too.
    Directories,
    /// `[…]`: ranges, and whether they are negated; never `/`.
    Class(Vec<(char, char)>, bool),
}

/// A compiled pattern over slash-separated relative paths.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Empty for a literal.
    tokens: Vec<Token>,
    /// The path itself, for a pattern without special characters.
    literal: Option<String>,
}

/// Whether the text has characters that make it a pattern.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// A path without leading and trailing slashes, `.` and empty elements; `..` takes its parent off where there is one
/// and stays otherwise (Go's `filepath.Clean`). The root of the context is empty.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

impl Pattern {
    /// Compiles a pattern; slashes at its ends and `.` elements mean nothing.
    pub fn new(text: &str) -> Result<Pattern> {
        if text.len() > MAX_PATTERN {
            return Err(usage(format!("a pattern is longer than {MAX_PATTERN} bytes")));
        }
        let cleaned = clean(text);
        let tokens = compile(&cleaned).ok_or_else(|| usage(format!("`{text}` is not a valid pattern")))?;
        let letters = tokens.iter().map(|token| match token {
            Token::Letter(letter) => Some(*letter),
            _ => None,
        });
        match letters.collect() {
            Some(literal) => Ok(Pattern { tokens: Vec::new(), literal: Some(literal) }),
            None => Ok(Pattern { tokens, literal: None }),
        }
    }

    /// Whether the whole path matches.
    pub fn matches(&self, path: &str) -> bool {
        match &self.literal {
            Some(literal) => literal == path,
            None => self.run(path).is_some_and(|states| states[self.tokens.len()]),
        }
    }

    /// Whether a path below this directory could match: whether a walk must enter it. The root is the empty path.
    pub fn may_match_below(&self, dir: &str) -> bool {
        if dir.is_empty() {
            return true;
        }
        match &self.literal {
            Some(literal) => literal.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/')),
            None => self.run(&format!("{dir}/")).is_some(),
        }
    }

    /// The path that a pattern without special characters names, escapes resolved.
    pub fn literal(&self) -> Option<&str> {
        self.literal.as_deref()
    }

    /// The states that the path leads to, all alternatives followed at once; `None` when there is none.
    fn run(&self, path: &str) -> Option<Vec<bool>> {
        let mut states = vec![false; self.tokens.len() + 1];
        self.reach(&mut states, 0);
        for letter in path.chars() {
            let mut next = vec![false; states.len()];
            for (at, token) in self.tokens.iter().enumerate().filter(|(at, _)| states[*at]) {
                match token {
                    Token::Any if letter != '/' => self.reach(&mut next, at),
                    Token::Everything => self.reach(&mut next, at),
                    // Its end is open only behind a slash.
                    Token::Directories if letter == '/' => self.reach(&mut next, at),
                    Token::Directories => next[at] = true,
                    _ if token.takes(letter) => self.reach(&mut next, at + 1),
                    _ => {}
                }
            }
            if !next.contains(&true) {
                return None;
            }
            states = next;
        }
        Some(states)
    }

    /// Marks a state, and those behind tokens that may match nothing.
    fn reach(&self, states: &mut [bool], at: usize) {
        for (state, token) in states.iter_mut().zip(self.tokens.iter().map(Some).chain([None])).skip(at) {
            *state = true;
            if !matches!(token, Some(Token::Any | Token::Everything | Token::Directories)) {
                break;
            }
        }
    }
}

impl Token {
    /// Whether a token of one character takes this one.
    fn takes(&self, letter: char) -> bool {
        match self {
            Token::Letter(wanted) => *wanted == letter,
            Token::One => letter != '/',
            Token::Class(ranges, negated) => {
                letter != '/' && ranges.iter().any(|(low, high)| (*low..=*high).contains(&letter)) != *negated
            }
            Token::Any | Token::Everything | Token::Directories => false,
        }
    }
}

fn compile(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let token = match letter {
            '*' if letters.next_if_eq(&'*').is_some() => {
                while letters.next_if_eq(&'*').is_some() {}
                let slash = letters.next_if_eq(&'/').is_some();
                let end = letters.peek().is_none();
                if end || (tokens.is_empty() && !slash) { Token::Everything } else { Token::Directories }
            }
            '*' => Token::Any,
            '?' => Token::One,
            '\\' => Token::Letter(letters.next()?),
            '[' => class(&mut letters)?,
            other => Token::Letter(other),
        };
        tokens.push(token);
    }
    Some(tokens)
}

/// `[^]a-z]` after its opening bracket; an empty or open one is no class.
fn class(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let negated = letters.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && letters.next_if_eq(&']').is_some() {
            return Some(Token::Class(ranges, negated));
        }
        let low = member(letters)?;
        let high = if letters.next_if_eq(&'-').is_some() { member(letters)? } else { low };
        ranges.push((low, high));
    }
}

fn member(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match letters.next()? {
        '\\' => letters.next(),
        '-' | ']' => None,
        letter => Some(letter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_as_in_go() {
        let table = [
            ("abc", "abc", true),
            ("abc", "ab", false),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("*", "a/b", false),
            ("a*", "ab/c", false),
            ("a*/b", "a/b", true),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("a?b", "a/b", false),
            ("a[^x]b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("[x\\-]", "-", true),
            ("a.b", "axb", false),
            ("/a/b/", "a/b", true),
            ("./a//b", "a/b", true),
            ("a/../b", "b", true),
        ];
        for (pattern, path, matches) in table {
            assert_eq!(Pattern::new(pattern).unwrap().matches(path), matches, "{pattern} {path}");
        }
        for bad in ["[", "[a", "[]a]", "[-]", "[x-]", "[-x]", "a\\", "[^]", "[a\\"] {
            assert!(Pattern::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn double_stars_cross_directories() {
        let table = [
            ("**", "a", true),
            ("**", "a/b/c", true),
            ("**/", "a/b", true),
            ("**/a", "a", true),
            ("**/a", "x/y/a", true),
            ("**/a", "xa", false),
            ("**/*.go", "main.go", true),
            ("**/*.go", "x/y/main.go", true),
            ("**/*.go", "x/main.c", false),
            ("**.go", "x/main.go", true),
            ("a/**", "a", false),
            ("a/**", "a/b/c", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "a/xb", false),
            ("a/**/b/**/c", "a/b/x/c", true),
            ("**/**/c", "c", true),
            ("a**/c", "a/c", true),
            ("a**/c", "ac", true),
            ("a**/c", "ab/c", true),
            ("**/.foo", "bar.foo", false),
            ("**/foo*", "dir/foo.txt", true),
        ];
        for (pattern, path, matches) in table {
            assert_eq!(Pattern::new(pattern).unwrap().matches(path), matches, "{pattern} {path}");
        }
    }

    #[test]
    fn walks_enter_only_where_something_may_match() {
        let table = [
            ("a/b/c", "a", true),
            ("a/b/c", "a/b", true),
            ("a/b/c", "a/b/c", false),
            ("a/b/c", "ab", false),
            ("a/*/c", "a/x", true),
            ("a/*/c", "b", false),
            ("*.go", "a", false),
            ("**/*.go", "a/b", true),
            ("a/**", "a/b/c", true),
            ("a/**", "b", false),
            ("a/b", "", true),
        ];
        for (pattern, dir, may) in table {
            assert_eq!(Pattern::new(pattern).unwrap().may_match_below(dir), may, "{pattern} {dir}");
        }
        assert_eq!(Pattern::new("a\\*b").unwrap().literal(), Some("a*b"));
        assert_eq!(Pattern::new("a*").unwrap().literal(), None);
    }
}
