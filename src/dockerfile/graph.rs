//! Which stage needs which: bases, `COPY --from`, `RUN --mount=from=`.

use std::collections::BTreeSet;

use super::action::Action;
use super::ast::{Dockerfile, Instruction, Stage};
use super::expand;
use super::mount::Mount;
use super::scope::{Globals, Scope, Variables};
use crate::base::error::{Explain, Result, ensure, usage};
use crate::base::words::nearest;

/// The most that the variables of all stages may hold together, in bytes.
const MAX_SCOPES: usize = 64 << 20;

/// What a `FROM` or a `from` names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `FROM scratch`: nothing.
    Scratch,
    /// A stage of the file, by index.
    Stage(usize),
    /// A `--build-context` of this name; hides stages and images.
    Context(String),
    /// An image.
    Image(String),
}

/// The stages that a target needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Index of the stage to be built.
    pub target: usize,
    /// By index of the stage; `None` for those that are not needed.
    pub stages: Vec<Option<Planned>>,
}

/// A stage that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What it begins with.
    pub base: Origin,
    /// `--platform`, expanded.
    pub platform: Option<String>,
    /// Everything it needs beside its base; `ENV` of base images is not known here, so that a `from` that depends on
    /// one is found only when the step is expanded.
    pub needs: BTreeSet<Origin>,
}

/// Resolves bases and dependencies. `target` is a stage's name or number, else the last stage is meant; `contexts`
/// are the names of `--build-context`, in lower case. Stages depend on earlier ones only, so that building in order
/// of index is always right. Errors: an unknown target (with a suggestion), a stage that copies from itself or from a
/// later one, an empty base.
pub fn plan(
    file: &Dockerfile,
    globals: &Globals,
    target: Option<&str>,
    contexts: &BTreeSet<String>,
) -> Result<Plan> {
    let target = find_target(file, target)?;
    let mut all = Vec::with_capacity(file.stages.len());
    let mut scopes: Vec<Scope> = Vec::with_capacity(file.stages.len());
    let mut held = 0;
    for stage in &file.stages {
        let (base, platform) =
            from(file, stage, globals, contexts).map_err(|error| stage.source.explain(error))?;
        let mut scope = match base {
            Origin::Stage(earlier) => scopes[earlier].clone(),
            _ => globals.stage(&[]),
        };
        let needs = needs(file, stage, &mut scope, contexts)?;
        held += scope.size();
        ensure!(
            held <= MAX_SCOPES,
            usage(format!("the variables of the stages hold more than {MAX_SCOPES} bytes"))
        );
        scopes.push(scope);
        all.push(Some(Planned { base, platform, needs }));
    }
    keep_needed(&mut all, target);
    Ok(Plan { target, stages: all })
}

/// Resolves a `from` of `COPY` or `RUN --mount` in the stage of index `stage`: a build context, an earlier stage by
/// name (the last of that name) or number, else an image. The stage itself and later ones are errors.
pub fn origin(file: &Dockerfile, stage: usize, from: &str, contexts: &BTreeSet<String>) -> Result<Origin> {
    let lower = from.to_ascii_lowercase();
    if contexts.contains(&lower) {
        return Ok(Origin::Context(lower));
    }
    if let Ok(index) = from.parse::<usize>() {
        return match index {
            earlier if earlier < stage => Ok(Origin::Stage(earlier)),
            _ if index < file.stages.len() => Err(not_earlier(index == stage, from)),
            _ => Err(usage(format!("there is no stage `{from}`; the first one is 0"))),
        };
    }
    let named = |candidate: &&Stage| candidate.name.as_deref() == Some(&lower);
    if let Some(earlier) = file.stages[..stage].iter().rev().find(named) {
        return Ok(Origin::Stage(earlier.index));
    }
    match file.stages[stage..].iter().find(named) {
        Some(found) => Err(not_earlier(found.index == stage, from)),
        None => Ok(Origin::Image(from.to_owned())),
    }
}

fn not_earlier(itself: bool, from: &str) -> crate::base::error::Error {
    match itself {
        true => usage(format!("the stage `{from}` cannot take files from itself")),
        false => usage(format!("the stage `{from}` comes later: only earlier ones can be used")),
    }
}

/// The base and platform of a stage. A later stage's name is no obstacle here: it may be an image's as well
/// (`FROM alpine AS alpine`).
fn from(
    file: &Dockerfile,
    stage: &Stage,
    globals: &Globals,
    contexts: &BTreeSet<String>,
) -> Result<(Origin, Option<String>)> {
    let base = expand::word(&stage.base, globals, stage.escape)?;
    if base.is_empty() {
        let error = usage(format!("the base `{}` is empty", stage.base));
        return Err(error.hint("only an `ARG` before the first `FROM` is seen here; give it a default"));
    }
    let platform =
        stage.platform.as_deref().map(|text| expand::word(text, globals, stage.escape)).transpose()?;
    let lower = base.to_ascii_lowercase();
    let earlier = file.stages[..stage.index].iter().rev().find(|s| s.name.as_deref() == Some(&lower));
    let origin = match earlier {
        _ if contexts.contains(&lower) => Origin::Context(lower),
        Some(earlier) => Origin::Stage(earlier.index),
        None if base == "scratch" => Origin::Scratch,
        None => Origin::Image(base),
    };
    Ok((origin, platform.filter(|platform| !platform.is_empty())))
}

/// What the steps of a stage take files from. Steps that cannot be expanded without the base's environment are left
/// to the build.
fn needs(
    file: &Dockerfile,
    stage: &Stage,
    scope: &mut Scope,
    contexts: &BTreeSet<String>,
) -> Result<BTreeSet<Origin>> {
    let mut needs = BTreeSet::new();
    for step in &stage.steps {
        for from in sources(step, scope) {
            let found = origin(file, stage.index, &from, contexts);
            needs.insert(found.map_err(|error| step.source.explain(error))?);
        }
        if matches!(step.instruction, Instruction::Arg(_) | Instruction::Env(_))
            && let Ok(action) = step.expand(scope)
        {
            scope.apply(&action)?;
        }
    }
    Ok(needs)
}

fn sources(step: &super::Step, variables: &dyn Variables) -> Vec<String> {
    match &step.instruction {
        Instruction::Copy(copy) => {
            let from = copy.from.as_deref().and_then(|from| expand::word(from, variables, step.escape).ok());
            from.into_iter().filter(|from| !from.is_empty()).collect()
        }
        Instruction::Run(_) => match step.expand(variables) {
            Ok(Action::Run(run)) => run.mounts.iter().filter_map(Mount::from).map(str::to_owned).collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// By name (the last of it), else by number; the last stage without a target.
fn find_target(file: &Dockerfile, target: Option<&str>) -> Result<usize> {
    let Some(target) = target.filter(|target| !target.is_empty()) else { return Ok(file.stages.len() - 1) };
    let lower = target.to_ascii_lowercase();
    let named = file.stages.iter().rposition(|stage| stage.name.as_deref() == Some(&lower));
    let numbered = || target.parse().ok().filter(|index| *index < file.stages.len());
    named.or_else(numbered).ok_or_else(|| {
        let error = usage(format!("there is no stage `{target}`"));
        match nearest(&lower, file.stages.iter().filter_map(|stage| stage.name.as_deref())) {
            Some(meant) => error.hint(format!("did you mean `{meant}`?")),
            None => error,
        }
    })
}

/// Drops what the target does not need; dependencies point backwards only.
fn keep_needed(stages: &mut [Option<Planned>], target: usize) {
    let mut wanted = vec![false; stages.len()];
    wanted[target] = true;
    for index in (0..stages.len()).rev() {
        if !wanted[index] {
            stages[index] = None;
            continue;
        }
        let Some(planned) = &stages[index] else { continue };
        for origin in planned.needs.iter().chain([&planned.base]) {
            if let Origin::Stage(earlier) = origin {
                wanted[*earlier] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::parse;
    use super::*;
    use crate::base::error::{hints_of, render};

    fn plan_of(text: &str, target: Option<&str>, contexts: &[&str]) -> Result<Plan> {
        let file = parse("D", text)?;
        let globals = Globals::new(&file, BTreeMap::new(), BTreeMap::new())?;
        plan(&file, &globals, target, &contexts.iter().map(|name| name.to_string()).collect())
    }

    fn image(name: &str) -> Origin {
        Origin::Image(name.into())
    }

    #[test]
    fn bases_are_resolved() {
        let text = "ARG v=1\nARG s=A\nFROM x:$v AS a\nFROM scratch as b\nFROM A\nFROM ${s}\nFROM golang AS golang\nFROM b";
        for (target, base) in [
            ("0", image("x:1")),
            ("b", Origin::Scratch),
            ("2", Origin::Stage(0)),
            ("3", Origin::Stage(0)),
            ("GoLang", image("golang")),
            ("5", Origin::Stage(1)),
        ] {
            let plan = plan_of(text, Some(target), &[]).unwrap();
            assert_eq!(plan.stages[plan.target].as_ref().unwrap().base, base, "{target}");
        }
        let plan = plan_of(text, Some("2"), &["a"]).unwrap();
        assert_eq!(plan.stages[2].as_ref().unwrap().base, Origin::Context("a".into()));
        assert!(plan.stages[0].is_none() && plan.stages[3].is_none());
    }

    #[test]
    fn unneeded_stages_are_dropped() {
        let text = "FROM x AS a\nFROM x AS unused\nCOPY --from=a / /\nFROM y AS c\nFROM z AS d\n\
                    RUN --mount=from=c,target=/c x\nFROM w\nCOPY --from=D / /\nCOPY --from=img:1 / /\nCOPY --from=0 / /";
        let plan = plan_of(text, None, &[]).unwrap();
        let needed: Vec<usize> = (0..5).filter(|index| plan.stages[*index].is_some()).collect();
        assert_eq!((plan.target, needed), (4, vec![0, 2, 3, 4]));
        let needs = &plan.stages[4].as_ref().unwrap().needs;
        assert_eq!(*needs, [Origin::Stage(3), Origin::Stage(0), image("img:1")].into());
    }

    #[test]
    fn the_last_stage_of_a_name_wins() {
        let plan = plan_of("FROM x AS a\nFROM y AS A\nFROM z\nCOPY --from=a / /", None, &[]).unwrap();
        assert_eq!(plan.stages[2].as_ref().unwrap().needs, [Origin::Stage(1)].into());
        assert!(plan.stages[0].is_none());
        let plan = plan_of("FROM x AS a\nFROM a AS a\nCOPY --from=a / /\nFROM a", None, &[]).unwrap();
        assert_eq!(plan.stages[2].as_ref().unwrap().base, Origin::Stage(1));
        assert_eq!(plan.stages[1].as_ref().unwrap().needs, [Origin::Stage(0)].into());
        assert_eq!(plan_of("FROM x AS a\nFROM y AS a", Some("a"), &[]).unwrap().target, 1);
    }

    #[test]
    fn arguments_lead_to_sources() {
        let text = "FROM x AS a\nFROM y AS b\nARG from=a\nENV e=$from\nFROM b\nCOPY --from=$e / /\n\
                    RUN --mount=from=${none:-i},target=/m x\nCOPY --from=$unknown / /";
        let plan = plan_of(text, None, &[]).unwrap();
        assert_eq!(plan.stages[2].as_ref().unwrap().needs, [Origin::Stage(0), image("i")].into());
    }

    #[test]
    fn cycles_and_unknown_targets_are_refused() {
        let table = [
            (
                "FROM x AS a\nCOPY --from=a / /",
                "D:2: `COPY --from=a / /`: the stage `a` cannot take files from itself",
            ),
            (
                "FROM x\nCOPY --from=0 / /",
                "D:2: `COPY --from=0 / /`: the stage `0` cannot take files from itself",
            ),
            (
                "FROM x\nCOPY --from=b / /\nFROM y AS b",
                "D:2: `COPY --from=b / /`: the stage `b` comes later: only earlier ones can be used",
            ),
            (
                "FROM x\nCOPY --from=7 / /",
                "D:2: `COPY --from=7 / /`: there is no stage `7`; the first one is 0",
            ),
            ("FROM $none", "D:1: `FROM $none`: the base `$none` is empty"),
            ("FROM x\nARG b=1\nFROM $b", "D:3: `FROM $b`: the base `$b` is empty"),
        ];
        for (text, says) in table {
            assert_eq!(render(&plan_of(text, None, &[]).unwrap_err()), says, "{text}");
        }
        let error = plan_of("FROM x AS build", Some("biuld"), &[]).unwrap_err();
        assert_eq!(
            (render(&error).as_str(), hints_of(&error)),
            ("there is no stage `biuld`", &["did you mean `build`?".to_owned()][..])
        );
    }
}
