//! The verbs of the store as a whole: what it takes, what nobody needs, what is damaged, and giving it all up.

mod check;
mod prune;
mod reset;
mod usage;

pub use check::{CheckOptions, Checked, Problem, check};
pub use prune::{Pruned, SystemPrune, prune, sweep};
pub use reset::reset;
pub use usage::{Bytes, ContainerUsage, Detailed, ImageUsage, Usage, VolumeUsage, detailed, df};
