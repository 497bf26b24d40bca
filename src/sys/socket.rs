//! Unix sockets of type `SOCK_SEQPACKET` (a message arrives whole or not at all) and `SCM_RIGHTS`.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect,
    listen, recvmsg, sendmsg, socket_with, socketpair, sockopt,
};

use crate::base::error::{Context, Result};

/// How many descriptors one message may carry.
const FDS: usize = 8;

/// A connected pair, close-on-exec.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .context("make a socket pair")
}

fn socket() -> Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .context("make a socket")
}

/// The name of a socket below a directory that is short enough whatever the directory's own path: `sun_path`
/// holds 108 bytes, store paths can be longer.
fn address(dir: &Path, name: &str) -> Result<(OwnedFd, SocketAddrUnix)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(dir, flags, Mode::empty())
        .with_context(|| format!("open directory `{}`", dir.display()))?;
    let path = format!("/proc/self/fd/{}/{name}", dir.as_raw_fd());
    let address = SocketAddrUnix::new(path).context("name a socket")?;
    Ok((dir, address))
}

/// Listens on `dir/name`, in place of a stale socket of that name; only the owner can connect.
pub fn listen_at(dir: &Path, name: &str) -> Result<OwnedFd> {
    let describe = || format!("listen on `{}`", dir.join(name).display());
    let listener = socket()?;
    let (held, address) = address(dir, name)?;
    match rustix::fs::unlinkat(&held, name, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error).with_context(describe),
    }
    let umask = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = bind(&listener, &address);
    rustix::process::umask(umask);
    bound.with_context(describe)?;
    listen(&listener, 64).with_context(describe)?;
    Ok(listener)
}

/// Connects to `dir/name`.
pub fn connect_at(dir: &Path, name: &str) -> Result<OwnedFd> {
    let stream = socket()?;
    let (_held, address) = address(dir, name)?;
    connect(&stream, &address).with_context(|| format!("connect to `{}`", dir.join(name).display()))?;
    Ok(stream)
}

/// Accepts a connection, if one waits, of this very user or root; others are closed at once.
pub fn accept_own(listener: impl AsFd) -> io::Result<Option<OwnedFd>> {
    let stream = match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
        Ok(stream) => stream,
        Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let peer = sockopt::socket_peercred(&stream)?.uid;
    Ok((peer == rustix::process::geteuid() || peer.is_root()).then_some(stream))
}

/// Sends one message made of these parts; `WouldBlock` when it does not fit and `wait` is false.
pub fn send(socket: impl AsFd, parts: &[IoSlice<'_>], wait: bool) -> io::Result<()> {
    send_with_fds(socket, parts, &[], wait)
}

/// Sends one message with descriptors.
pub fn send_with_fds(
    socket: impl AsFd,
    parts: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
    wait: bool,
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one message"));
    }
    let flags = SendFlags::NOSIGNAL | if wait { SendFlags::empty() } else { SendFlags::DONTWAIT };
    loop {
        match sendmsg(&socket, parts, &mut control, flags) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Receives one message into these parts; its length, 0 at the end of the connection.
pub fn receive(socket: impl AsFd, parts: &mut [IoSliceMut<'_>], wait: bool) -> io::Result<usize> {
    receive_with_fds(socket, parts, wait).map(|(length, _)| length)
}

/// Receives one message with its descriptors, close-on-exec.
pub fn receive_with_fds(
    socket: impl AsFd,
    parts: &mut [IoSliceMut<'_>],
    wait: bool,
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | if wait { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
    let length = loop {
        match recvmsg(&socket, parts, &mut control, flags) {
            Ok(message) => break message.bytes,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    let fds = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => fds.collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    Ok((length, fds.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_their_borders_and_carry_descriptors() {
        let (a, b) = pair().unwrap();
        send(&a, &[IoSlice::new(b"x"), IoSlice::new(b"one")], true).unwrap();
        send_with_fds(&a, &[IoSlice::new(b"y")], &[a.as_fd()], true).unwrap();
        let (mut kind, mut body) = ([0u8; 1], [0u8; 16]);
        let parts = &mut [IoSliceMut::new(&mut kind), IoSliceMut::new(&mut body)];
        assert_eq!(receive(&b, parts, true).unwrap(), 4);
        let (length, fds) = receive_with_fds(&b, &mut [IoSliceMut::new(&mut body)], true).unwrap();
        assert_eq!((length, fds.len()), (1, 1));
        assert_eq!(
            receive(&b, &mut [IoSliceMut::new(&mut kind)], false).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
    }

    #[test]
    fn a_long_directory_is_no_obstacle() {
        let dir = std::env::temp_dir().join("d".repeat(120)).join(crate::base::id::word());
        crate::base::fs::create_dir_all(&dir).unwrap();
        let listener = listen_at(&dir, "attach.sock").unwrap();
        let listener_again = listen_at(&dir, "attach.sock").unwrap();
        drop(listener);
        let _client = connect_at(&dir, "attach.sock").unwrap();
        assert!(accept_own(&listener_again).unwrap().is_some());
        crate::base::fs::remove_file(&dir.join("attach.sock")).unwrap();
    }
}
