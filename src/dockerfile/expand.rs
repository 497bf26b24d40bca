//! Expansion of one word: variables in all their forms, quotes and escapes removed.
//!
//! `$x ${x} ${x:-y} ${x-y} ${x:+y} ${x+y} ${x:?e} ${x?e} ${x#p} ${x##p} ${x%p} ${x%%p} ${x/a/b} ${x//a/b}`; words
//! and patterns may hold expansions again. Values are not split at blanks. Growth and nesting are bounded, so that a
//! few lines cannot fill the memory.

use std::iter::Peekable;
use std::str::Chars;

use super::lexer::MAX_FILE;
use super::pattern::Pattern;
use super::scope::Variables;
use crate::base::error::{Error, Result, ensure, usage};

/// The longest value of a word, in bytes: what the kernel takes as one argument or variable (MAX_ARG_STRLEN).
const MAX_WORD: usize = 128 << 10;

/// The deepest nesting of `${a:-${b:-…}}`.
const MAX_DEPTH: usize = 64;

/// Expands a word of an instruction.
pub(super) fn word(text: &str, variables: &dyn Variables, escape: char) -> Result<String> {
    expand(text, variables, escape, true, MAX_WORD)
}

/// Expands the content of a heredoc: quotes are ordinary characters.
pub(super) fn heredoc(text: &str, variables: &dyn Variables, escape: char) -> Result<String> {
    expand(text, variables, escape, false, MAX_FILE)
}

fn expand(text: &str, variables: &dyn Variables, escape: char, quotes: bool, limit: usize) -> Result<String> {
    if !text.contains(['$', '\'', '"', escape]) {
        return Ok(text.to_owned());
    }
    let mut expander = Expander { rest: text.chars().peekable(), variables, escape, quotes, limit, depth: 0 };
    expander.until(None, false)
}

struct Expander<'a> {
    rest: Peekable<Chars<'a>>,
    variables: &'a dyn Variables,
    escape: char,
    quotes: bool,
    limit: usize,
    depth: usize,
}

impl Expander<'_> {
    /// Expands up to `stop`, which is consumed, or to the end. `raw` keeps escape characters, for patterns.
    fn until(&mut self, stop: Option<char>, raw: bool) -> Result<String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(usage("variables are nested too deeply"));
        }
        let mut out = String::new();
        while let Some(letter) = self.rest.next() {
            match letter {
                _ if Some(letter) == stop => {
                    self.depth -= 1;
                    return Ok(out);
                }
                '$' => {
                    let value = self.dollar()?;
                    self.append(&mut out, &value)?
                }
                '\'' if self.quotes => {
                    let value = self.single()?;
                    self.append(&mut out, &value)?
                }
                '"' if self.quotes => {
                    let value = self.double(raw)?;
                    self.append(&mut out, &value)?
                }
                _ if letter == self.escape => {
                    out.extend(raw.then_some(letter));
                    out.extend(self.rest.next());
                }
                _ => out.push(letter),
            }
        }
        self.depth -= 1;
        match stop {
            None => Ok(out),
            Some('}') => Err(usage("a `${` without its `}`")),
            Some(stop) => Err(usage(format!("a `${{` without its `{stop}`"))),
        }
    }

    /// Everything up to the next single quote, as it is.
    fn single(&mut self) -> Result<String> {
        let mut out = String::new();
        for letter in self.rest.by_ref() {
            if letter == '\'' {
                return Ok(out);
            }
            out.push(letter);
        }
        Err(usage("a single quote without its end"))
    }

    /// Up to the next double quote: variables count, and the escape character before `"`, `$` and itself.
    fn double(&mut self, raw: bool) -> Result<String> {
        let mut out = String::new();
        while let Some(letter) = self.rest.next() {
            match letter {
                '"' => return Ok(out),
                '$' => {
                    let value = self.dollar()?;
                    self.append(&mut out, &value)?
                }
                _ if letter == self.escape => {
                    let escape = self.escape;
                    let special = self.rest.next_if(|next| matches!(next, '"' | '$') || *next == escape);
                    out.extend((raw || special.is_none()).then_some(letter));
                    out.extend(special);
                }
                _ => out.push(letter),
            }
        }
        Err(usage("a double quote without its end"))
    }

    fn dollar(&mut self) -> Result<String> {
        if self.rest.next_if_eq(&'{').is_some() {
            return self.braces();
        }
        match self.name() {
            name if name.is_empty() => Ok("$".into()),
            name => Ok(self.variables.get(&name).unwrap_or_default().to_owned()),
        }
    }

    /// What follows `${`.
    fn braces(&mut self) -> Result<String> {
        let name = self.name();
        if name.is_empty() {
            return Err(usage("`${` needs the name of a variable"));
        }
        let unset = |value: Option<&str>| value.is_none();
        let empty = |value: Option<&str>| value.is_none_or(str::is_empty);
        match self.rest.next() {
            Some('}') => Ok(self.value(&name).unwrap_or_default().to_owned()),
            Some(':') => match self.rest.next() {
                Some(operator @ ('-' | '+' | '?')) => self.conditional(&name, operator, empty),
                _ => Err(usage(format!("`${{{name}:` must be followed by `-`, `+` or `?`"))),
            },
            Some(operator @ ('-' | '+' | '?')) => self.conditional(&name, operator, unset),
            Some(operator @ ('#' | '%')) => self.trimmed(&name, operator),
            Some('/') => self.replaced(&name),
            Some(other) => Err(usage(format!("`${{{name}{other}` is no substitution that is known"))),
            None => Err(usage(format!("`${{{name}` without its `}}`"))),
        }
    }

    fn conditional(
        &mut self,
        name: &str,
        operator: char,
        absent: fn(Option<&str>) -> bool,
    ) -> Result<String> {
        let word = self.until(Some('}'), false)?;
        let value = self.value(name);
        match (operator, absent(value)) {
            ('-', true) | ('+', false) => Ok(word),
            ('+', true) => Ok(String::new()),
            ('?', true) => {
                let state = if value.is_none() { "is not set" } else { "is empty" };
                Err(usage(format!("{name}: {}", if word.is_empty() { state } else { &word })))
            }
            _ => Ok(value.unwrap_or_default().to_owned()),
        }
    }

    /// `${x#p}`, `${x##p}`, `${x%p}`, `${x%%p}`
    fn trimmed(&mut self, name: &str, operator: char) -> Result<String> {
        let longest = self.rest.next_if_eq(&operator).is_some();
        let pattern = Pattern::new(&self.until(Some('}'), true)?)?;
        let value = self.value(name).unwrap_or_default();
        match operator {
            '#' => pattern.without_prefix(value, longest),
            _ => pattern.without_suffix(value, longest),
        }
    }

    /// `${x/a/b}`, `${x//a/b}`
    fn replaced(&mut self, name: &str) -> Result<String> {
        let all = self.rest.next_if_eq(&'/').is_some();
        let pattern = Pattern::new(&self.until(Some('/'), true)?)?;
        let with = self.until(Some('}'), true)?;
        let out = pattern.replace(self.value(name).unwrap_or_default(), &with, all, self.limit)?;
        out.ok_or_else(|| self.too_long())
    }

    fn append(&self, out: &mut String, piece: &str) -> Result<()> {
        ensure!(out.len() + piece.len() <= self.limit, self.too_long());
        out.push_str(piece);
        Ok(())
    }

    fn too_long(&self) -> Error {
        usage(format!("a value grows longer than {} bytes", self.limit))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.variables.get(name)
    }

    /// Letters, digits and `_`; or digits alone; or one special parameter of the shell.
    fn name(&mut self) -> String {
        match self.rest.peek() {
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => self.rest.next().into_iter().collect(),
            Some(first) if first.is_ascii_digit() => self.letters(|letter| letter.is_ascii_digit()),
            _ => self.letters(|letter| letter.is_alphanumeric() || letter == '_'),
        }
    }

    fn letters(&mut self, wanted: fn(char) -> bool) -> String {
        let mut out = String::new();
        while let Some(letter) = self.rest.next_if(|letter| wanted(*letter)) {
            out.push(letter);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::base::error::render;

    fn variables() -> BTreeMap<String, String> {
        let pairs = [
            ("x", "val"),
            ("e", ""),
            ("p", "/usr/local/lib/a.tar.gz"),
            ("s", "a b"),
            ("star", "*"),
            ("V", "1.2.3"),
            ("ü", "umlaut"),
        ];
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn words_are_expanded() {
        let table = [
            ("plain", "plain"),
            ("$x", "val"),
            ("${x}", "val"),
            ("$x$x", "valval"),
            ("${x}y", "valy"),
            ("$xy", ""),
            ("a$", "a$"),
            ("$.", "$."),
            ("$1a$@", "a"),
            ("$ü", "umlaut"),
            ("$none", ""),
            // Defaults and alternatives.
            ("${x:-y}", "val"),
            ("${e:-y}", "y"),
            ("${e-y}", ""),
            ("${none:-y}", "y"),
            ("${none-y}", "y"),
            ("${none:-}", ""),
            ("${x:+y}", "y"),
            ("${e:+y}", ""),
            ("${e+y}", "y"),
            ("${none:+y}", ""),
            ("${none+y}", ""),
            ("${x:?e}", "val"),
            ("${e?e}", ""),
            // Nesting and quoting in the word.
            ("${none:-${x}}", "val"),
            ("${none:-${none:-$x-$x}}", "val-val"),
            ("${none:-\"a}b\"}", "a}b"),
            ("${none:-'$x'}", "$x"),
            (r"${none:-a\}b}", "a}b"),
            ("${x:+$s}", "a b"),
            // Quotes and escapes outside.
            (r"\$x", "$x"),
            (r"\${x}", "${x}"),
            (r"\\$x", r"\val"),
            ("'$x'", "$x"),
            ("\"$x\"", "val"),
            (r#""\$x""#, "$x"),
            (r#""a\b""#, r"a\b"),
            (r#""a\\b""#, r"a\b"),
            (r"a\b", "ab"),
            (r#""it's""#, "it's"),
            (r#"'a"b'"c'd""#, "a\"bc'd"),
            ("a\\ b", "a b"),
            ("\"\"", ""),
            ("tail\\", "tail"),
            // Patterns.
            ("${p#*/}", "usr/local/lib/a.tar.gz"),
            ("${p##*/}", "a.tar.gz"),
            ("${p%.*}", "/usr/local/lib/a.tar"),
            ("${p%%.*}", "/usr/local/lib/a"),
            ("${p%/*}", "/usr/local/lib"),
            ("${p#/usr}", "/local/lib/a.tar.gz"),
            ("${p#usr}", "/usr/local/lib/a.tar.gz"),
            ("${x#v?}", "l"),
            ("${x%?l}", "v"),
            ("${x#$x}", ""),
            ("${star#\\*}", ""),
            ("${x#\\*}", "val"),
            ("${none#a}", ""),
            ("${V%.*}", "1.2"),
            ("${V%%.*}", "1"),
            ("${V/./-}", "1-2.3"),
            ("${V//./-}", "1-2-3"),
            ("${V//./}", "123"),
            ("${V/?/x}", "x.2.3"),
            ("${V//[0-9]/x}", "1.2.3"),
            (r"${p/\/usr/\x}", r"\x/local/lib/a.tar.gz"),
            ("${p//\\//_}", "_usr_local_lib_a.tar.gz"),
            ("${x/v*/$s}", "a b"),
            ("${x/nothing/y}", "val"),
            ("v${V%.*}-${x:+suffix}", "v1.2-suffix"),
        ];
        for (text, value) in table {
            assert_eq!(word(text, &variables(), '\\').unwrap(), value, "{text}");
        }
    }

    #[test]
    fn a_backtick_makes_the_backslash_ordinary() {
        let table = [(r"c:\$x", r"c:\val"), ("`$x", "$x"), (r#""\`"$x""#, r#"\"val"#), (r"a\b", r"a\b")];
        for (text, value) in table {
            assert_eq!(word(text, &variables(), '`').unwrap(), value, "{text}");
        }
    }

    #[test]
    fn heredocs_keep_their_quotes() {
        let table = [("it's \"$x\"\n", "it's \"val\"\n"), (r"\$x $x", "$x val"), ("# $x\n", "# val\n")];
        for (text, value) in table {
            assert_eq!(heredoc(text, &variables(), '\\').unwrap(), value, "{text}");
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let table = [
            ("${x", "`${x` without its `}`"),
            ("${none:-a", "a `${` without its `}`"),
            ("${", "`${` needs the name of a variable"),
            ("${}", "`${` needs the name of a variable"),
            ("${x!}", "`${x!` is no substitution that is known"),
            ("${x:y}", "`${x:` must be followed by `-`, `+` or `?`"),
            ("${none:?give it}", "none: give it"),
            ("${none?}", "none: is not set"),
            ("${e:?}", "e: is empty"),
            ("${x/a}", "a `${` without its `/`"),
            ("'a", "a single quote without its end"),
            ("\"a", "a double quote without its end"),
        ];
        for (text, says) in table {
            assert_eq!(render(&word(text, &variables(), '\\').unwrap_err()), says, "{text}");
        }
    }

    #[test]
    fn growth_is_bounded() {
        let mut variables = variables();
        variables.insert("big".into(), "x".repeat(MAX_WORD / 2));
        assert!(word("$big$big", &variables, '\\').is_ok());
        assert!(word("$big$big$big", &variables, '\\').is_err());
        assert!(word("${big//x/xxx}", &variables, '\\').is_err());
        assert!(word("${big//*x*x*x*y/}", &variables, '\\').is_err());
        let deep = "${none:-".repeat(10_000) + &"}".repeat(10_000);
        assert!(word(&deep, &variables, '\\').is_err());
    }
}
