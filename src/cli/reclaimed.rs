//! The last line of everything that frees space.

use super::session::Session;
use crate::base::error::Result;
use crate::base::units;
use crate::ui::printer;

/// Less than this is what dhow itself keeps about a container or a volume; `rm` says nothing about it.
const WORTH_TELLING: u64 = 1_000_000;

fn line(freed: u64) -> String {
    format!("Total reclaimed space: {}", units::human(freed))
}

/// The last line of a prune, on stdout as Docker has it.
pub fn print(session: &Session, freed: u64) -> Result<()> {
    session.out.line(&line(freed))
}

/// The last word of `rm` and `volume rm`, on stderr: scripts read names from stdout, and nothing else.
pub fn tell(freed: u64) {
    if freed >= WORTH_TELLING {
        printer::talk(&line(freed));
    }
}

/// A titled list of what went, where anything did.
pub fn print_list(session: &Session, title: &str, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    session.out.line(&format!("{title}:"))?;
    names.iter().try_for_each(|name| session.out.line(name))?;
    session.out.line("")
}
