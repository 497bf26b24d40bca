//! `build`: images out of Dockerfiles.
//!
//! ```text
//! context    what PATH, `-`, URLs and --build-context name; Dockerfiles, ignore lists
//! sources    what is elsewhere: files by http(s), git repositories
//! copy       what COPY and ADD bring: finding, digesting, placing
//! secret     --secret        agent   --ssh
//! output     --output
//! ```

pub mod agent;
pub mod context;
pub mod copy;
pub mod output;
pub mod secret;
pub mod sources;
