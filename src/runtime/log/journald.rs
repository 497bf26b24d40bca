//! The journal's native protocol: one datagram a message, or a sealed memory file where it does not fit into one.

use std::io::{IoSlice, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

use super::{Settings, Stream};
use crate::base::error::{Context, Explain, Result};
use crate::base::id;
use crate::sys::socket;

const SOCKET: &str = "/run/systemd/journal/socket";

/// The writing end.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    /// The fields that every message of this container has.
    fields: Vec<u8>,
}

impl Journal {
    pub(super) fn open(settings: &Settings) -> Result<Journal> {
        let socket = UnixDatagram::unbound().context("make a socket")?;
        socket
            .connect(SOCKET)
            .with_context(|| format!("connect to the journal at `{SOCKET}`"))
            .hint("choose another log driver: `--log-driver k8s-file`")?;
        Ok(Journal { socket, fields: common_fields(settings) })
    }

    pub(super) fn write(&self, stream: Stream, bytes: &[u8]) -> Result<()> {
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.send(&message(&self.fields, stream, line)).context("write to the journal")?;
        }
        Ok(())
    }

    fn send(&self, message: &[u8]) -> Result<()> {
        match self.socket.send(message) {
            Ok(_) => Ok(()),
            Err(error) if too_big(&error) => {
                let file = sealed(message)?;
                Ok(socket::send_with_fds(&self.socket, &[IoSlice::new(&[])], &[file.as_fd()], true)?)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn too_big(error: &std::io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MSGSIZE | Errno::NOBUFS))
}

fn sealed(message: &[u8]) -> Result<OwnedFd> {
    let fd = memfd_create("journal", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(message)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(file.into())
}

fn common_fields(settings: &Settings) -> Vec<u8> {
    let mut fields = Vec::new();
    field(&mut fields, "CONTAINER_ID_FULL", settings.id.as_bytes());
    field(&mut fields, "CONTAINER_ID", id::short(&settings.id).as_bytes());
    field(&mut fields, "CONTAINER_NAME", settings.name.as_bytes());
    let tag = if settings.tag.is_empty() { &settings.name } else { &settings.tag };
    field(&mut fields, "CONTAINER_TAG", tag.as_bytes());
    field(&mut fields, "SYSLOG_IDENTIFIER", tag.as_bytes());
    fields
}

fn message(common: &[u8], stream: Stream, line: &[u8]) -> Vec<u8> {
    let mut out = common.to_vec();
    // 6 is info, 3 is error: what podman gives the two streams, and how `logs` tells them apart.
    field(&mut out, "PRIORITY", if stream == Stream::Stdout { b"6" } else { b"3" });
    match line.strip_suffix(b"\n") {
        Some(text) => field(&mut out, "MESSAGE", text),
        None => {
            field(&mut out, "CONTAINER_PARTIAL_MESSAGE", b"true");
            field(&mut out, "MESSAGE", line);
        }
    }
    out
}

/// The binary form takes any value: name, newline, length as little-endian u64, value, newline.
fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_native_form() {
        let common =
            common_fields(&Settings { id: "ab".repeat(32), name: "web".into(), ..Settings::default() });
        let text = message(&common, Stream::Stderr, b"a\0b");
        let has = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
        assert!(has(b"CONTAINER_NAME\n\x03\0\0\0\0\0\0\0web\n"));
        assert!(has(b"CONTAINER_ID\n\x0c\0\0\0\0\0\0\0abababababab\n"));
        assert!(has(b"PRIORITY\n\x01\0\0\0\0\0\0\x003\n"));
        assert!(has(b"CONTAINER_PARTIAL_MESSAGE\n"));
        assert!(has(b"MESSAGE\n\x03\0\0\0\0\0\0\0a\0b\n"));
    }

    #[test]
    fn a_message_of_any_size_is_sent() {
        let (here, there) = UnixDatagram::pair().unwrap();
        let journal = Journal { socket: here, fields: Vec::new() };
        journal.send(&vec![b'x'; 4 << 20]).unwrap();
        let (_, fds) = socket::receive_with_fds(&there, &mut [], true).unwrap();
        assert_eq!(fds.len(), 1);
    }
}
