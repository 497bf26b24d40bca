//! The only printer: tables, JSON, Go templates, progress, prompts and colour.
//!
//! stdout is data and stderr is talk. Everything printed that came from an image, a registry or a container's
//! record is made fit for a terminal first ([`crate::base::text`]).

pub mod json;
mod plain;
pub mod printer;
pub mod progress;
pub mod prompt;
pub mod report;
pub mod table;
pub mod template;
mod value;

pub use printer::Printer;
