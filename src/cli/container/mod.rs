//! Commands about containers.

pub mod create_args;
