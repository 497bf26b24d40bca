//! `--flag` words of an instruction against the table of those that it knows.

use crate::base::error::{Explain, Result, usage};
use crate::base::words::{boolean, nearest};

/// A flag that an instruction knows.
pub(super) struct Flag {
    name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// `--name` or `--name=BOOL`
    Switch,
    /// `--name=VALUE`, once.
    Text,
    /// `--name=VALUE`, any number of times.
    List,
}

impl Flag {
    pub(super) const fn switch(name: &'static str) -> Flag {
        Flag { name, kind: Kind::Switch }
    }
    pub(super) const fn text(name: &'static str) -> Flag {
        Flag { name, kind: Kind::Text }
    }
    pub(super) const fn list(name: &'static str) -> Flag {
        Flag { name, kind: Kind::List }
    }
}

/// The flags that were given.
pub(super) struct Flags(Vec<(&'static str, String)>);

impl Flags {
    /// Checks the words (with their dashes) against the table.
    pub(super) fn parse(keyword: &str, words: Vec<String>, known: &[Flag]) -> Result<Flags> {
        let mut given: Vec<(&'static str, String)> = Vec::new();
        for word in words {
            let (name, value) =
                word.split_once('=').map_or((&word[..], None), |(name, value)| (name, Some(value)));
            let Some(flag) = known.iter().find(|flag| Some(flag.name) == name.strip_prefix("--")) else {
                return Err(unknown(keyword, name, known));
            };
            if flag.kind != Kind::List && given.iter().any(|(name, _)| *name == flag.name) {
                return Err(usage(format!("`{name}` is given twice")));
            }
            let value = match (flag.kind, value) {
                (Kind::Switch, None) => "true",
                (Kind::Switch, Some(value)) => match boolean(name, value)? {
                    true => "true",
                    false => "false",
                },
                (_, Some(value)) => value,
                (_, None) => return Err(usage(format!("`{name}` needs a value: `{name}=VALUE`"))),
            };
            given.push((flag.name, value.to_owned()));
        }
        Ok(Flags(given))
    }

    /// Takes the value of a flag that may be given once; an empty one is none.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.list(name).pop().filter(|value| !value.is_empty())
    }

    /// Takes a switch, `None` when it was not given.
    pub(super) fn switch(&mut self, name: &str) -> Option<bool> {
        self.list(name).pop().map(|value| value == "true")
    }

    /// Takes all values of a flag.
    pub(super) fn list(&mut self, name: &str) -> Vec<String> {
        self.0.extract_if(.., |(given, _)| *given == name).map(|(_, value)| value).collect()
    }
}

fn unknown(keyword: &str, name: &str, known: &[Flag]) -> crate::base::error::Error {
    let error = usage(format!("`{keyword}` does not know the flag `{name}`"));
    match nearest(name.trim_start_matches('-'), known.iter().map(|flag| flag.name)) {
        Some(meant) => error.hint(format!("did you mean `--{meant}`?")),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{hints_of, render};

    const KNOWN: &[Flag] = &[Flag::text("from"), Flag::switch("link"), Flag::list("exclude")];

    fn parse(words: &[&str]) -> Result<Flags> {
        Flags::parse("COPY", words.iter().map(|word| word.to_string()).collect(), KNOWN)
    }

    #[test]
    fn flags_are_checked_against_the_table() {
        let mut flags = parse(&["--from=a=b", "--link", "--exclude=x", "--exclude=y"]).unwrap();
        assert_eq!((flags.text("from").as_deref(), flags.switch("link")), (Some("a=b"), Some(true)));
        assert_eq!((flags.list("exclude"), flags.text("from")), (vec!["x".to_owned(), "y".into()], None));
        assert_eq!(parse(&["--link=false"]).unwrap().switch("link"), Some(false));
        let table = [
            (&["--form=x"][..], "`COPY` does not know the flag `--form`", &["did you mean `--from`?"][..]),
            (&["--wholly-other"], "`COPY` does not know the flag `--wholly-other`", &[]),
            (&["--from"], "`--from` needs a value: `--from=VALUE`", &[]),
            (&["--from=a", "--from=b"], "`--from` is given twice", &[]),
            (&["--link=maybe"], "`--link` takes true or false, not `maybe`", &[]),
        ];
        for (words, says, hints) in table {
            let error = parse(words).err().unwrap();
            assert_eq!(
                (render(&error).as_str(), hints_of(&error)),
                (says, &hints.iter().map(|h| h.to_string()).collect::<Vec<_>>()[..])
            );
        }
    }
}
