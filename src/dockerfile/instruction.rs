//! One instruction: its flags and words.

use std::time::Duration;

use super::ast::{
    ArgDecl, Command, Healthcheck, Heredoc, Instruction, Network, Run, RunCommand, Security, Source,
    Transfer, TransferSource,
};
use super::flags::{Flag, Flags};
use super::{mount, parser, words};
use crate::base::chmod::Chmod;
use crate::base::error::{Context, Error, Explain, Result, bail, ensure, usage};
use crate::base::time::parse_duration;

/// Parses what follows a keyword other than `FROM`.
pub(super) fn parse(keyword: &str, rest: &str, source: &Source, escape: char) -> Result<Instruction> {
    let (flags, rest) = words::flags(rest, escape);
    let known: &[Flag] = match keyword {
        "RUN" => &[Flag::list("mount"), Flag::text("network"), Flag::text("security")],
        "COPY" => COPY,
        "ADD" => ADD,
        "HEALTHCHECK" => HEALTHCHECK,
        _ => &[],
    };
    let flags = Flags::parse(keyword, flags, known)?;
    ensure!(!rest.is_empty(), needs(keyword));
    Ok(match keyword {
        "ARG" => Instruction::Arg(args(rest, escape)?),
        "ENV" => Instruction::Env(pairs(keyword, rest, escape)?),
        "LABEL" => Instruction::Label(pairs(keyword, rest, escape)?),
        "MAINTAINER" => Instruction::Maintainer(rest.to_owned()),
        "RUN" => Instruction::Run(run(flags, rest, source)?),
        "COPY" => Instruction::Copy(transfer(keyword, flags, rest, source)?),
        "ADD" => Instruction::Add(transfer(keyword, flags, rest, source)?),
        "CMD" => Instruction::Cmd(command(rest)?),
        "ENTRYPOINT" => Instruction::Entrypoint(command(rest)?),
        "WORKDIR" => Instruction::Workdir(rest.to_owned()),
        "USER" => Instruction::User(rest.to_owned()),
        "VOLUME" => Instruction::Volume(list(rest)?),
        "EXPOSE" => Instruction::Expose(rest.split_whitespace().map(str::to_owned).collect()),
        "STOPSIGNAL" => Instruction::StopSignal(rest.to_owned()),
        "HEALTHCHECK" => Instruction::Healthcheck(healthcheck(flags, rest)?),
        "SHELL" => Instruction::Shell(shell(rest)?),
        "ONBUILD" => Instruction::Onbuild(onbuild(rest, source)?),
        _ => bail!("unknown instruction `{keyword}`"),
    })
}

fn needs(keyword: &str) -> Error {
    usage(format!("`{keyword}` needs an argument"))
}

/// `NAME[=DEFAULT]…`
fn args(rest: &str, escape: char) -> Result<Vec<ArgDecl>> {
    let arg = |word: String| {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name.to_owned(), Some(default.to_owned())),
            None => (word, None),
        };
        ensure!(!name.is_empty(), usage("`ARG` needs a name before `=`"));
        Ok(ArgDecl { name, default })
    };
    words::split(rest, escape).into_iter().map(arg).collect()
}

/// `NAME=VALUE…`, or the old form `NAME VALUE` with everything after the first blank.
fn pairs(keyword: &str, rest: &str, escape: char) -> Result<Vec<(String, String)>> {
    let words = words::split(rest, escape);
    if words.first().is_some_and(|first| !first.contains('=')) {
        let (name, value) = rest.split_once(char::is_whitespace).with_context(|| {
            usage(format!("`{keyword}` needs a value: `{keyword} NAME=VALUE`")).to_string()
        })?;
        return Ok(vec![(name.to_owned(), value.trim_start().to_owned())]);
    }
    let pair = |word: String| {
        let (name, value) = word.split_once('=').ok_or_else(|| {
            usage(format!("`{word}` has no `=`")).hint("a value with blanks needs quotes: NAME=\"a b\"")
        })?;
        ensure!(!name.is_empty(), usage(format!("`{keyword}` needs a name before `=`")));
        Ok((name.to_owned(), value.to_owned()))
    };
    words.into_iter().map(pair).collect()
}

/// JSON or blank-separated words.
fn list(rest: &str) -> Result<Vec<String>> {
    Ok(words::json(rest)?.unwrap_or_else(|| rest.split_whitespace().map(str::to_owned).collect()))
}

fn command(rest: &str) -> Result<Command> {
    Ok(words::json(rest)?.map_or_else(|| Command::Shell(rest.to_owned()), Command::Exec))
}

fn shell(rest: &str) -> Result<Vec<String>> {
    match words::json(rest)? {
        Some(words) if !words.is_empty() => Ok(words),
        _ => Err(usage("`SHELL` takes a JSON array").hint("for example SHELL [\"/bin/bash\", \"-c\"]")),
    }
}

fn run(mut flags: Flags, rest: &str, source: &Source) -> Result<Run> {
    let mounts = flags.list("mount");
    mounts.iter().try_for_each(|text| mount::check(text))?;
    let network = match flags.text("network").as_deref() {
        None | Some("default") => Network::Default,
        Some("none") => Network::None,
        Some("host") => Network::Host,
        Some(other) => return Err(usage(format!("`--network` is default, none or host, not `{other}`"))),
    };
    let security = match flags.text("security").as_deref() {
        None | Some("sandbox") => Security::Sandbox,
        Some("insecure") => Security::Insecure,
        Some(other) => return Err(usage(format!("`--security` is sandbox or insecure, not `{other}`"))),
    };
    Ok(Run { mounts, network, security, command: run_command(rest, source)? })
}

/// A lone heredoc is a script; after a command it is left to the shell, which gets the whole text.
fn run_command(rest: &str, source: &Source) -> Result<RunCommand> {
    if let Some(words) = words::json(rest)? {
        ensure!(!words.is_empty(), needs("RUN"));
        return Ok(RunCommand::Exec(words));
    }
    let lone = !rest.contains(char::is_whitespace) && words::marker(rest, false).is_some();
    match source.heredocs.as_slice() {
        [] => Ok(RunCommand::Shell(rest.to_owned())),
        [only] if lone => {
            let script = unix(&stripped(only).content);
            Ok(if script.starts_with("#!") { RunCommand::Script(script) } else { RunCommand::Shell(script) })
        }
        several => {
            let mut text = format!("{rest}\n");
            for heredoc in several {
                text += &format!("{}{}\n", unix(&heredoc.content), heredoc.name);
            }
            Ok(RunCommand::Shell(text))
        }
    }
}

/// No shell understands the line ends of other systems.
fn unix(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// `<<-` takes the tabs off the beginning of each line.
fn stripped(heredoc: &Heredoc) -> Heredoc {
    let mut heredoc = heredoc.clone();
    if heredoc.strip_tabs {
        let lines = heredoc.content.split_inclusive('\n');
        heredoc.content = lines.map(|line| line.trim_start_matches('\t')).collect();
    }
    heredoc
}

const COPY: &[Flag] = &[
    Flag::text("from"),
    Flag::text("chown"),
    Flag::text("chmod"),
    Flag::switch("link"),
    Flag::switch("parents"),
    Flag::list("exclude"),
];

const ADD: &[Flag] = &[
    Flag::text("chown"),
    Flag::text("chmod"),
    Flag::switch("link"),
    Flag::list("exclude"),
    Flag::text("checksum"),
    Flag::switch("keep-git-dir"),
    Flag::switch("unpack"),
];

fn transfer(keyword: &str, mut flags: Flags, rest: &str, source: &Source) -> Result<Transfer> {
    let mut words = list(rest)?;
    let (Some(dest), true) = (words.pop(), !words.is_empty()) else {
        return Err(usage(format!("`{keyword}` needs a source and a destination")));
    };
    let mut heredocs = source.heredocs.iter();
    let mut sources = Vec::new();
    for word in words {
        let inline = words::marker(&word, false).is_some().then(|| heredocs.next()).flatten();
        sources.push(inline.map_or(TransferSource::Path(word), |doc| TransferSource::Inline(stripped(doc))));
    }
    ensure!(
        heredocs.next().is_none(),
        usage(format!("`{keyword}` cannot have a heredoc as its destination"))
    );
    let chmod = flags.text("chmod");
    if let Some(mode) = chmod.as_deref().filter(|mode| !mode.contains('$')) {
        Chmod::parse(mode)?;
    }
    Ok(Transfer {
        sources,
        dest,
        from: flags.text("from"),
        chown: flags.text("chown"),
        chmod,
        link: flags.switch("link").unwrap_or_default(),
        parents: flags.switch("parents").unwrap_or_default(),
        exclude: flags.list("exclude"),
        checksum: flags.text("checksum"),
        keep_git_dir: flags.switch("keep-git-dir").unwrap_or_default(),
        unpack: flags.switch("unpack"),
    })
}

const HEALTHCHECK: &[Flag] = &[
    Flag::text("interval"),
    Flag::text("timeout"),
    Flag::text("start-period"),
    Flag::text("start-interval"),
    Flag::text("retries"),
];

fn healthcheck(mut flags: Flags, rest: &str) -> Result<Healthcheck> {
    let (kind, rest) = words::keyword(rest);
    match (kind.as_str(), rest) {
        ("NONE", "") => Ok(Healthcheck::None),
        ("NONE", _) => Err(usage("`HEALTHCHECK NONE` takes no arguments")),
        ("CMD", "") => Err(usage("`HEALTHCHECK CMD` needs a command")),
        ("CMD", _) => Ok(Healthcheck::Cmd {
            command: match command(rest)? {
                Command::Exec(words) if words.is_empty() => {
                    return Err(usage("`HEALTHCHECK CMD` needs a command"));
                }
                command => command,
            },
            interval: duration(&mut flags, "interval")?,
            timeout: duration(&mut flags, "timeout")?,
            start_period: duration(&mut flags, "start-period")?,
            start_interval: duration(&mut flags, "start-interval")?,
            retries: retries(&mut flags)?,
        }),
        _ => Err(usage(format!("`HEALTHCHECK` is followed by `CMD` or `NONE`, not `{kind}`"))),
    }
}

/// A Go duration with its unit; zero is the default of whoever runs the check, like nothing.
fn duration(flags: &mut Flags, name: &str) -> Result<Option<Duration>> {
    let Some(text) = flags.text(name) else { return Ok(None) };
    let unitless = text != "0" && text.ends_with(|last: char| last.is_ascii_digit());
    ensure!(!unitless, usage(format!("`--{name}={text}` needs a unit: `{text}s`")));
    let duration = parse_duration(&text).with_context(|| format!("read `--{name}`"))?;
    let short = !duration.is_zero() && duration < Duration::from_millis(1);
    ensure!(!short, usage(format!("`--{name}={text}` is shorter than 1ms")));
    Ok((!duration.is_zero()).then_some(duration))
}

fn retries(flags: &mut Flags) -> Result<Option<u32>> {
    let Some(text) = flags.text("retries") else { return Ok(None) };
    let number = text.parse::<u32>().ok();
    let number = number.ok_or_else(|| usage(format!("`--retries={text}` is not a number, or below zero")))?;
    Ok((number > 0).then_some(number))
}

/// The trigger as it is written, heredocs with it.
fn onbuild(rest: &str, source: &Source) -> Result<String> {
    parser::check_trigger(&words::keyword(rest).0)?;
    let mut text = rest.to_owned();
    for heredoc in &source.heredocs {
        text += &format!("\n{}{}", heredoc.content, heredoc.name);
    }
    Ok(text)
}
