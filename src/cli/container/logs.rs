//! `logs`.

use std::io::{self, Write};
use std::thread;

use clap::Args;
use jiff::Timestamp;

use super::select::{Named, newest};
use crate::base::error::{Context, Kind, Result, fail};
use crate::base::id;
use crate::base::text::printable;
use crate::base::time::{now, parse_when};
use crate::cli::session::Session;
use crate::container::store::{Container, Store};
use crate::ops::container::logs::readable;
use crate::runtime::log::{self, Entry, ReadOptions, Stream};
use crate::ui::printer::written;

/// Show what containers wrote
#[derive(Debug, Args)]
pub struct LogsArgs {
    #[command(flatten)]
    named: Named,
    /// Stay and show what comes
    #[arg(short, long)]
    follow: bool,
    /// Only since: a time, or a duration ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Only until: a time, or a duration ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// Only the last N lines, also `-n N` as docker has it; `all` or -1 for all
    #[arg(
        long,
        value_name = "N",
        default_value = "all",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    tail: String,
    /// The time before each line
    #[arg(short, long)]
    timestamps: bool,
    /// The name before each line
    #[arg(short = 'n', long = "names")]
    with_names: bool,
    /// A colour for each container
    #[arg(long)]
    color: bool,
    /// What `--log-opt` says about the container before each line
    #[arg(long)]
    details: bool,
}

/// What stands before each line.
struct Prefix {
    name: String,
    times: bool,
    details: String,
    colour: Option<u8>,
}

impl LogsArgs {
    /// Shows them; several that are followed are mixed as they come.
    pub fn run(mut self, session: &Session) -> Result<()> {
        let store = session.ops()?.containers()?;
        self.read_docker(store);
        let options = self.read_options()?;
        let mut names = self.named.names.clone();
        if self.named.latest {
            names.push(newest(session.ops()?)?);
        }
        if names.is_empty() {
            return Err(fail(Kind::Usage, "no container was named"));
        }
        let containers = names.iter().map(|name| store.resolve(name)).collect::<Result<Vec<_>>>()?;
        let several = containers.len() > 1;
        let prefixes =
            containers.iter().enumerate().map(|(at, container)| self.prefix(at, container, several));
        let jobs: Vec<_> = containers.iter().zip(prefixes).collect();
        if !(self.follow && several) {
            return jobs.iter().try_for_each(|(container, prefix)| show(store, container, prefix, &options));
        }
        thread::scope(|scope| {
            let threads: Vec<_> = jobs
                .iter()
                .map(|(container, prefix)| scope.spawn(|| show(store, container, prefix, &options)))
                .collect();
            threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
        })
    }

    /// Takes `-n 5`, which podman reads as `--names` and a container `5`, for docker's `--tail 5` where no container
    /// has that name.
    fn read_docker(&mut self, store: &Store) {
        let is_count = |word: &String| word.len() < id::SHORT && word.bytes().all(|b| b.is_ascii_digit());
        let named = |word: &String| matches!(store.owner_of(word), Ok(Some(_)));
        if !self.with_names || self.tail != "all" {
            return;
        }
        if let Some(at) = self.named.names.iter().position(|word| is_count(word) && !named(word)) {
            self.tail = self.named.names.remove(at);
            self.with_names = false;
        }
    }

    fn read_options(&self) -> Result<ReadOptions> {
        let tail = match self.tail.as_str() {
            "all" | "-1" => None,
            count => Some(count.parse().ok().with_context(|| format!("`{count}` is not a number of lines"))?),
        };
        Ok(ReadOptions { follow: self.follow, since: self.since, until: self.until, tail })
    }

    fn prefix(&self, at: usize, container: &Container, several: bool) -> Prefix {
        let config = &container.config;
        let name = match (self.with_names, several) {
            (true, _) => config.name.clone(),
            (false, true) => id::short(&config.id).to_owned(),
            (false, false) => String::new(),
        };
        let colours = 31..=36u8;
        Prefix {
            name,
            times: self.timestamps,
            details: if self.details { details(&config.log.tag) } else { String::new() },
            colour: self.color.then(|| colours.clone().nth(at % 6).unwrap_or(31)),
        }
    }
}

/// Docker's form of the attributes, of which a log has one.
fn details(tag: &str) -> String {
    if tag.is_empty() { String::new() } else { format!("tag={} ", printable(tag)) }
}

fn moment(text: &str) -> Result<Timestamp> {
    parse_when(text, now())
}

/// Copies one container's log, each stream to its own.
fn show(store: &Store, container: &Container, prefix: &Prefix, options: &ReadOptions) -> Result<()> {
    let settings = readable(store, &container.config)?;
    let alive = || store.get(&container.config.id).is_ok_and(|container| container.is_alive());
    let mut reader = log::read(&settings, options, alive)?;
    let (mut out, mut err) = (io::BufWriter::new(io::stdout()), io::stderr());
    let mut fresh = true; // whether the next record begins a line
    while let Some(entry) = reader.next()? {
        match entry.stream {
            Stream::Stderr => {
                written(out.flush())?;
                let _ = print(&mut err, prefix, &entry, fresh); // nobody is left to tell
            }
            _ => written(print(&mut out, prefix, &entry, fresh))?,
        }
        fresh = !entry.partial;
        if options.follow {
            written(out.flush())?;
        }
    }
    written(out.flush())
}

fn print(to: &mut dyn Write, prefix: &Prefix, entry: &Entry<'_>, fresh: bool) -> io::Result<()> {
    if fresh {
        match (&prefix.name, prefix.colour) {
            (name, Some(colour)) => write!(to, "\x1b[{colour}m{name}\x1b[0m ")?,
            (name, None) if !name.is_empty() => write!(to, "{name} ")?,
            _ => {}
        }
        if prefix.times {
            write!(to, "{} ", entry.time)?;
        }
        to.write_all(prefix.details.as_bytes())?;
    }
    to.write_all(entry.bytes)
}
