//! The verbs of containers.

pub mod alive;
pub mod filter;
pub mod logs;
pub mod port;
pub mod ps;
pub mod rm;
pub mod select;
pub mod stop;
pub mod top;
pub mod wait;

pub use select::{Done, Selection};
