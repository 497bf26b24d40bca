//! `top`: the processes of a container, read from `/proc`, with podman's column names.

use std::path::Path;

use super::alive::Alive;
use crate::base::error::{Context, Kind, Result, fail};
use crate::base::fs;
use crate::ops::context::Context as Ops;

/// A table of text.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Headings.
    pub titles: Vec<String>,
    /// One row a process.
    pub rows: Vec<Vec<String>>,
}

/// One column: the word that asks for it, and its heading.
const COLUMNS: [(&str, &str); 29] = [
    ("user", "USER"),
    ("pid", "PID"),
    ("ppid", "PPID"),
    ("pcpu", "%CPU"),
    ("etime", "ELAPSED"),
    ("tty", "TTY"),
    ("time", "TIME"),
    ("args", "COMMAND"),
    ("comm", "COMMAND"),
    ("group", "GROUP"),
    ("nice", "NI"),
    ("pgid", "PGID"),
    ("rss", "RSS"),
    ("vsz", "VSZ"),
    ("state", "STATE"),
    ("hpid", "HPID"),
    ("huser", "HUSER"),
    ("seccomp", "SECCOMP"),
    ("capeff", "EFFECTIVE CAPS"),
    ("capbnd", "BOUNDING CAPS"),
    ("capprm", "PERMITTED CAPS"),
    ("capinh", "INHERITED CAPS"),
    ("capamb", "AMBIENT CAPS"),
    ("ruser", "RUSER"),
    ("rgroup", "RGROUP"),
    ("hgroup", "HGROUP"),
    ("groups", "GROUPS"),
    ("hgroups", "HGROUPS"),
    ("label", "LABEL"),
];

/// What `top` shows without being told.
const DEFAULT: [&str; 8] = ["user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"];

/// The processes of a container; `columns` are words like `pid` or `hpid`, also joined with commas.
///
/// Words that begin with `-` are options of ps(1), which dhow does not run: they are refused.
pub fn top(ops: &Ops, name: &str, columns: &[String]) -> Result<Table> {
    let store = ops.containers()?;
    let container = store.resolve(name)?;
    let alive = Alive::of(store, &container)?;
    let words: Vec<&str> =
        columns.iter().flat_map(|word| word.split(',')).filter(|word| !word.is_empty()).collect();
    let chosen = choose(&words)?;
    let pids = processes(&alive)?;
    let host = Host::look()?;
    let rows = pids.iter().filter_map(|pid| Process::read(*pid).ok());
    Ok(Table {
        titles: chosen.iter().map(|(_, title)| (*title).to_owned()).collect(),
        rows: rows.map(|p| chosen.iter().map(|(word, _)| p.column(word, &host)).collect()).collect(),
    })
}

fn choose(words: &[&str]) -> Result<Vec<(&'static str, &'static str)>> {
    if let Some(option) = words.iter().find(|word| word.starts_with('-')) {
        return Err(fail(
            Kind::Usage,
            format!("`{option}`: options of ps are not supported; name columns instead"),
        ));
    }
    let words: &[&str] = if words.is_empty() { &DEFAULT } else { words };
    let find = |word: &&str| {
        let known = COLUMNS.iter().find(|(name, _)| name == word).copied();
        let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
        known
            .ok_or_else(|| fail(Kind::Usage, format!("unknown column `{word}`; known: {}", names.join(", "))))
    };
    words.iter().map(find).collect()
}

/// All processes in the pid namespace of the first one (or its cgroup, where it shares the host's namespace).
pub(super) fn processes(alive: &Alive) -> Result<Vec<i32>> {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let first = alive.live.pid.to_string();
    let ours = namespace(&first).with_context(|| format!("look at pid {first}"))?;
    if Some(&ours) == namespace("self").as_ref() {
        return match alive.cgroup()? {
            Some(cgroup) => cgroup.pids(),
            None => Ok(vec![alive.live.pid]),
        };
    }
    let mut pids = Vec::new();
    for entry in fs::read_dir(Path::new("/proc"))? {
        let name = entry.file_name();
        let Some(pid) = name.to_str().filter(|name| name.bytes().all(|b| b.is_ascii_digit())) else {
            continue;
        };
        if namespace(pid).as_ref() == Some(&ours) {
            pids.extend(pid.parse::<i32>().ok());
        }
    }
    pids.sort_unstable();
    Ok(pids)
}

/// What does not differ between processes.
struct Host {
    uptime: f64,
}

impl Host {
    fn look() -> Result<Host> {
        let text = fs::read_to_string(Path::new("/proc/uptime"))?;
        let uptime = text.split_whitespace().next().and_then(|word| word.parse().ok());
        Ok(Host { uptime: uptime.context("read `/proc/uptime`")? })
    }
}

/// One process as `/proc` shows it.
struct Process {
    pid: i32,
    status: String,
    stat: Vec<String>,
    command: String,
}

/// Places in the lines `Uid` and `Gid` of `status`.
const REAL: usize = 0;
const EFFECTIVE: usize = 1;

/// Clock ticks a second; the kernel's USER_HZ is 100 on all architectures that dhow runs on.
const TICKS: f64 = 100.0;

impl Process {
    fn read(pid: i32) -> Result<Process> {
        let file = |name: &str| fs::read(Path::new(&format!("/proc/{pid}/{name}")));
        let stat = String::from_utf8_lossy(&file("stat")?).into_owned();
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let arguments = String::from_utf8_lossy(&file("cmdline")?).replace('\0', " ");
        Ok(Process {
            pid,
            status: String::from_utf8_lossy(&file("status")?).into_owned(),
            stat: fields.split_whitespace().map(str::to_owned).collect(),
            command: arguments.trim_end().to_owned(),
        })
    }

    /// A field of `status`.
    fn field(&self, name: &str) -> Vec<&str> {
        let line = self.status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map_or_else(Vec::new, |line| line.split_whitespace().collect())
    }

    /// Field number `n` of proc(5)'s list for `stat`, counted from 1.
    fn stat(&self, n: usize) -> f64 {
        self.stat.get(n - 3).and_then(|word| word.parse().ok()).unwrap_or(0.0)
    }

    /// The id inside of the container's pid namespace is the last one.
    fn inner(&self, name: &str) -> String {
        self.field(name).last().copied().unwrap_or("?").to_owned()
    }

    fn column(&self, word: &str, host: &Host) -> String {
        let cpu = (self.stat(14) + self.stat(15)) / TICKS;
        let age = (host.uptime - self.stat(22) / TICKS).max(0.0);
        match word {
            "user" => self.inside("uid_map", self.id("Uid", EFFECTIVE), "passwd"),
            "ruser" => self.inside("uid_map", self.id("Uid", REAL), "passwd"),
            "group" => self.inside("gid_map", self.id("Gid", EFFECTIVE), "group"),
            "rgroup" => self.inside("gid_map", self.id("Gid", REAL), "group"),
            "groups" => {
                let names = self.field("Groups").into_iter().map(|id| self.inside("gid_map", id, "group"));
                names.collect::<Vec<_>>().join(",")
            }
            "huser" => self.id("Uid", EFFECTIVE).to_owned(),
            "hgroup" => self.id("Gid", EFFECTIVE).to_owned(),
            "hgroups" => self.field("Groups").join(","),
            "label" => self.label(),
            "pid" => self.inner("NSpid"),
            "hpid" => self.pid.to_string(),
            "ppid" => self.parent(),
            "pgid" => self.inner("NSpgid"),
            "pcpu" => format!("{:.3}", if age > 0.0 { cpu / age * 100.0 } else { 0.0 }),
            "etime" => elapsed(age),
            "time" => elapsed(cpu),
            "tty" => tty(self.stat(7) as u64),
            "args" if !self.command.is_empty() => crate::base::text::printable(&self.command).into_owned(),
            "args" | "comm" => self.field("Name").join(" "),
            "nice" => self.stat(19).to_string(),
            "rss" => self.field("VmRSS").first().copied().unwrap_or("0").to_owned(),
            "vsz" => self.field("VmSize").first().copied().unwrap_or("0").to_owned(),
            "state" => self.field("State").first().copied().unwrap_or("?").to_owned(),
            "seccomp" => seccomp(self.field("Seccomp").first().copied().unwrap_or("0")).to_owned(),
            "capeff" => capabilities(self.field("CapEff").first().copied()),
            "capbnd" => capabilities(self.field("CapBnd").first().copied()),
            "capamb" => capabilities(self.field("CapAmb").first().copied()),
            "capprm" => capabilities(self.field("CapPrm").first().copied()),
            _ => capabilities(self.field("CapInh").first().copied()),
        }
    }

    /// The parent's number inside of the namespace; 0 for what came from outside.
    fn parent(&self) -> String {
        let parent: i32 = self.field("PPid").first().and_then(|word| word.parse().ok()).unwrap_or(0);
        let same = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        match Process::read(parent) {
            Ok(process) if same(parent) == same(self.pid) => process.inner("NSpid"),
            _ => "0".into(),
        }
    }

    /// One of the four ids of a line of `status`, as the host counts.
    fn id(&self, name: &str, which: usize) -> &str {
        self.field(name).get(which).copied().unwrap_or("?")
    }

    /// What the security module calls it; `?` without one.
    fn label(&self) -> String {
        let text = fs::read_to_string(Path::new(&format!("/proc/{}/attr/current", self.pid)));
        let text = text.unwrap_or_default(); // no module: the file cannot be read
        match text.trim_matches(['\0', '\n']) {
            "" => "?".into(),
            label => crate::base::text::printable(label).into_owned(),
        }
    }

    /// The id as the container sees it, by the name in its own files where there is one.
    fn inside(&self, map: &str, outer: &str, file: &str) -> String {
        let outer: u32 = outer.parse().unwrap_or(0);
        let inner = through_map(self.pid, map, outer).unwrap_or(outer);
        name_of(self.pid, file, inner).unwrap_or_else(|| inner.to_string())
    }
}

/// Translates an id from outside to inside with the process's map.
fn through_map(pid: i32, map: &str, outer: u32) -> Option<u32> {
    let text = fs::read_to_string(Path::new(&format!("/proc/{pid}/{map}"))).ok()?;
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace().map(|word| word.parse::<u32>().ok());
        let (inside, outside, count) = (words.next()??, words.next()??, words.next()??);
        (outer >= outside && outer - outside < count).then(|| inside + (outer - outside))
    })
}

/// Looks an id up in a passwd or group file of the container; hostile content costs at most a megabyte.
fn name_of(pid: i32, file: &str, id: u32) -> Option<String> {
    let root = crate::sys::rootdir::RootDir::open(Path::new(&format!("/proc/{pid}/root"))).ok()?;
    let bytes = root.read_small(Path::new(&format!("etc/{file}")), 1 << 20).ok()??;
    let text = String::from_utf8_lossy(&bytes);
    let wanted = id.to_string();
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(&wanted)).then(|| crate::base::text::printable(name).into_owned())
    })
}

/// Go's way to print a duration of whole seconds: `1h2m3s`.
fn elapsed(seconds: f64) -> String {
    let whole = seconds as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

fn tty(device: u64) -> String {
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    match major {
        0 => "?".into(),
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 => format!("tty{minor}"),
        _ => format!("{major}:{minor}"),
    }
}

fn seccomp(mode: &str) -> &str {
    match mode {
        "0" => "disabled",
        "1" => "strict",
        _ => "filter",
    }
}

fn capabilities(hex: Option<&str>) -> String {
    let set = hex.and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0);
    let all = caps::all();
    if set == 0 {
        return "none".into();
    }
    if all.iter().all(|cap| set >> cap.index() & 1 == 1) {
        return "full".into();
    }
    let mut held: Vec<_> = all.into_iter().filter(|cap| set >> cap.index() & 1 == 1).collect();
    held.sort_by_key(|cap| cap.index());
    let names: Vec<String> =
        held.iter().map(|cap| cap.to_string().trim_start_matches("CAP_").to_owned()).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_checked_and_default_to_podmans() {
        assert_eq!(choose(&[]).unwrap().len(), 8);
        assert_eq!(choose(&["pid", "hpid"]).unwrap()[1].1, "HPID");
        assert!(choose(&["-ef"]).is_err() && choose(&["nonsense"]).is_err());
    }

    #[test]
    fn values_are_worded_as_podman_words_them() {
        assert_eq!((elapsed(3.7), elapsed(3723.0)), ("3s".into(), "1h2m3s".into()));
        assert_eq!((tty(0), tty(136 << 8 | 3)), ("?".into(), "pts/3".into()));
        assert_eq!(capabilities(Some("0000000000000003")), "CHOWN,DAC_OVERRIDE");
    }
}
