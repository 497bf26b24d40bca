//! Forwarding the caller's ssh agent to a `RUN`: a socket in memory whose connections a process passes on. Keys never
//! enter the container.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::secret::{Access, memory};
use crate::base::error::{Context, Explain, Kind, Result, bail, fail};
use crate::base::text::printable;
use crate::base::{fs, id};
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::process::{self, ChildProcess, Forked};
use crate::sys::{mount, prctl};

/// The agents that a build may forward, by id.
#[derive(Debug, Clone, Default)]
pub struct Agents(BTreeMap<String, Agent>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Agent {
    Socket(PathBuf),
    Keys(Vec<PathBuf>),
}

impl Agents {
    /// Reads `--ssh default|ID[=SOCKET|KEY[,KEY…]]`; `auth_sock` is the caller's `SSH_AUTH_SOCK`.
    pub fn read(specs: &[String], cwd: &Path, auth_sock: Option<&str>) -> Result<Agents> {
        let mut agents = BTreeMap::new();
        for spec in specs {
            let shown = || format!("read `--ssh {}`", printable(spec));
            let (id, paths) = spec.split_once('=').unwrap_or((spec, ""));
            let agent = agent(id, paths, cwd, auth_sock).with_context(shown)?;
            if agents.insert(id.to_owned(), agent).is_some() {
                return Err(fail(Kind::Usage, format!("the agent `{}` is given twice", printable(id))));
            }
        }
        Ok(Agents(agents))
    }

    /// Starts forwarding an agent; `None` when the build was given none of this id. `run` is a private directory for
    /// the socket of an agent that is started for keys. The calling process must be single-threaded.
    pub fn forward(&self, id: &str, access: Access, run: &Path) -> Result<Option<Forwarded>> {
        let Some(agent) = self.0.get(id) else { return Ok(None) };
        let (socket, own) = match agent {
            Agent::Socket(path) => (path.clone(), None),
            Agent::Keys(keys) => {
                let own = OwnAgent::start(run, keys)?;
                (own.dir.join(SOCKET), Some(own))
            }
        };
        forward(socket, own, access).map(Some)
    }
}

fn agent(id: &str, paths: &str, cwd: &Path, auth_sock: Option<&str>) -> Result<Agent> {
    if id.is_empty() {
        return Err(fail(Kind::Usage, "an agent needs an id, such as `default`"));
    }
    if paths.is_empty() {
        let socket = auth_sock.filter(|path| !path.is_empty());
        let socket =
            socket.ok_or_else(|| fail(Kind::Usage, "there is no ssh agent: SSH_AUTH_SOCK is not set"));
        return Ok(Agent::Socket(
            cwd.join(socket.hint("start one with `eval $(ssh-agent)`, or name a key")?),
        ));
    }
    let paths: Vec<PathBuf> = paths.split(',').map(|path| cwd.join(path)).collect();
    let mut sockets = 0;
    for path in &paths {
        let found = std::fs::metadata(path).with_context(|| format!("look at `{}`", path.display()))?;
        match found.file_type() {
            kind if kind.is_socket() => sockets += 1,
            kind if kind.is_file() => {}
            _ => bail!("`{}` is neither a socket nor a key", path.display()),
        }
    }
    match (sockets, paths.as_slice()) {
        (0, _) => Ok(Agent::Keys(paths)),
        (1, [socket]) => Ok(Agent::Socket(socket.clone())),
        _ => Err(fail(Kind::Usage, "an agent is one socket, or keys")),
    }
}

/// An agent that is being forwarded, until this is dropped.
#[derive(Debug)]
pub struct Forwarded {
    /// A detached mount of the socket.
    pub mount: Option<OwnedFd>,
    relay: ChildProcess,
    _own: Option<OwnAgent>,
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        let _ = process::pidfd_send_signal(self.relay.pidfd.as_fd(), libc::SIGKILL); // it may have ended
        let _ = process::wait(self.relay.pidfd.as_fd());
    }
}

fn forward(agent: PathBuf, own: Option<OwnAgent>, access: Access) -> Result<Forwarded> {
    UnixStream::connect(&agent)
        .with_context(|| format!("connect to the ssh agent at `{}`", agent.display()))?;
    let (tmpfs, name) = (memory()?, Path::new(SOCKET));
    let path = format!("/proc/self/fd/{}/{SOCKET}", tmpfs.as_raw_fd());
    let listener = UnixListener::bind(path).context("make a socket for the ssh agent")?;
    file::chmod_at(&tmpfs, name, access.mode)?;
    file::chown_at(&tmpfs, name, access.uid, access.gid)
        .with_context(|| format!("give the socket to {}:{}", access.uid, access.gid))?;
    let shown = file::open_at(&tmpfs, name, OFlags::PATH, Mode::empty())?;
    let mount =
        mount::clone_part(tmpfs.as_fd(), shown.as_fd()).context("show the socket of the ssh agent")?;
    match process::clone3(0, None).context("fork")? {
        Forked::Parent(relay) => Ok(Forwarded { mount: Some(mount), relay, _own: own }),
        Forked::Child => {
            let _ = prctl::parent_death_signal(Some(rustix::process::Signal::KILL)); // best effort
            serve(&listener, &agent);
            process::exit_now(0)
        }
    }
}

/// Passes connections on until the process is ended.
fn serve(listener: &UnixListener, agent: &Path) {
    for client in listener.incoming().flatten() {
        let Ok(server) = UnixStream::connect(agent) else { continue };
        let (Ok(client2), Ok(server2)) = (client.try_clone(), server.try_clone()) else { continue };
        std::thread::spawn(move || pass(client, server));
        std::thread::spawn(move || pass(server2, client2));
    }
}

fn pass(mut from: UnixStream, mut to: UnixStream) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write); // the other side may be gone
}

const SOCKET: &str = "agent";

/// An `ssh-agent` for keys; it ends with this, also when the build is killed, since its command then reads the end of
/// its input.
#[derive(Debug)]
struct OwnAgent {
    child: Child,
    dir: PathBuf,
}

impl OwnAgent {
    fn start(run: &Path, keys: &[PathBuf]) -> Result<OwnAgent> {
        let dir = run.join(format!("ssh-{}", id::word()));
        fs::create_dir_all(&dir)?;
        let mut command = Command::new("ssh-agent");
        command.arg("-a").arg(dir.join(SOCKET)).args(["sh", "-c", "echo; exec cat >/dev/null"]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let child =
            child.context("start `ssh-agent`").hint("install the OpenSSH client, or forward a running agent");
        let mut own = match child {
            Ok(child) => OwnAgent { child, dir },
            Err(error) => {
                let _ = std::fs::remove_dir(&dir); // the first error is the one to tell
                return Err(error);
            }
        };
        own.ready()?;
        keys.iter().try_for_each(|key| own.add(key))?;
        Ok(own)
    }

    fn ready(&mut self) -> Result<()> {
        let mut byte = [0];
        let out = self.child.stdout.as_mut().context("hear from `ssh-agent`")?;
        out.read_exact(&mut byte).context("start `ssh-agent`")
    }

    fn add(&self, key: &Path) -> Result<()> {
        let mut command = Command::new("ssh-add");
        command.arg("-q").arg("--").arg(key).env("SSH_AUTH_SOCK", self.dir.join(SOCKET));
        command.env("SSH_ASKPASS_REQUIRE", "never").stdin(Stdio::null());
        let output = command.output().context("run `ssh-add`")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let error =
                fail(Kind::Failed, format!("load key `{}`: {}", key.display(), printable(said.trim())));
            return Err(error.hint("a key with a passphrase needs a running agent: `--ssh default`"));
        }
        Ok(())
    }
}

impl Drop for OwnAgent {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
        let _ = crate::layer::tree::remove(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_passed_on_both_ways() {
        let dir = std::env::temp_dir().join(format!("dhow-agent-{}", id::word()));
        fs::create_dir_all(&dir).unwrap();
        let agent = UnixListener::bind(dir.join("agent")).unwrap();
        let front = UnixListener::bind(dir.join("front")).unwrap();
        let path = dir.join("agent");
        std::thread::spawn(move || serve(&front, &path)); // ends with the test program
        for _ in 0..2 {
            let mut client = UnixStream::connect(dir.join("front")).unwrap();
            client.write_all(b"ping").unwrap();
            let (mut served, _) = agent.accept().unwrap();
            let mut asked = [0; 4];
            served.read_exact(&mut asked).unwrap();
            served.write_all(b"pong").unwrap();
            drop(served);
            let mut said = String::new();
            client.read_to_string(&mut said).unwrap();
            assert_eq!((&asked, said.as_str()), (b"ping", "pong"));
        }
        crate::layer::tree::remove(&dir).unwrap();
    }

    #[test]
    fn agents_are_sockets_or_keys() {
        let dir = std::env::temp_dir().join(format!("dhow-agent-{}", id::word()));
        fs::create_dir_all(&dir).unwrap();
        let _listener = UnixListener::bind(dir.join("s")).unwrap();
        for key in ["k1", "k2"] {
            fs::create(&dir.join(key)).unwrap();
        }
        let read = |spec: &str, sock: Option<&str>| {
            Agents::read(&[spec.to_owned()], &dir, sock).map(|agents| agents.0.into_values().next().unwrap())
        };
        assert_eq!(read("default", Some("s")).unwrap(), Agent::Socket(dir.join("s")));
        assert_eq!(read("x=s", None).unwrap(), Agent::Socket(dir.join("s")));
        assert_eq!(read("x=k1,k2", None).unwrap(), Agent::Keys(vec![dir.join("k1"), dir.join("k2")]));
        for bad in ["default", "=s", "x=none", "x=s,k1", "x=."] {
            assert!(read(bad, None).is_err(), "{bad}");
        }
        crate::layer::tree::remove(&dir).unwrap();
    }
}
