//! From logical lines to stages.

use super::ast::{
    ArgDecl, DEFAULT_ESCAPE, Directives, Dockerfile, GlobalArg, Instruction, Source, Stage, Step, Warning,
};
use super::flags::{Flag, Flags};
use super::{instruction, lexer, words};
use crate::base::error::{Explain, Result, bail, ensure, usage};
use crate::base::words::nearest;

/// The most stages; their names are searched one by one.
const MAX_STAGES: usize = 4096;

/// All keywords.
const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Parses a file; `name` is what messages call it. Errors carry file, line and the line's text.
pub fn parse(name: &str, text: &str) -> Result<Dockerfile> {
    let lexed = lexer::lex(name, text)?;
    if lexed.lines.is_empty() {
        return Err(
            usage(format!("`{name}` has no instructions")).hint("a Dockerfile begins with `FROM image`")
        );
    }
    let mut parser = Parser { directives: lexed.directives, args: Vec::new(), stages: Vec::new() };
    for line in lexed.lines {
        let source = line.clone();
        parser.line(line).map_err(|error| source.explain(error))?;
    }
    if parser.stages.is_empty() {
        return Err(usage(format!("`{name}` has no `FROM`: there is nothing to build")));
    }
    let mut warnings = lexed.warnings;
    warnings.extend(duplicates(&parser.stages));
    Ok(Dockerfile { directives: parser.directives, args: parser.args, stages: parser.stages, warnings })
}

/// Parses an `ONBUILD` trigger out of an image's configuration; `name` is the image, for messages. `FROM`, `ONBUILD`
/// and `MAINTAINER` are refused.
pub fn parse_trigger(name: &str, text: &str) -> Result<Step> {
    let lexed = lexer::lex(name, text)?;
    let mut lines = lexed.lines.into_iter();
    let (Some(source), None) = (lines.next(), lines.next()) else {
        bail!("the trigger `{text}` of `{name}` is not one instruction");
    };
    let (keyword, rest) = words::keyword(&source.text);
    let instruction =
        check_trigger(&keyword).and_then(|()| instruction::parse(&keyword, rest, &source, DEFAULT_ESCAPE));
    let instruction = instruction.map_err(|error| source.explain(error))?;
    Ok(Step { source, escape: DEFAULT_ESCAPE, instruction })
}

/// Refuses what cannot be a trigger.
pub(super) fn check_trigger(keyword: &str) -> Result<()> {
    match keyword {
        "ONBUILD" => Err(usage("`ONBUILD` cannot be the trigger of `ONBUILD`")),
        "FROM" | "MAINTAINER" => Err(usage(format!("`{keyword}` cannot be a trigger of `ONBUILD`"))),
        _ => check_keyword(keyword),
    }
}

fn check_keyword(keyword: &str) -> Result<()> {
    if KEYWORDS.contains(&keyword) {
        return Ok(());
    }
    let error = usage(format!("unknown instruction `{keyword}`"));
    Err(match nearest(keyword, KEYWORDS) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error,
    })
}

struct Parser {
    directives: Directives,
    args: Vec<GlobalArg>,
    stages: Vec<Stage>,
}

impl Parser {
    fn line(&mut self, source: Source) -> Result<()> {
        let (keyword, rest) = words::keyword(&source.text);
        check_keyword(&keyword)?;
        let escape = self.directives.escape;
        if keyword == "FROM" {
            ensure!(self.stages.len() < MAX_STAGES, usage(format!("more than {MAX_STAGES} stages")));
            let stage = from(rest, self.stages.len(), &source, escape)?;
            self.stages.push(stage);
            return Ok(());
        }
        let instruction = instruction::parse(&keyword, rest, &source, escape)?;
        match (self.stages.last_mut(), instruction) {
            (Some(stage), instruction) => stage.steps.push(Step { source, escape, instruction }),
            (None, Instruction::Arg(args)) => self.args.push(GlobalArg { source, escape, args }),
            (None, _) => {
                return Err(
                    usage(format!("`{keyword}` before the first `FROM`")).hint("only `ARG` may stand there")
                );
            }
        }
        Ok(())
    }
}

/// `FROM [--platform=…] BASE [AS NAME]`
fn from(rest: &str, index: usize, source: &Source, escape: char) -> Result<Stage> {
    let (flags, rest) = words::flags(rest, escape);
    let mut flags = Flags::parse("FROM", flags, &[Flag::text("platform")])?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (base, name) = match words[..] {
        [base] => (base, None),
        [base, r#as, name] if r#as.eq_ignore_ascii_case("AS") => (base, Some(stage_name(name)?)),
        _ => return Err(usage("`FROM` takes an image, or `IMAGE AS NAME`")),
    };
    Ok(Stage {
        index,
        name,
        base: base.to_owned(),
        platform: flags.text("platform"),
        source: source.clone(),
        escape,
        steps: Vec::new(),
    })
}

/// In lower case; a letter, then letters, digits, `-`, `_` and `.`.
fn stage_name(name: &str) -> Result<String> {
    let lower = name.to_ascii_lowercase();
    let mut letters = lower.chars();
    let valid = letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    if !valid {
        let wrong = usage(format!("`{name}` is not a name for a stage"));
        return Err(wrong.hint("a name begins with a letter and holds letters, digits, `-`, `_` and `.`"));
    }
    Ok(lower)
}

/// A warning for each stage that hides another of its name.
fn duplicates(stages: &[Stage]) -> Vec<Warning> {
    let hides = |stage: &&Stage| {
        stage.name.is_some() && stages[..stage.index].iter().any(|earlier| earlier.name == stage.name)
    };
    let warning = |stage: &Stage| Warning {
        line: stage.source.first,
        message: format!("the stage name `{}` was used before", stage.label()),
    };
    stages.iter().filter(hides).map(warning).collect()
}

/// The names of the arguments that a file declares anywhere.
pub(super) fn declared(file: &Dockerfile) -> impl Iterator<Item = &ArgDecl> {
    let global = file.args.iter().flat_map(|arg| &arg.args);
    let steps = file.stages.iter().flat_map(|stage| &stage.steps);
    global.chain(steps.flat_map(|step| match &step.instruction {
        Instruction::Arg(args) => args.as_slice(),
        _ => &[],
    }))
}
