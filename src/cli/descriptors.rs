//! `--preserve-fds` and `--preserve-fd`: the caller's descriptors that a command in a container gets.

use clap::Args;

use crate::base::error::{Kind, Result, fail};
use crate::sys::process;

/// The flags.
#[derive(Debug, Args)]
pub struct DescriptorArgs {
    /// Pass so many open files on, from number 3
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    preserve_fds: u32,
    /// Pass these open files on, under their numbers: FD[,FD]
    #[arg(long, value_name = "FD", value_delimiter = ',', conflicts_with = "preserve_fds")]
    preserve_fd: Vec<u32>,
}

impl DescriptorArgs {
    /// The numbers, in order. Must be asked before anything is opened, which would take a number that is free.
    pub fn numbers(&self) -> Result<Vec<i32>> {
        if self.preserve_fd.is_empty() {
            return counted(self.preserve_fds);
        }
        let mut numbers = self.preserve_fd.clone();
        numbers.sort_unstable();
        numbers.dedup();
        match numbers.first() {
            Some(fd @ 0..3) => {
                Err(fail(Kind::Usage, format!("--preserve-fd {fd}: the standard streams are passed anyway")))
            }
            _ => numbers.into_iter().map(|fd| open("--preserve-fd", fd)).collect(),
        }
    }
}

/// The numbers that `--preserve-fds N` means; as above.
pub fn counted(count: u32) -> Result<Vec<i32>> {
    (3..count.saturating_add(3)).map(|fd| open(&format!("--preserve-fds {count}"), fd)).collect()
}

fn open(flag: &str, fd: u32) -> Result<i32> {
    match i32::try_from(fd) {
        Ok(number) if process::is_open(number) => Ok(number),
        _ => Err(fail(Kind::Usage, format!("{flag}: descriptor {fd} is not open"))),
    }
}
