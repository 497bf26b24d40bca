//! From `argv` to the typed command: clap does the work; here are Go's ways of writing a flag that clap does
//! not know, and clap's errors in dhow's words.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};

use super::{Dhow, refuse, values};
use crate::base::error::{Error, Explain, Kind, Result, fail};

/// What a command line asks for.
#[derive(Debug)]
pub enum Typed {
    /// Something to do.
    Command(Box<Dhow>),
    /// Help or a version, to be printed on stdout.
    Page(String),
}

/// Parses a command line, its first word being the program's own name.
pub fn parse(mut args: Vec<OsString>) -> Result<Typed> {
    name_program(&mut args);
    help_word(&mut args);
    loop {
        let error = match attempt(&args) {
            Ok(typed) => return Ok(Typed::Command(Box::new(typed))),
            Err(error) => error,
        };
        if !rewrite_switch(&mut args, &error) {
            return explain(&args, &error);
        }
    }
}

fn attempt(args: &[OsString]) -> Result<Dhow, clap::Error> {
    let matches = Dhow::command().try_get_matches_from(args)?;
    Dhow::from_arg_matches(&matches)
}

/// Help and errors name the program as it was called: `docker` and `podman` may be links to it.
fn name_program(args: &mut Vec<OsString>) {
    let called =
        args.first().map(std::path::Path::new).and_then(|path| path.file_name()).map(OsStr::to_owned);
    let name = called.unwrap_or_else(|| "dhow".into());
    match args.first_mut() {
        Some(first) => *first = name,
        None => args.push(name),
    }
}

/// `dhow help run` is `dhow run --help`, and `dhow help` is `dhow --help`.
fn help_word(args: &mut Vec<OsString>) {
    if args.get(1).is_some_and(|word| word == "help") {
        args.remove(1);
        args.push("--help".into());
    }
}

/// Go's flags take `--rm=false` and `-t=true` where clap's take no value. When that is what clap stumbled over,
/// the word is rewritten (`--rm`, or nothing) and the caller parses again; everything else is left alone.
fn rewrite_switch(args: &mut Vec<OsString>, error: &clap::Error) -> bool {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return false };
    match error.kind() {
        ErrorKind::TooManyValues => {
            // `--rm` or `-i, --interactive`; the value decides, whichever spelling was typed.
            let names: Vec<String> = flag.split(", ").map(|name| format!("{name}=")).collect();
            let at = args.iter().position(|word| {
                word.to_str().is_some_and(|word| names.iter().any(|name| word.starts_with(name.as_str())))
            });
            at.is_some_and(|at| replace(args, at))
        }
        ErrorKind::UnknownArgument if flag.starts_with("-=") || flag == "-=" => {
            let at = args.iter().position(|word| word.to_str().is_some_and(is_short_switch));
            at.is_some_and(|at| replace(args, at))
        }
        _ => false,
    }
}

fn is_short_switch(word: &str) -> bool {
    word.strip_prefix('-').and_then(|rest| rest.split_once('=')).is_some_and(|(letters, value)| {
        !letters.is_empty()
            && letters.bytes().all(|letter| letter.is_ascii_alphabetic())
            && values::go_bool(value).is_ok()
    })
}

/// Rewrites `flag=true` to `flag`; `flag=false` takes the flag and its earlier uses away.
fn replace(args: &mut Vec<OsString>, at: usize) -> bool {
    let Some((flag, value)) = args[at].to_str().and_then(|word| word.split_once('=')) else { return false };
    let (flag, Ok(on)) = (flag.to_owned(), values::go_bool(value)) else { return false };
    match (on, flag.starts_with("--")) {
        (true, _) => args[at] = flag.into(),
        (false, false) if flag.len() > 2 => args[at] = flag[..flag.len() - 1].into(),
        (false, _) => {
            let mut index = 0;
            args.retain(|word| {
                index += 1;
                index > at + 1 || (index != at + 1 && word.to_str() != Some(&flag))
            });
        }
    }
    true
}

/// Turns clap's answer into a page for stdout or into an error with hints.
fn explain(args: &[OsString], error: &clap::Error) -> Result<Typed> {
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Ok(Typed::Page(page(error))),
        _ => Err(refuse::known(args, error).unwrap_or_else(|| translate(args, error))),
    }
}

fn page(error: &clap::Error) -> String {
    let rendered = error.render();
    let colour = crate::ui::printer::stdout_is_terminal() && std::env::var_os("NO_COLOR").is_none();
    plain(&if colour { rendered.ansi().to_string() } else { rendered.to_string() })
}

/// clap shows a command with its arguments as one value, `<IMAGE [COMMAND [ARG]...]>...`; this gives
/// `IMAGE [COMMAND [ARG]...]`.
pub(super) fn plain(text: &str) -> String {
    let (mut done, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find('<') {
        let (before, from) = rest.split_at(start);
        done.push_str(before);
        match from.find(">...").map(|end| &from[1..end]) {
            Some(inner) if inner.contains(" [") && !inner.contains(['\n', '<']) => {
                done.push_str(inner);
                rest = &from[inner.len() + ">...".len() + 1..];
            }
            _ => {
                done.push('<');
                rest = &from[1..];
            }
        }
    }
    done + rest
}

/// clap's first paragraph is the message, its tips are hints, and its usage is one `--help` away.
fn translate(args: &[OsString], error: &clap::Error) -> Error {
    let text = error.render().to_string();
    let body =
        text.split("\n\nUsage:").next().unwrap_or(&text).split("\n\nFor more").next().unwrap_or_default();
    let (mut message, mut hints) = (String::new(), Vec::new());
    for line in body.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            hints.push(quoted(tip));
        } else {
            let line = line.strip_prefix("error: ").unwrap_or(line);
            message.push_str(if message.is_empty() { "" } else { " " });
            message.push_str(line);
        }
    }
    let mut failed = fail(Kind::Usage, quoted(&message));
    for hint in hints {
        failed = failed.hint(hint);
    }
    failed.hint(format!("`{} --help` lists what it takes", command_words(args).join(" ")))
}

/// clap quotes with apostrophes, dhow with backticks; an apostrophe inside a word stays.
fn quoted(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let inside = |index: usize| {
        let letter =
            |at: Option<usize>| at.and_then(|at| characters.get(at)).is_some_and(|c| c.is_alphanumeric());
        letter(index.checked_sub(1)) && letter(Some(index + 1))
    };
    let swap = |(index, c): (usize, &char)| if *c == '\'' && !inside(index) { '`' } else { *c };
    characters.iter().enumerate().map(swap).collect()
}

/// The program and the subcommands that were typed.
pub(super) fn command_words(args: &[OsString]) -> Vec<String> {
    let mut tree = Dhow::command();
    let mut words = vec![args.first().map_or_else(String::new, |name| name.to_string_lossy().into_owned())];
    for word in args.iter().skip(1).filter_map(|word| word.to_str()) {
        match tree.find_subcommand(word).cloned() {
            Some(found) => {
                words.push(word.to_owned());
                tree = found;
            }
            None if word.starts_with('-') => {}
            None => break,
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_arguments_is_shown_as_words() {
        let cases = [
            ("run [OPTIONS] <IMAGE [COMMAND [ARG]...]>...", "run [OPTIONS] IMAGE [COMMAND [ARG]...]"),
            ("rm [OPTIONS] [IMAGE]...", "rm [OPTIONS] [IMAGE]..."),
            ("tag <IMAGE> <NAME>...", "tag <IMAGE> <NAME>..."),
            ("a < b", "a < b"),
        ];
        for (shown, wanted) in cases {
            assert_eq!(plain(shown), wanted);
        }
    }
}
