//! dhow: a daemonless container tool in one static binary.
//!
//! This page is the map. The tree is a house with floors; a module imports from lower floors only, never
//! from its own and never upward (`tests/architecture.rs` proves it).
//!
//! ```text
//! main             parse, dispatch, turn the result into an exit code
//! cli              faces: one file a subcommand, one folder a noun
//! ui               the only printer: tables, JSON, Go templates, progress, prompts
//! ops              the verbs; the only floor where nouns meet; takes options, returns records, never prints
//! container image volume          nouns: records, stores, pure parsers
//! runtime registry layer          engines: OCI runtime and supervisor; distribution client; layer store
//! sys              all system calls; the only module where `unsafe` compiles
//! base             errors, paths, config files, locks, atomic files, ids, time
//! ```
//!
//! What each owns on disk is drawn in its own header:
//!
//! - [`base::roots`] decides where everything lies;
//! - [`layer`] owns `<root>/layers`, `<root>/staging` and `<root>/format`;
//! - [`image`] owns `<root>/images` and `<root>/names.json`;
//! - [`container`] owns `<root>/containers` and `<run>/containers`;
//! - [`volume`] owns `<root>/volumes`.

pub mod base;
pub mod sys;

pub mod layer;
pub mod registry;
pub mod runtime;

pub mod container;
pub mod image;
pub mod volume;

pub mod ops;

pub mod ui;

pub mod cli;
