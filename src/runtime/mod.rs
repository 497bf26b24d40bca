//! (being written)

pub mod defaults;
pub mod lsm;
