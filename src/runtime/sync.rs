//! The talk between the process that makes a container and the container's first process.
//!
//! ```text
//! maker                            child
//!   ── clone3 ──────────────────────▶
//!   ── Mapped ──────────────────────▶  only with a new user namespace or a cgroup to be moved into
//!   ◀────────────────────── Hooks ──   only with hooks that run before the root changes
//!   ── HooksDone ───────────────────▶
//!   ◀───────── Ready (+ terminal) ──
//!   ── Go ──────────────────────────▶
//!   ◀─────────── end of file: the command executes; Failed: it does not
//! ```
//!
//! The socket is close-on-exec, so a successful exec closes it; nothing has to be said for success.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::base::error::{self, Context, Error, Explain, Kind, Result, anyhow, bail};

/// One side's end of the talk.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Mapped = b'm' as isize,
    Hooks = b'h' as isize,
    HooksDone = b'd' as isize,
    Ready = b'r' as isize,
    Go = b'g' as isize,
    Child = b'c' as isize,
    Failed = b'f' as isize,
}

impl Tag {
    fn from_byte(byte: u8) -> Option<Tag> {
        let all = [Tag::Mapped, Tag::Hooks, Tag::HooksDone, Tag::Ready, Tag::Go, Tag::Child, Tag::Failed];
        all.into_iter().find(|tag| *tag as u8 == byte)
    }
}

/// A message as received.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) tag: Tag,
    pub(super) body: Vec<u8>,
    pub(super) fds: Vec<OwnedFd>,
}

/// The longest message: an error with its hints is cut to this.
const MAX: usize = 4096;

impl Channel {
    /// Two connected ends.
    pub(super) fn pair() -> Result<(Channel, Channel)> {
        let (a, b) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .context("make a socket pair")?;
        Ok((Channel(a), Channel(b)))
    }

    pub(super) fn from_fd(fd: OwnedFd) -> Channel {
        Channel(fd)
    }

    /// Waits for a connection and goes on talking there: for a container that is started by another process.
    pub(super) fn accept(listener: BorrowedFd<'_>) -> Result<Channel> {
        let fd = retry_on_intr(|| rustix::net::accept_with(listener, SocketFlags::CLOEXEC));
        Ok(Channel(fd.context("wait for the start")?))
    }

    pub(super) fn send(&self, tag: Tag) -> Result<()> {
        self.send_with(tag, &[], &[])
    }

    /// Sends a message with descriptors.
    pub(super) fn send_with(&self, tag: Tag, body: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            bail!("too many descriptors in one message");
        }
        let tag = [tag as u8];
        let parts = [IoSlice::new(&tag), IoSlice::new(&body[..body.len().min(MAX - 1)])];
        retry_on_intr(|| rustix::net::sendmsg(&self.0, &parts, &mut control, SendFlags::NOSIGNAL))
            .context("talk to the other side")?;
        Ok(())
    }

    /// Receives the next message; `None` when the other side is gone (or executes its command).
    pub(super) fn receive(&self) -> Result<Option<Message>> {
        let mut bytes = [0u8; MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = retry_on_intr(|| {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            rustix::net::recvmsg(&self.0, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
        });
        let count = match received {
            Ok(received) => received.bytes,
            Err(Errno::CONNRESET) => 0, // it left without reading all we said
            Err(errno) => return Err(errno).context("listen to the other side"),
        };
        let Some((first, body)) = bytes[..count].split_first() else { return Ok(None) };
        let Some(tag) = Tag::from_byte(*first) else { bail!("unknown message from the other side") };
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        Ok(Some(Message { tag, body: body.to_vec(), fds }))
    }

    /// Receives one message of the wanted kind; an error that the other side sends becomes ours.
    pub(super) fn expect(&self, wanted: Tag) -> Result<Message> {
        match self.receive()? {
            Some(message) if message.tag == wanted => Ok(message),
            Some(message) if message.tag == Tag::Failed => Err(decode(&message.body)),
            Some(message) => bail!("expected {wanted:?} from the other side, got {:?}", message.tag),
            None => bail!("the container's first process died while it was set up"),
        }
    }

    /// After the start: waits until the command executes.
    pub(super) fn executed(&self) -> Result<()> {
        let message = self.receive()?;
        self.conclude(message)
    }

    /// The end of file is success; everything else is not.
    pub(super) fn conclude(&self, message: Option<Message>) -> Result<()> {
        match message {
            None => Ok(()),
            Some(message) if message.tag == Tag::Failed => Err(decode(&message.body)),
            Some(message) => bail!("expected the exec, got {:?}", message.tag),
        }
    }

    /// Whether nobody holds the other end any more.
    pub(super) fn is_orphan(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(&self.0, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).is_ok_and(|_| fds[0].revents().contains(PollFlags::HUP))
    }

    /// Tells the other side why this one gives up.
    pub(super) fn fail(&self, failure: &Error) {
        let _ = self.send_with(Tag::Failed, &encode(failure), &[]); // nobody listens: nobody is left to tell
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Kind, message and hints, as one line each.
fn encode(failure: &Error) -> Vec<u8> {
    let kind = match error::kind_of(failure) {
        Kind::NoCommand => b'n',
        Kind::NotExecutable => b'x',
        Kind::NotFound => b'm',
        Kind::Usage => b'u',
        Kind::InUse => b'i',
        _ => b'f',
    };
    let mut bytes = vec![kind];
    bytes.extend(error::render(failure).into_bytes());
    for hint in error::hints_of(failure) {
        bytes.push(b'\n');
        bytes.extend(hint.as_bytes());
    }
    bytes
}

fn decode(bytes: &[u8]) -> Error {
    let kind = match bytes.first() {
        Some(b'n') => Kind::NoCommand,
        Some(b'x') => Kind::NotExecutable,
        Some(b'm') => Kind::NotFound,
        Some(b'u') => Kind::Usage,
        Some(b'i') => Kind::InUse,
        _ => Kind::Failed,
    };
    let text = String::from_utf8_lossy(bytes.get(1..).unwrap_or_default()).into_owned();
    let mut lines = text.split('\n');
    let failure = anyhow!("{}", lines.next().unwrap_or_default()).kind(kind);
    lines.fold(failure, |failure, hint| failure.hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_cross_with_kind_and_hints() {
        let (a, b) = Channel::pair().unwrap();
        a.fail(&error::fail(Kind::NoCommand, "no `x`").hint("install it").context("run"));
        let failure = b.expect(Tag::Ready).unwrap_err();
        assert_eq!(error::kind_of(&failure), Kind::NoCommand);
        assert_eq!(error::render(&failure), "run: no `x`");
        assert_eq!(error::hints_of(&failure), ["install it"]);
        drop(a);
        b.executed().unwrap();
    }
}
