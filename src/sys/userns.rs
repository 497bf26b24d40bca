//! The rootless stage: the calling process moves itself into a new user and mount namespace in which it is
//! root and owns the sub-ids that the administrator gave to the user.
//!
//! No re-exec, no pause process. The helpers that run the set-uid programs are forked before the process
//! leaves the old namespace (a set-uid program has no power inside a new one) and work at the same time.

use std::ffi::CString;
use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use super::process::{self, ChildProcess, Exit, Forked, flags};
use crate::base::error::{Context, Explain, Result, anyhow, bail};
use crate::base::fs;

/// A run of ids: `first` to `first + count - 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The first id.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// One line of a `uid_map`: `inside` to `inside + count - 1` are `outside` and following.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMap {
    /// The first id as the namespace sees it.
    pub inside: u32,
    /// The first id as the parent namespace sees it.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// The stage that was entered.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Map of user ids.
    pub uids: Vec<IdMap>,
    /// Map of group ids.
    pub gids: Vec<IdMap>,
    /// Only the caller's own id is mapped: chown to any other fails.
    pub single: bool,
    /// Why it is single, for `info` and hints.
    pub reason: Option<String>,
}

static INSIDE: AtomicBool = AtomicBool::new(false);

/// Returns whether this process has entered the stage.
pub fn in_stage() -> bool {
    INSIDE.load(Ordering::Relaxed)
}

/// Returns whether this process lives in a user namespace, of its own making or of somebody above (a container):
/// root there has no power over the host's devices, attributes and file systems.
pub fn restricted() -> bool {
    /// `PROC_USER_INIT_INO`, the host's user namespace on every kernel since 3.8.
    const INITIAL: u64 = 0xEFFF_FFFD;
    in_stage() || rustix::fs::stat("/proc/self/ns/user").is_ok_and(|stat| stat.st_ino != INITIAL)
}

/// Enters the stage for the caller `uid`:`gid` (of the namespace the command was started in).
///
/// Afterwards this process is uid 0 there, with all capabilities over it, in a mount namespace of its own in
/// which it receives the host's mounts and gives none back. Must be called while single-threaded.
pub fn enter(uid: u32, gid: u32) -> Result<Stage> {
    let stage = plan(uid, gid);
    if stage.single {
        unshare()?;
        write_single(uid, gid)?;
    } else {
        enter_with_helpers(&stage)?;
    }
    INSIDE.store(true, Ordering::Relaxed);
    Ok(stage)
}

/// Enters the stage in which another process of the same caller is: to share namespaces with what was made there.
pub fn enter_with(pid: i32, uid: u32, gid: u32) -> Result<Stage> {
    use rustix::fs::{Mode, OFlags};
    let path = format!("/proc/{pid}/ns/user");
    let namespace = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .with_context(|| format!("open `{path}`"))?;
    process::setns(namespace.as_fd(), flags::NEWUSER)
        .context("join the user namespace of another container")?;
    process::unshare(flags::NEWNS).context("make a mount namespace")?;
    INSIDE.store(true, Ordering::Relaxed);
    Ok(plan(uid, gid))
}

/// The maps that [`enter`] would make.
pub fn plan(uid: u32, gid: u32) -> Stage {
    let single = |reason: String| Stage {
        uids: vec![IdMap { inside: 0, outside: uid, count: 1 }],
        gids: vec![IdMap { inside: 0, outside: gid, count: 1 }],
        single: true,
        reason: Some(reason),
    };
    let name = user_name(uid);
    let (uids, gids) = (subuids(uid, name.as_deref()), subgids(uid, name.as_deref()));
    if uids.is_empty() || gids.is_empty() {
        return single(format!("no sub-ids for uid {uid} in /etc/subuid and /etc/subgid"));
    }
    if program("newuidmap").is_none() || program("newgidmap").is_none() {
        return single("newuidmap and newgidmap are not installed".to_owned());
    }
    Stage { uids: full_map(uid, &uids), gids: full_map(gid, &gids), single: false, reason: None }
}

/// `0:own:1`, then the ranges one after the other from 1.
pub fn full_map(own: u32, ranges: &[IdRange]) -> Vec<IdMap> {
    let mut map = vec![IdMap { inside: 0, outside: own, count: 1 }];
    let mut next = 1u32;
    for range in ranges {
        let Some(after) = next.checked_add(range.count) else { break };
        map.push(IdMap { inside: next, outside: range.first, count: range.count });
        next = after;
    }
    map
}

/// Enters a new user and mount namespace with just these maps, in which the process keeps the id it has outside.
///
/// Otherwise as [`enter`].
pub fn enter_mapped(uids: &[IdMap], gids: &[IdMap]) -> Result<()> {
    if is_own_id(uids, gids) {
        unshare()?;
        write_map("/proc/self/uid_map", &map_text(uids))?;
        write_map("/proc/self/setgroups", "deny")?;
        write_map("/proc/self/gid_map", &map_text(gids))?;
    } else {
        let (uids, gids) = (uids.to_vec(), gids.to_vec());
        enter_with_helpers(&Stage { uids, gids, single: false, reason: None })?;
    }
    INSIDE.store(true, Ordering::Relaxed);
    Ok(())
}

fn unshare() -> Result<()> {
    process::unshare(flags::NEWUSER | flags::NEWNS).context("make a user namespace").hint(
        "check `sysctl user.max_user_namespaces kernel.unprivileged_userns_clone \
         kernel.apparmor_restrict_unprivileged_userns`",
    )
}

fn write_single(uid: u32, gid: u32) -> Result<()> {
    write_map("/proc/self/uid_map", &format!("0 {uid} 1"))?;
    write_map("/proc/self/setgroups", "deny")?;
    write_map("/proc/self/gid_map", &format!("0 {gid} 1"))
}

fn write_map(path: &str, text: &str) -> Result<()> {
    write_proc(Path::new(path), text.as_bytes()).with_context(|| format!("write `{path}`"))
}

/// Writes a file of `/proc` with one `write`: maps take no second one.
pub fn write_proc(path: &Path, bytes: &[u8]) -> rustix::io::Result<()> {
    use rustix::fs::{Mode, OFlags};
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())?;
    let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, bytes))?;
    if written == bytes.len() { Ok(()) } else { Err(Errno::IO) }
}

/// Helpers first (in the old namespace, waiting), then unshare, then both map programs at once.
fn enter_with_helpers(stage: &Stage) -> Result<()> {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let (wait, go) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).context("make a pipe")?;
    let uids = MapProgram::prepare("newuidmap", pid, &stage.uids)?;
    let gids = MapProgram::prepare("newgidmap", pid, &stage.gids)?;
    let (uids, gids) = (uids.fork(Some(wait.as_fd()))?, gids.fork(Some(wait.as_fd()))?);
    let unshared = unshare();
    if unshared.is_ok() {
        let _ = rustix::io::write(&go, b"gg"); // one byte each; a dead helper shows in its status
    }
    drop(go);
    let mapped = finish("newuidmap", uids).and(finish("newgidmap", gids));
    unshared.and(mapped)
}

/// Gives a user namespace its maps: as its privileged parent by itself, else through the set-uid programs.
pub fn write_maps(pid: i32, uids: &[IdMap], gids: &[IdMap]) -> Result<()> {
    let base = format!("/proc/{pid}");
    match write_proc(Path::new(&format!("{base}/uid_map")), map_text(uids).as_bytes()) {
        Ok(()) => write_map(&format!("{base}/gid_map"), &map_text(gids)),
        Err(Errno::PERM) if is_own_id(uids, gids) => {
            write_map(&format!("{base}/setgroups"), "deny")?;
            write_map(&format!("{base}/uid_map"), &map_text(uids))?;
            write_map(&format!("{base}/gid_map"), &map_text(gids))
        }
        Err(Errno::PERM) => {
            let uids = MapProgram::prepare("newuidmap", pid, uids)?.fork(None)?;
            let gids = MapProgram::prepare("newgidmap", pid, gids)?.fork(None)?;
            finish("newuidmap", uids).and(finish("newgidmap", gids))
        }
        Err(errno) => Err(errno).with_context(|| format!("write `{base}/uid_map`")),
    }
}

/// Makes a user namespace with these maps that no process lives in: for id-mapped mounts, or to be joined.
pub fn create(uids: &[IdMap], gids: &[IdMap]) -> Result<OwnedFd> {
    let (wait, end) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).context("make a pipe")?;
    let child = match process::clone3(flags::NEWUSER, None).context("make a user namespace")? {
        Forked::Parent(child) => child,
        Forked::Child => {
            drop(end);
            let _ = rustix::io::read(&wait, &mut [0u8; 1]); // until the parent is done or dead
            process::exit_now(0)
        }
    };
    let made = write_maps(child.pid, uids, gids).and_then(|()| open_namespace(child.pid, "user"));
    drop(end);
    process::wait(child.pidfd.as_fd()).context("wait for the maker of a user namespace")?;
    made
}

/// Opens a namespace of a process (`user`, `net`, `mnt`, `pid_for_children`…).
pub fn open_namespace(pid: i32, kind: &str) -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    let path = format!("/proc/{pid}/ns/{kind}");
    rustix::fs::open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .with_context(|| format!("open `{path}`"))
}

/// Enters the stage of a running container instead of a new one: its user namespace (which the caller owns), and
/// a mount namespace of its own in it. Needed to share namespaces with that container, and cheaper than [`enter`].
pub fn join(namespace: BorrowedFd<'_>) -> Result<()> {
    process::setns(namespace, flags::NEWUSER).context("join the user namespace")?;
    process::unshare(flags::NEWNS).context("make a mount namespace")?;
    super::mount::all_slave().context("receive the host's mounts")?;
    INSIDE.store(true, Ordering::Relaxed);
    Ok(())
}

/// An unprivileged process may map exactly its own ids without help.
fn is_own_id(uids: &[IdMap], gids: &[IdMap]) -> bool {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    matches!(uids, [map] if map.count == 1 && map.outside == uid)
        && matches!(gids, [map] if map.count == 1 && map.outside == gid)
}

/// The text of a `uid_map`.
pub fn map_text(map: &[IdMap]) -> String {
    let mut text = String::new();
    for line in map {
        let _ = writeln!(text, "{} {} {}", line.inside, line.outside, line.count); // a String cannot fail
    }
    text
}

/// `newuidmap PID inside outside count …`, ready before the fork so that the child only execs.
struct MapProgram {
    path: CString,
    arguments: process::Strings,
    environment: process::Strings,
}

impl MapProgram {
    fn prepare(name: &str, pid: i32, map: &[IdMap]) -> Result<MapProgram> {
        let path = program(name).ok_or_else(|| {
            anyhow!("`{name}` is not installed").hint("install the package `uidmap` (or `shadow-utils`)")
        })?;
        let mut arguments = vec![name.to_owned(), pid.to_string()];
        for line in map {
            arguments.extend([line.inside, line.outside, line.count].map(|number| number.to_string()));
        }
        Ok(MapProgram {
            path: CString::new(path.as_os_str().as_bytes()).context("NUL in a path")?,
            arguments: process::Strings::new(arguments).context("NUL in an argument")?,
            environment: process::Strings::new(["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
                .context("environment")?,
        })
    }

    /// Forks the helper; with `gate` it waits for one byte first.
    fn fork(&self, gate: Option<BorrowedFd<'_>>) -> Result<ChildProcess> {
        match process::clone3(0, None).context("fork")? {
            Forked::Parent(child) => Ok(child),
            Forked::Child => {
                if let Some(wait) = gate {
                    // The copy of the pipe's other end must go, or a dead parent would never be noticed.
                    let _ = process::close_from(3, &[wait.as_raw_fd()]);
                    let mut byte = [0u8; 1];
                    let read = rustix::io::retry_on_intr(|| rustix::io::read(wait, &mut byte));
                    if !matches!(read, Ok(1)) {
                        process::exit_now(1);
                    }
                }
                process::reset_signals();
                process::execve(&self.path, &self.arguments, &self.environment);
                process::exit_now(127)
            }
        }
    }
}

fn finish(name: &str, child: ChildProcess) -> Result<()> {
    match process::wait(child.pidfd.as_fd()).with_context(|| format!("wait for `{name}`"))? {
        Exit::Status(0) => Ok(()),
        exit => bail!("`{name}` refused the map (exit status {})", exit.code()),
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let usual = ["/usr/bin", "/usr/sbin", "/bin", "/usr/local/bin"].map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    usual
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|dir| dir.join(name))
        .find(|candidate| rustix::fs::access(candidate, rustix::fs::Access::EXEC_OK).is_ok())
}

/// The user ids that the administrator gave to a user, by number or by name.
pub fn subuids(uid: u32, name: Option<&str>) -> Vec<IdRange> {
    ranges_from("/etc/subuid", "", uid, name)
}

/// The group ids that the administrator gave to a user (not to a group), by number or by name.
pub fn subgids(uid: u32, name: Option<&str>) -> Vec<IdRange> {
    ranges_from("/etc/subgid", "-g", uid, name)
}

fn ranges_from(file: &str, flag: &str, uid: u32, name: Option<&str>) -> Vec<IdRange> {
    let text = fs::read_to_string(Path::new(file)).unwrap_or_default(); // none is a rung of the ladder
    let ranges = parse_subids(&text, uid, name);
    if !ranges.is_empty() || !nss_serves_subids() {
        return ranges;
    }
    name.map(|name| ask_getsubids(flag, name)).unwrap_or_default()
}

/// Whether the host keeps sub-ids in a directory service (`subid: sss` in nsswitch.conf).
fn nss_serves_subids() -> bool {
    let text = fs::read_to_string(Path::new("/etc/nsswitch.conf")).unwrap_or_default();
    text.lines().any(|line| line.trim_start().starts_with("subid:"))
}

/// `getsubids [-g] NAME` prints `0: NAME FIRST COUNT`.
fn ask_getsubids(flag: &str, name: &str) -> Vec<IdRange> {
    let mut command = std::process::Command::new("getsubids");
    if !flag.is_empty() {
        command.arg(flag);
    }
    let Ok(output) = command.arg(name).stderr(std::process::Stdio::null()).output() else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(parse_getsubids).collect()
}

fn parse_getsubids(line: &str) -> Option<IdRange> {
    let mut fields = line.split_whitespace().skip(2);
    Some(IdRange { first: fields.next()?.parse().ok()?, count: fields.next()?.parse().ok()? })
}

/// The ranges of one user in the text of `/etc/subuid` or `/etc/subgid`.
pub fn parse_subids(text: &str, uid: u32, name: Option<&str>) -> Vec<IdRange> {
    let number = uid.to_string();
    let mine = |owner: &str| owner == number || name == Some(owner);
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            let range = IdRange { first: fields.next()?.parse().ok()?, count: fields.next()?.parse().ok()? };
            (mine(owner) && range.count > 0 && range.first.checked_add(range.count).is_some())
                .then_some(range)
        })
        .collect()
}

/// The login name of a uid in `/etc/passwd`, else `$USER`: only to look up sub-ids, which the set-uid
/// programs check again.
pub fn user_name(uid: u32) -> Option<String> {
    let text = fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    let number = uid.to_string();
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    found.or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subids_by_name_and_number_in_order() {
        let text = "a:100000:65536\n1000:300000:10\nb:1:0\na:200000:5\nbroken\na:x:1\na:4294967295:9\n";
        let range = |first, count| IdRange { first, count };
        assert_eq!(parse_subids(text, 7, Some("a")), [range(100000, 65536), range(200000, 5)]);
        assert_eq!(parse_subids(text, 1000, Some("b")), [range(300000, 10)]);
        assert_eq!(parse_subids(text, 1, None), []);
        assert_eq!(parse_getsubids("0: a 100000 65536"), Some(range(100000, 65536)));
    }

    #[test]
    fn the_full_map_starts_with_the_caller() {
        let map = full_map(1000, &[IdRange { first: 100000, count: 5 }, IdRange { first: 9, count: 2 }]);
        assert_eq!(map_text(&map), "0 1000 1\n1 100000 5\n6 9 2\n");
    }
}
