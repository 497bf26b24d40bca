//! Which stage needs which: bases, `COPY --from`, `RUN --mount=from=`.

use std::collections::BTreeSet;

use super::ast::Dockerfile;
use super::scope::Globals;
use crate::base::error::{Result, bail};

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
    let _ = (file, globals, target, contexts);
    bail!("not there yet")
}

/// Resolves a `from` of `COPY` or `RUN --mount` in the stage of index `stage`: a build context, an earlier stage by
/// name (the last of that name) or number, else an image. The stage itself and later ones are errors.
pub fn origin(file: &Dockerfile, stage: usize, from: &str, contexts: &BTreeSet<String>) -> Result<Origin> {
    let _ = (file, stage, contexts);
    bail!("`{from}` is not there yet")
}
