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
//! container dockerfile event image volume   nouns: records, stores, pure parsers
//! runtime registry layer          engines: OCI runtime and supervisor; distribution client; layer store
//! sys              all system calls; the only module where `unsafe` compiles
//! base             errors, paths, config files, locks, atomic files, ids, time
//! ```
//!
//! What each owns on disk is drawn in its own header:
//!
//! - [`base::roots`] decides where everything lies;
//! - [`runtime`] owns what of `<run>/containers/<id>` tells that a container lives (its supervisor), and
//!   `<run>/runtime` (the OCI runtime command line);
//! - [`layer`] owns `<root>/layers`, `<root>/partial`, `<root>/staging` and `<root>/format`;
//! - [`image`] owns `<root>/images` and `<root>/names.json`;
//! - [`ops::build`] owns `<root>/build`: finished steps, cache mounts, digests of what was copied;
//! - [`ops::image::artifacts`] owns `<root>/artifacts`;
//! - [`container`] owns `<root>/containers`, names among them;
//! - [`volume`] owns `<root>/volumes`;
//! - [`event`] owns `<root>/events`;
//! - [`dockerfile`] owns nothing: it is a language.
//!
//! [`registry`] keeps nothing but the logins of `login`, in the file that Podman and Docker read too. `src/hello` is
//! a program of its own: what runs in the embedded image, built before everything else and carried in
//! [`image::embedded`].

pub mod base;
pub mod sys;

pub mod layer;
pub mod registry;
pub mod runtime;

pub mod container;
pub mod dockerfile;
pub mod event;
pub mod image;
pub mod volume;

pub mod ops;

pub mod ui;

pub mod cli;
