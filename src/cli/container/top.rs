//! `top`.

use clap::Args;

use super::select::newest;
use crate::base::error::{Kind, Result, fail};
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::container::top::top;
use crate::ui::table;

/// Show the processes of a container
#[derive(Debug, Args)]
pub struct TopArgs {
    /// The container made last
    #[arg(short, long)]
    latest: bool,
    /// Name or id; then the columns to show, such as pid,user,args
    #[arg(value_name = "CONTAINER [COLUMN]...", trailing_var_arg = true, add = names::containers())]
    words: Vec<String>,
}

impl TopArgs {
    /// Shows them.
    pub fn run(self, session: &Session) -> Result<()> {
        let ops = session.ops()?;
        let (name, columns) = match (self.latest, self.words.split_first()) {
            (true, _) => (newest(ops)?, self.words.as_slice()),
            (false, Some((name, columns))) => (name.clone(), columns),
            (false, None) => return Err(fail(Kind::Usage, "no container was named")),
        };
        let shown = top(ops, &name, columns)?;
        let lines = std::iter::once(&shown.titles).chain(&shown.rows).map(|cells| cells.join("\t") + "\n");
        session.out.text(&table::align(&lines.collect::<String>()))
    }
}
