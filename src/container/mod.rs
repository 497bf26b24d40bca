//! The container noun: records, their store, and the parsers of what users type about containers.

pub mod names;
pub mod parse;
pub mod record;
pub mod store;

pub use store::{Container, Store};
