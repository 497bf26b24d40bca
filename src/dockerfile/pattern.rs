//! The patterns of `${x#p}` and its kin: `*`, `?` and escapes; `/` is an ordinary character, brackets too.

use crate::base::error::{Result, usage};

/// How many steps of comparison one expansion may take; ordinary ones need hundreds.
const MAX_STEPS: usize = 1 << 24;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    Letter(char),
    One,
    Any,
}

/// A compiled pattern.
pub(super) struct Pattern(Vec<Token>);

impl Pattern {
    /// Compiles a pattern; a backslash takes `*`, `?`, `\`, `/` and `}` literally.
    pub(super) fn new(text: &str) -> Result<Pattern> {
        let mut tokens = Vec::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            let token = match letter {
                '*' if tokens.last() == Some(&Token::Any) => continue,
                '*' => Token::Any,
                '?' => Token::One,
                '\\' => match letters.next() {
                    Some(next @ ('*' | '?' | '\\' | '/' | '}')) => Token::Letter(next),
                    Some(next) => {
                        return Err(usage(format!(
                            "the pattern `{text}` escapes `{next}`, which is not special"
                        )));
                    }
                    None => return Err(usage(format!("the pattern `{text}` ends in its escape character"))),
                },
                other => Token::Letter(other),
            };
            tokens.push(token);
        }
        Ok(Pattern(tokens))
    }

    /// The value without the shortest or longest prefix that matches.
    pub(super) fn without_prefix(&self, value: &str, longest: bool) -> Result<String> {
        let length = self.prefix(value.chars(), longest, &mut { MAX_STEPS })?;
        Ok(value.chars().skip(length.unwrap_or_default()).collect())
    }

    /// The value without the shortest or longest suffix that matches.
    pub(super) fn without_suffix(&self, value: &str, longest: bool) -> Result<String> {
        let backwards = Pattern(self.0.iter().rev().copied().collect());
        let length = backwards.prefix(value.chars().rev(), longest, &mut { MAX_STEPS })?;
        Ok(value.chars().take(value.chars().count() - length.unwrap_or_default()).collect())
    }

    /// The value with the first or all (longest) matches replaced; `None` when it grows beyond `limit` bytes.
    pub(super) fn replace(&self, value: &str, with: &str, all: bool, limit: usize) -> Result<Option<String>> {
        let (mut out, mut rest, mut steps) = (String::new(), value, MAX_STEPS);
        while !rest.is_empty() && out.len() + rest.len() <= limit {
            match self.prefix(rest.chars(), true, &mut steps)? {
                Some(length) if length > 0 => {
                    out.push_str(with);
                    rest = &rest[rest.char_indices().nth(length).map_or(rest.len(), |(at, _)| at)..];
                    if !all {
                        break;
                    }
                }
                _ => {
                    let mut letters = rest.chars();
                    out.extend(letters.next());
                    rest = letters.as_str();
                }
            }
        }
        out.push_str(rest);
        Ok((out.len() <= limit).then_some(out))
    }

    /// The number of letters of the shortest or longest prefix that matches, all alternatives followed at once.
    fn prefix(
        &self,
        letters: impl Iterator<Item = char>,
        longest: bool,
        steps: &mut usize,
    ) -> Result<Option<usize>> {
        let mut states = vec![false; self.0.len() + 1];
        self.reach(&mut states, 0);
        let mut found = None;
        for (length, letter) in letters.map(Some).chain([None]).enumerate() {
            if states[self.0.len()] {
                found = Some(length);
                if !longest {
                    break;
                }
            }
            let Some(letter) = letter else { break };
            *steps =
                steps.checked_sub(states.len()).ok_or_else(|| usage("a pattern takes too long to match"))?;
            let mut next = vec![false; states.len()];
            for (at, token) in self.0.iter().enumerate().filter(|(at, _)| states[*at]) {
                match token {
                    Token::Any => self.reach(&mut next, at),
                    Token::One => self.reach(&mut next, at + 1),
                    Token::Letter(wanted) if *wanted == letter => self.reach(&mut next, at + 1),
                    Token::Letter(_) => {}
                }
            }
            if !next.contains(&true) {
                break;
            }
            states = next;
        }
        Ok(found)
    }

    /// Marks a state, and what follows a `*` that matches nothing.
    fn reach(&self, states: &mut [bool], at: usize) {
        states[at] = true;
        if self.0.get(at) == Some(&Token::Any) {
            states[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_suffixes_are_trimmed() {
        let table = [
            ("*", "abc", "abc", "", "abc", ""),
            ("a*b", "aXbYb", "Yb", "", "", ""),
            ("*b", "aXbYb", "Yb", "", "aXbY", ""),
            ("?", "äbc", "bc", "bc", "äb", "äb"),
            ("", "abc", "abc", "abc", "abc", "abc"),
            ("**c", "abc", "", "", "ab", ""),
        ];
        for (pattern, value, short, long, short_end, long_end) in table {
            let compiled = Pattern::new(pattern).unwrap();
            assert_eq!(compiled.without_prefix(value, false).unwrap(), short, "{pattern} # {value}");
            assert_eq!(compiled.without_prefix(value, true).unwrap(), long, "{pattern} ## {value}");
            assert_eq!(compiled.without_suffix(value, false).unwrap(), short_end, "{pattern} % {value}");
            assert_eq!(compiled.without_suffix(value, true).unwrap(), long_end, "{pattern} %% {value}");
        }
        assert!(Pattern::new("a\\").is_err() && Pattern::new("\\a").is_err());
    }

    #[test]
    fn costly_patterns_are_given_up() {
        let value = "a".repeat(100_000);
        let pattern = Pattern::new(&"*a".repeat(1000)).unwrap();
        assert!(pattern.replace(&value, "", true, 1 << 20).is_err());
    }
}
