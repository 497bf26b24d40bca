//! The verbs of containers.

pub mod alive;
pub mod attach;
pub mod changes;
pub mod create;
pub mod exec;
pub mod filter;
pub mod health;
pub mod inspect;
mod life;
pub mod logs;
mod network;
pub mod port;
mod prepare;
pub mod ps;
pub mod rm;
pub mod run;
pub mod select;
pub mod start;
pub mod stop;
pub mod top;
pub mod transient;
pub mod wait;

pub use select::{Done, Selection};
