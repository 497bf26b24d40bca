//! The Dockerfile language: text in, values out. Nothing here reads a file, asks a registry or prints.
//!
//! The reference of Docker's stable frontend (1.x) is the specification. A build goes through it in this order:
//!
//! 1. [`parse`] makes a [`Dockerfile`]: directives, the `ARG`s before the first `FROM`, and [`Stage`]s of
//!    [`Step`]s. Words are still as written; what is wrong in itself (an unknown instruction, flag or mount option)
//!    is an error with file, line and text. Oddities are [`Warning`]s in the value.
//! 2. [`Globals`] evaluates the `ARG`s before `FROM` with what the caller gave (`--build-arg`, platforms).
//! 3. [`plan`](graph::plan) resolves the bases and says which stages the target needs, in an order to build them.
//! 4. For each stage a [`Scope`] holds `ENV` and `ARG` as they stand; [`Step::expand`] makes an [`Action`] of the
//!    next step with them, and the engine does it and tells the scope ([`Scope::apply`]).
//! 5. `ONBUILD` triggers of the base are read by [`parse_trigger`] into steps like others.
//!
//! Beside it: [`ignore`] (`.dockerignore`), [`glob`] (sources of `COPY`), [`mount`] (`RUN --mount`),
//! [`expose`], and [`history`] (the `created_by` texts).

pub mod action;
pub mod ast;
mod expand;
pub mod expose;
mod flags;
pub mod glob;
pub mod graph;
pub mod history;
pub mod ignore;
mod instruction;
mod lexer;
pub mod mount;
mod parser;
mod pattern;
pub mod scope;
#[cfg(test)]
mod tests;
mod words;

pub use action::Action;
pub use ast::{Dockerfile, Instruction, Source, Stage, Step, Warning};
pub use lexer::MAX_FILE;
pub use parser::{parse, parse_trigger};
pub use scope::{Globals, Scope, Variables};
