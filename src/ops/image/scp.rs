//! `image scp`: images from one machine to another, through the ssh program and the dhow (or podman) that is there.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use super::load::{Loaded, load_file};
use super::save::{SaveOptions, save_to};
use crate::base::error::{Context as _, Explain, Kind, Result, bail, fail};
use crate::ops::context::Context;
use crate::ops::progress::Progress;

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// An image of this store.
    Here(String),
    /// An image of another machine's store; no name means that of the source.
    There(Remote),
}

/// An image on another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// `[USER@]HOST`
    pub host: String,
    /// The port of its ssh, where it is not the usual one.
    pub port: Option<u16>,
    /// The image there.
    pub image: String,
}

impl End {
    /// Reads `IMAGE` or `[USER@]HOST[:PORT]::[IMAGE]`.
    pub fn parse(text: &str) -> Result<End> {
        let Some((host, image)) = text.split_once("::") else { return Ok(End::Here(text.to_owned())) };
        let wrong = || fail(Kind::Usage, format!("`{text}` is not of the form [USER@]HOST[:PORT]::[IMAGE]"));
        let (host, port) = match host.rsplit_once(':') {
            Some((name, port)) if !name.ends_with(':') && !host.ends_with(']') => {
                (name, Some(port.parse().map_err(|_| wrong())?))
            }
            _ => (host, None),
        };
        let plain = |c: char| c.is_alphanumeric() || "@._-[]:%".contains(c);
        // ssh would take a host that begins with a dash for an option (CVE-2017-1000117 and its like).
        if host.is_empty() || host.starts_with('-') || host.contains("@-") || !host.chars().all(plain) {
            return Err(wrong());
        }
        Ok(End::There(Remote { host: host.to_owned(), port, image: image.to_owned() }))
    }
}

impl Remote {
    /// ssh that runs this with the dhow of that machine, or with podman where there is no dhow.
    fn ssh(&self, words: &str) -> Command {
        let mut command = Command::new("ssh");
        if let Some(port) = self.port {
            command.args(["-p", &port.to_string()]);
        }
        let script =
            format!("if command -v dhow >/dev/null; then exec dhow {words}; else exec podman {words}; fi");
        command.args(["--", &self.host, &script]);
        command
    }

    fn save(&self) -> Result<Command> {
        if self.image.is_empty() {
            return Err(fail(Kind::Usage, format!("no image of `{}` was named", self.host)));
        }
        let mut command = self.ssh(&format!("save {}", quoted(&self.image)));
        command.stdin(Stdio::null());
        Ok(command)
    }

    fn load(&self) -> Command {
        self.ssh("load")
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Copies an image; what was loaded into this store, if that was the destination. Without a destination, an image of
/// another machine comes here.
pub fn scp(
    context: &Context,
    from: &End,
    to: Option<&End>,
    options: &SaveOptions,
    progress: &dyn Progress,
) -> Result<Vec<Loaded>> {
    match (from, to) {
        (End::There(from), None | Some(End::Here(_))) => {
            let loaded = fetch(context, from, progress)?;
            if let (Some(End::Here(name)), Some(first)) = (to, loaded.first()) {
                super::name::tag(context, first.id.as_str(), std::slice::from_ref(name))?;
            }
            Ok(loaded)
        }
        (End::Here(image), Some(End::There(to))) => {
            send(context, image, to, options, progress).map(|()| Vec::new())
        }
        (End::There(from), Some(End::There(to))) => relay(from, to).map(|()| Vec::new()),
        (End::Here(_), _) => {
            Err(fail(Kind::Usage, "one end of the copy must be another machine: HOST::IMAGE")
                .hint("`tag` gives an image of this machine another name"))
        }
    }
}

/// ssh is started before the rootless stage: inside it would be root, and read root's keys.
fn spawn(mut command: Command, host: &str) -> Result<Child> {
    command.spawn().with_context(|| format!("run ssh to `{host}`")).hint("the ssh program is needed")
}

fn finish(mut child: Child, host: &str) -> Result<()> {
    let status = child.wait().with_context(|| format!("wait for ssh to `{host}`"))?;
    match status.success() {
        true => Ok(()),
        false => bail!("ssh to `{host}` failed ({status})"),
    }
}

fn fetch(context: &Context, from: &Remote, progress: &dyn Progress) -> Result<Vec<Loaded>> {
    let mut command = from.save()?;
    command.stdout(Stdio::piped());
    let mut child = spawn(command, &from.host)?;
    let archive = child.stdout.take().map(OwnedFd::from).context("read from ssh")?;
    context.enter_stage()?;
    let loaded = load_file(context, File::from(archive), progress);
    finish(child, &from.host)?; // what ssh could not do is why the archive is no archive
    loaded.with_context(|| format!("load `{}` of `{}`", from.image, from.host))
}

fn send(
    context: &Context,
    image: &str,
    to: &Remote,
    options: &SaveOptions,
    progress: &dyn Progress,
) -> Result<()> {
    if !to.image.is_empty() {
        bail!("`{}::{}`: an image keeps its name there; give `{}::`", to.host, to.image, to.host);
    }
    super::find_or_install(context, image)?;
    let mut command = to.load();
    command.stdin(Stdio::piped());
    let mut child = spawn(command, &to.host)?;
    let mut archive = child.stdin.take().context("write to ssh")?;
    context.enter_stage()?;
    let written = save_to(context, &[image.to_owned()], options, &mut archive, progress);
    drop(archive);
    finish(child, &to.host)?;
    written
}

fn relay(from: &Remote, to: &Remote) -> Result<()> {
    let mut command = from.save()?;
    command.stdout(Stdio::piped());
    let mut source = spawn(command, &from.host)?;
    let archive = source.stdout.take().context("read from ssh")?;
    let mut command = to.load();
    command.stdin(archive);
    let target = spawn(command, &to.host)?;
    let sent = finish(source, &from.host);
    finish(target, &to.host).and(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_and_options_are_no_hosts() {
        let remote = |host: &str, port, image: &str| {
            End::There(Remote { host: host.into(), port, image: image.into() })
        };
        for (text, end) in [
            ("alpine:3", End::Here("alpine:3".into())),
            ("host::alpine:3", remote("host", None, "alpine:3")),
            ("me@host::", remote("me@host", None, "")),
            ("me@host:2222::a/b", remote("me@host", Some(2222), "a/b")),
        ] {
            assert_eq!(End::parse(text).unwrap(), end, "{text}");
        }
        for bad in ["::x", "-oProxyCommand=x::y", "me@-x::y", "a b::c", "host:port::x", "$(x)::y"] {
            assert!(End::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(quoted("a'b"), r"'a'\''b'");
    }
}
