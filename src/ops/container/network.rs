//! Connects a container's network namespace to the outside, where an outside program does that.
//!
//! pasta and slirp4netns run beside the container and end with it; which of them still runs is written into
//! `live.json`, so that the command after a crash can end it.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::PollFlags;
use serde::{Deserialize, Serialize};

use crate::base::error::{Context, Explain, Kind, Result, fail};
use crate::base::fs::{self, Durability};
use crate::container::record::{Network, NetworkMode, PortMapping};
use crate::ops::etc::PASTA_DNS;
use crate::runtime::supervisor::process_start;
use crate::sys::{event, mount, process};

/// The name of pasta's pid file in a run directory.
const PASTA_PID: &str = "pasta.pid";

/// A program that connects a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Connection {
    /// Its pid.
    pid: i32,
    /// Its start time, which tells it from a later process with the same number.
    start: u64,
}

/// Connects the network namespace of the process `pid`, if the mode asks for a program. `run` is the container's run
/// directory.
pub(super) fn connect(
    network: &Network,
    pid: i32,
    namespace: Option<OwnedFd>,
    run: &Path,
) -> Result<Option<Connection>> {
    match &network.mode {
        NetworkMode::Pasta(options) => {
            pasta(network, options, &path_of(pid, namespace.as_ref()), run).map(Some)
        }
        NetworkMode::Slirp4netns(options) => slirp4netns(network, options, pid).map(Some),
        _ => Ok(None),
    }
}

impl Connection {
    /// Ends the program, if it still runs.
    pub(super) fn end(&self) -> Result<()> {
        let pidfd = match process::pidfd_open(self.pid) {
            Ok(pidfd) if process_start(self.pid) == Some(self.start) => pidfd,
            Ok(_) | Err(rustix::io::Errno::SRCH) => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("open pid {}", self.pid)),
        };
        let _ = process::pidfd_send_signal(pidfd.as_fd(), 15); // gone already is as good
        let watched = [(pidfd.as_fd(), PollFlags::IN)];
        let ended =
            event::wait_any(&watched, Some(Duration::from_secs(2))).context("wait for a network program")?;
        if ended.iter().all(|flags| flags.is_empty()) {
            let _ = process::pidfd_send_signal(pidfd.as_fd(), 9);
        }
        Ok(())
    }
}

/// Ends a pasta whose supervisor was killed before it could note it: its pid file is in the run directory. The pid may
/// be another process's by now, but not one with this very file among its arguments.
pub(super) fn end_unnoted(run: &Path) -> Result<()> {
    let pid_file = run.join(PASTA_PID);
    let Some(text) = fs::read_optional(&pid_file)? else { return Ok(()) };
    let Some(pid) = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse::<i32>().ok()) else {
        return Ok(()); // it ended before it wrote
    };
    let arguments = fs::read_optional(Path::new(&format!("/proc/{pid}/cmdline")))?.unwrap_or_default();
    if !arguments.split(|&byte| byte == 0).any(|word| word == pid_file.as_os_str().as_bytes()) {
        return Ok(());
    }
    process_start(pid).map_or(Ok(()), |start| Connection { pid, start }.end())
}

/// pasta leaves the foreground once the namespace is connected, so its start is also the wait for that.
///
/// It gives up most capabilities before it opens the namespace, and could not look into `/proc/PID/ns` of a process
/// that has more: it gets the namespace as a file of its own, bound for this moment. Removing that file ends it.
fn pasta(network: &Network, options: &[String], source: &Path, run: &Path) -> Result<Connection> {
    let namespace = run.join("netns");
    fs::replace(&namespace, b"", 0o600, Durability::Volatile)?;
    mount::bind(source, &namespace, false).context("bind the network namespace")?;
    let connected = start_pasta(network, options, &namespace, &run.join(PASTA_PID));
    mount::detach(&namespace).context("release the network namespace")?;
    connected
}

/// Where a network namespace is found: behind our descriptor of it, or that of the process.
fn path_of(pid: i32, namespace: Option<&OwnedFd>) -> PathBuf {
    match namespace {
        Some(fd) => PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd())),
        None => PathBuf::from(format!("/proc/{pid}/ns/net")),
    }
}

fn start_pasta(
    network: &Network,
    options: &[String],
    namespace: &Path,
    pid_file: &Path,
) -> Result<Connection> {
    let mut command = Command::new("pasta");
    command.args(["--config-net", "--quiet", "--no-map-gw", "-T", "none", "-U", "none"]);
    command.args(["--dns-forward", PASTA_DNS]).arg("--pid").arg(pid_file).arg("--netns").arg(namespace);
    for (flag, protocol) in [("-t", "tcp"), ("-u", "udp")] {
        let ports: Vec<String> =
            network.ports.iter().filter(|p| p.protocol == protocol).map(pasta_port).collect();
        if ports.is_empty() {
            command.args([flag, "none"]);
        }
        for port in ports {
            command.args([flag, &port]);
        }
    }
    command.args(options);
    let output = wait_for(command, "pasta")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(fail(Kind::Failed, format!("connect the network with pasta: {}", said.trim()))
            .hint("`--network none` runs without a network; ports below 1024 need sysctl net.ipv4.ip_unprivileged_port_start"));
    }
    let number = fs::read_to_string(pid_file)?.trim().parse().context("read pasta's pid file")?;
    connection(number)
}

fn connection(pid: i32) -> Result<Connection> {
    let start = process_start(pid).with_context(|| format!("look at the network program, pid {pid}"))?;
    Ok(Connection { pid, start })
}

/// `ADDRESS/8080-8082:80-82`, as pasta spells a mapping.
fn pasta_port(mapping: &PortMapping) -> String {
    let span = |first: u16| match mapping.range {
        0 | 1 => first.to_string(),
        count => format!("{first}-{}", first + count - 1),
    };
    let address = if mapping.host_ip.is_empty() { String::new() } else { format!("{}/", mapping.host_ip) };
    format!("{address}{}:{}", span(mapping.host_port), span(mapping.container_port))
}

fn wait_for(mut command: Command, name: &str) -> Result<std::process::Output> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.output().with_context(|| format!("run `{name}`")).hint("install it, or use `--network none`")
}

/// slirp4netns says on a descriptor when it is ready.
fn slirp4netns(network: &Network, options: &[String], pid: i32) -> Result<Connection> {
    if !network.ports.is_empty() {
        return Err(fail(Kind::Failed, "publish ports through slirp4netns: not supported")
            .hint("install pasta (passt)"));
    }
    use rustix::pipe::{PipeFlags, pipe_with};
    let (ready, says_ready) = pipe_with(PipeFlags::empty()).context("make a pipe")?;
    let number = |fd: &std::os::fd::OwnedFd| std::os::fd::AsRawFd::as_raw_fd(fd).to_string();
    let mut command = Command::new("slirp4netns");
    command.args([
        "--configure",
        "--mtu=65520",
        "--disable-host-loopback",
        "--ready-fd",
        &number(&says_ready),
    ]);
    command.args(options).arg(pid.to_string()).arg("tap0");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().context("run `slirp4netns`").hint("install it, or use `--network none`")?;
    drop(says_ready);
    let mut answer = [0u8; 1];
    let told = rustix::io::retry_on_intr(|| rustix::io::read(&ready, &mut answer))
        .context("hear from slirp4netns")?;
    if told == 0 {
        return Err(fail(Kind::Failed, "connect the network with slirp4netns: it ended before it was ready"));
    }
    connection(child.id().cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_spelled_for_pasta() {
        let mapping = |host_ip: &str, range| PortMapping {
            host_ip: host_ip.into(),
            host_port: 8080,
            container_port: 80,
            range,
            protocol: "tcp".into(),
        };
        assert_eq!(pasta_port(&mapping("", 1)), "8080:80");
        assert_eq!(pasta_port(&mapping("127.0.0.1", 3)), "127.0.0.1/8080-8082:80-82");
    }
}
