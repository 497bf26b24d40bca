//! The container noun: records, their store, and the parsers of what users type about containers.

pub mod record;
