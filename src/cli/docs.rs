//! `dhow docs DIR`, hidden: man pages and completion scripts out of the one tree of commands.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_complete::env::{EnvCompleter, Fish, Zsh};
use clap_mangen::Man;

use super::Dhow;
use super::complete::OwnBash;
use super::typed;
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
    let bytes = page(command, name).with_context(|| format!("render the page of `{name}`"))?;
    write(&dir.join(format!("{name}.1")), &bytes)?;
    command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
        .try_for_each(|below| write_pages(dir, below, &format!("{name}-{}", below.get_name())))
}

/// The page of one command, without a date: the same tree always gives the same bytes.
fn page(command: &Command, name: &str) -> io::Result<Vec<u8>> {
    let page = Man::new(command.clone().name(name.to_owned()))
        .title(name)
        .date("")
        .manual("dhow")
        .source(concat!("dhow ", env!("CARGO_PKG_VERSION")));
    let mut bytes = Vec::new();
    page.render_title(&mut bytes)?;
    page.render_name_section(&mut bytes)?;
    bytes.extend_from_slice(synopsis(command).as_bytes());
    page.render_description_section(&mut bytes)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        page.render_options_section(&mut bytes)?;
    }
    if command.has_subcommands() {
        page.render_subcommands_section(&mut bytes)?;
    }
    if command.get_after_help().is_some() || command.get_after_long_help().is_some() {
        page.render_extra_section(&mut bytes)?;
    }
    if name != "dhow" {
        bytes.extend_from_slice(b".SH \"SEE ALSO\"\n\\fBdhow\\fR(1)\n");
    }
    Ok(bytes)
}

/// Every way to call it: the usage that the help prints too (the generator's own omits values), then other names.
fn synopsis(command: &Command) -> String {
    let usage = typed::plain(&command.clone().render_usage().to_string());
    let usage = usage.trim_start_matches("Usage:").trim();
    let mut text = String::from(".SH SYNOPSIS\n");
    for line in usage.lines().map(str::trim).filter(|line| !line.is_empty()) {
        text.push_str(&format!(".nf\n{}\n.fi\n", line.replace('\\', "\\e").replace('-', "\\-")));
    }
    let others: Vec<&str> = command.get_visible_aliases().collect();
    if !others.is_empty() {
        text.push_str(&format!(".PP\nOther names: {}\n", others.join(", ").replace('-', "\\-")));
    }
    text
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
