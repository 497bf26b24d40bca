//! What goes over `attach.sock` and the socket pair: one message of a `SOCK_SEQPACKET` socket is one frame, its first
//! byte the type.
//!
//! | type | from | payload |
//! |---|---|---|
//! | `h` hello | client | one byte: 1 stdin, 2 stdout, 4 stderr; from here on output is sent |
//! | `i` input | client | bytes for standard input or the terminal |
//! | `e` end of input | client | none |
//! | `w` window | client | rows, columns: u16 each |
//! | `k` signal | client | i32 |
//! | `n` no restart | client | none; answered by `a` |
//! | `g` start | client | none; answered by `a` or `f` |
//! | `a` done | supervisor | none |
//! | `s` started | supervisor | pid: i32 |
//! | `o`, `r` output | supervisor | bytes of standard output (or the terminal), of standard error |
//! | `x` exited | supervisor | [`super::ExitInfo`] as JSON; last |
//! | `f` failed | supervisor | kind, message, hints as JSON; last |
//!
//! Numbers are in the machine's byte order: both ends run on one machine.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsFd;

use crate::sys::socket;

/// The largest payload, and how much is read from a stream at once: what a pipe holds.
pub const LIMIT: usize = 64 << 10;

/// The type of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Type {
    /// A client wants streams.
    Hello = b'h',
    /// Bytes for the container.
    Input = b'i',
    /// No more input.
    EndOfInput = b'e',
    /// The client's window has this size.
    Window = b'w',
    /// A signal for the container.
    Signal = b'k',
    /// The container shall not be restarted any more.
    NoRestart = b'n',
    /// The container that waits shall start.
    Start = b'g',
    /// A request was carried out.
    Done = b'a',
    /// The container executes its command.
    Started = b's',
    /// Standard output.
    Stdout = b'o',
    /// Standard error.
    Stderr = b'r',
    /// The container ended.
    Exited = b'x',
    /// It could not be started.
    Failed = b'f',
}

impl Type {
    fn from_byte(byte: u8) -> Option<Type> {
        use Type::*;
        [
            Hello, Input, EndOfInput, Window, Signal, NoRestart, Start, Done, Started, Stdout, Stderr,
            Exited, Failed,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// Sends a frame; `WouldBlock` when there is no room and `wait` is false. It is sent whole or not at all.
pub fn send(socket: impl AsFd, kind: Type, payload: &[u8], wait: bool) -> io::Result<()> {
    socket::send(socket, &[IoSlice::new(&[kind as u8]), IoSlice::new(payload)], wait)
}

/// Receives a frame into `payload` (whose length becomes the payload's); `None` at the end of the connection.
///
/// A frame of an unknown type is an error: the peer is not this program.
pub fn receive(socket: impl AsFd, payload: &mut Vec<u8>, wait: bool) -> io::Result<Option<Type>> {
    payload.resize(LIMIT, 0);
    let mut kind = [0u8; 1];
    let parts = &mut [IoSliceMut::new(&mut kind), IoSliceMut::new(payload)];
    let length = match socket::receive(socket, parts, wait) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
        other => other?,
    };
    payload.truncate(length.saturating_sub(1));
    match (length, Type::from_byte(kind[0])) {
        (0, _) => Ok(None),
        (_, Some(kind)) => Ok(Some(kind)),
        (_, None) => Err(io::Error::new(io::ErrorKind::InvalidData, "unknown frame")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_cross_whole() {
        let (a, b) = socket::pair().unwrap();
        let big = vec![7u8; LIMIT];
        send(&a, Type::Stdout, &big, true).unwrap();
        send(&a, Type::EndOfInput, b"", true).unwrap();
        socket::send(&a, &[IoSlice::new(b"?")], true).unwrap();
        drop(a);
        let mut payload = Vec::new();
        assert_eq!(receive(&b, &mut payload, true).unwrap(), Some(Type::Stdout));
        assert_eq!(payload, big);
        assert_eq!(receive(&b, &mut payload, true).unwrap(), Some(Type::EndOfInput));
        assert!(payload.is_empty());
        assert!(receive(&b, &mut payload, true).is_err());
        assert_eq!(receive(&b, &mut payload, true).unwrap(), None);
    }

    #[test]
    fn a_full_socket_takes_nothing_of_a_frame() {
        let (a, b) = socket::pair().unwrap();
        let big = vec![7u8; LIMIT];
        let mut sent = 0;
        while send(&a, Type::Stdout, &big, false).is_ok() {
            sent += 1;
        }
        assert!(sent > 0);
        let mut payload = Vec::new();
        for _ in 0..sent {
            assert!(receive(&b, &mut payload, false).unwrap().is_some());
            assert_eq!(payload.len(), LIMIT);
        }
        assert_eq!(receive(&b, &mut payload, false).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
