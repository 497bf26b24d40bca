//! The verbs: the only floor where nouns meet. Takes options, returns records, never prints.

pub mod build;
pub mod container;
pub mod context;
pub mod create;
pub mod diff;
pub mod etc;
pub mod events;
pub mod image;
pub mod info;
pub mod login;
pub mod progress;
pub mod search;
pub mod spec;
pub mod system;
pub mod userns;
pub mod volumes;
