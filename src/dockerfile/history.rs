//! The `created_by` texts of an image's history, as Buildah writes them (Podman is the reference): `/bin/sh -c
//! COMMAND` for `RUN`, `/bin/sh -c #(nop) INSTRUCTION` for the rest.

use super::ast::Step;

/// The text for a step. `args` are the [`Scope::args`](super::Scope::args) before it; `content` names what a `COPY` or
/// `ADD` brought: `file:HEX`, `dir:HEX` or `multi:HEX` with the digest of the content.
pub fn created_by(step: &Step, args: &[(&str, &str)], content: &str) -> String {
    let _ = (step, args, content);
    String::new()
}
