//! `dhow docs DIR`, hidden: man pages and completion scripts out of the one tree of commands.

use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_complete::env::{EnvCompleter, Fish, Zsh};

use super::Dhow;
use super::complete::OwnBash;
use crate::base::error::{Context, Result};
use crate::base::fs::{self, Durability};

/// Write man pages and completion scripts
#[derive(Debug, Args)]
pub struct DocsArgs {
    /// Directory in which `man/` and `completions/` are made
    dir: PathBuf,
}

impl DocsArgs {
    /// Writes them.
    pub fn run(self) -> Result<()> {
        let mut tree = Dhow::command();
        tree.build();
        let man = self.dir.join("man");
        fs::create_dir_all(&man)?;
        write_pages(&man, &tree, "dhow")?;
        write_completions(&self.dir.join("completions"))
    }
}

/// A page for a command and for each below it: `dhow-container-run.1`.
fn write_pages(dir: &Path, command: &Command, name: &str) -> Result<()> {
    let page = clap_mangen::Man::new(command.clone().name(name.to_owned())).date("").manual("dhow");
    let mut bytes = Vec::new();
    page.render(&mut bytes).with_context(|| format!("render the page of `{name}`"))?;
    write(&dir.join(format!("{name}.1")), &bytes)?;
    command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
        .try_for_each(|below| write_pages(dir, below, &format!("{name}-{}", below.get_name())))
}

/// Scripts that ask the program for candidates.
fn write_completions(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    let shells: [(&str, &dyn EnvCompleter); 3] =
        [("dhow.bash", &OwnBash), ("_dhow", &Zsh), ("dhow.fish", &Fish)];
    shells.iter().try_for_each(|(file, shell)| {
        let mut script = Vec::new();
        shell
            .write_registration("COMPLETE", "dhow", "dhow", "dhow", &mut script)
            .with_context(|| format!("write the script `{file}`"))?;
        write(&dir.join(file), &script)
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::replace(path, bytes, 0o644, Durability::Volatile)
}
