//! The language as a whole: text in, actions out.

mod errors;
mod instructions;
mod real;

use std::collections::BTreeMap;

use super::{Action, Dockerfile, Globals, parse, scope};
use crate::base::error::Result;

fn globals(file: &Dockerfile) -> Globals {
    let platform = scope::platform_args("linux/amd64", "linux/arm64", None);
    Globals::new(file, BTreeMap::new(), platform).unwrap()
}

/// The actions of all stages, each begun on an image with a `PATH`.
fn actions(text: &str) -> Result<Vec<Vec<Action>>> {
    let file = parse("Dockerfile", text)?;
    let globals = globals(&file);
    let mut stages = Vec::new();
    for stage in &file.stages {
        let mut scope = globals.stage(&["PATH=/usr/bin:/bin".to_owned()]);
        let mut done = Vec::new();
        for step in &stage.steps {
            let action = step.expand(&scope)?;
            scope.apply(&action)?;
            done.push(action);
        }
        stages.push(done);
    }
    Ok(stages)
}

/// The last action of the last stage.
fn last(text: &str) -> Action {
    actions(text).unwrap().pop().unwrap().pop().unwrap()
}
