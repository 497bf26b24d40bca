//! As much of D-Bus as a transient unit takes: authentication, method calls with `a(sv)`, and signals.
//!
//! The wire format is that of the D-Bus specification, "Message Protocol": little-endian, every value aligned
//! to its size from the start of the message, arrays and strings with their length in front.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::base::error::{Context, Result, bail, ensure};

/// How long systemd may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The specification's limit of a message.
const LARGEST: usize = 128 << 20;

/// A value of the types that unit properties have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Bool(bool),
    U32s(Vec<u32>),
    U64(u64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Value::Bool(_) => "b",
            Value::U32s(_) => "au",
            Value::U64(_) => "t",
            Value::Text(_) => "s",
            Value::Bytes(_) => "ay",
        }
    }
}

/// Writes values with their alignment.
#[derive(Default)]
pub(super) struct Encoder(pub(super) Vec<u8>);

impl Encoder {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.align(4);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(signature.len() as u8);
        self.0.extend_from_slice(signature.as_bytes());
        self.0.push(0);
    }

    /// An array: its length in bytes does not count the padding before its first element.
    pub(super) fn array(&mut self, alignment: usize, fill: impl FnOnce(&mut Encoder)) {
        self.u32(0);
        let length_at = self.0.len() - 4;
        self.align(alignment);
        let start = self.0.len();
        fill(self);
        let length = (self.0.len() - start) as u32;
        self.0[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn variant(&mut self, value: &Value) {
        self.signature(value.signature());
        match value {
            Value::Bool(value) => self.u32((*value).into()),
            Value::U32s(values) => self.array(4, |e| values.iter().for_each(|value| e.u32(*value))),
            Value::U64(value) => {
                self.align(8);
                self.0.extend_from_slice(&value.to_le_bytes());
            }
            Value::Text(text) => self.text(text),
            Value::Bytes(bytes) => self.array(1, |e| e.0.extend_from_slice(bytes)),
        }
    }

    /// `a(sv)`.
    pub(super) fn properties(&mut self, properties: &[(&str, Value)]) {
        self.array(8, |e| {
            for (name, value) in properties {
                e.align(8);
                e.text(name);
                e.variant(value);
            }
        });
    }
}

/// Reads values with their alignment.
struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let slice = self.at.checked_add(count).and_then(|end| self.bytes.get(self.at..end));
        self.at += count;
        slice.context("D-Bus message is too short")
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32> {
        self.align(4);
        Ok(u32::from_le_bytes(self.take(4)?.try_into()?))
    }

    fn text(&mut self) -> Result<String> {
        let length = self.u32()? as usize;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(text)
    }

    fn signature(&mut self) -> Result<String> {
        let length = self.u8()?.into();
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(text)
    }
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum MessageKind {
    Call = 1,
    Return = 2,
    Error = 3,
    Signal = 4,
}

/// A message; the header fields that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: MessageKind,
    pub(super) serial: u32,
    pub(super) reply_to: u32,
    pub(super) path: String,
    pub(super) interface: String,
    pub(super) member: String,
    pub(super) error: String,
    pub(super) destination: String,
    pub(super) sender: String,
    pub(super) signature: String,
    pub(super) body: Vec<u8>,
}

impl Message {
    pub(super) fn new(kind: MessageKind) -> Message {
        let none = String::new;
        let (path, interface, member, error) = (none(), none(), none(), none());
        let (destination, sender, signature) = (none(), none(), none());
        let (serial, reply_to, body) = (0, 0, Vec::new());
        Message {
            kind,
            serial,
            reply_to,
            path,
            interface,
            member,
            error,
            destination,
            sender,
            signature,
            body,
        }
    }

    pub(super) fn call(destination: &str, path: &str, interface: &str, member: &str) -> Message {
        let own = str::to_owned;
        Message {
            path: own(path),
            interface: own(interface),
            member: own(member),
            destination: own(destination),
            ..Message::new(MessageKind::Call)
        }
    }

    pub(super) fn body(mut self, signature: &str, fill: impl FnOnce(&mut Encoder)) -> Message {
        let mut encoder = Encoder::default();
        fill(&mut encoder);
        self.signature = signature.to_owned();
        self.body = encoder.0;
        self
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut e = Encoder(vec![b'l', self.kind as u8, 0, 1]);
        e.u32(self.body.len() as u32);
        e.u32(self.serial);
        e.array(8, |e| {
            let mut text = |code: u8, kind: &str, text: &str| {
                if !text.is_empty() {
                    e.align(8);
                    e.0.push(code);
                    e.signature(kind);
                    if kind == "g" { e.signature(text) } else { e.text(text) }
                }
            };
            text(1, "o", &self.path);
            text(2, "s", &self.interface);
            text(3, "s", &self.member);
            text(4, "s", &self.error);
            text(6, "s", &self.destination);
            text(8, "g", &self.signature);
            if self.reply_to != 0 {
                e.align(8);
                e.0.push(5);
                e.signature("u");
                e.u32(self.reply_to);
            }
        });
        e.align(8);
        e.0.extend_from_slice(&self.body);
        e.0
    }

    /// How long the whole message is, from its first 16 bytes.
    fn length(head: &[u8; 16]) -> Result<usize> {
        ensure!(head[0] == b'l', "D-Bus peer of another byte order");
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
        let (body, fields) = (word(4), word(12));
        ensure!(body <= LARGEST && fields <= LARGEST, "D-Bus message is too long");
        Ok((16 + fields).next_multiple_of(8) + body)
    }

    fn decode(bytes: &[u8]) -> Result<Message> {
        let mut d = Decoder { bytes, at: 1 };
        let mut message = Message::new(match d.u8()? {
            1 => MessageKind::Call,
            2 => MessageKind::Return,
            3 => MessageKind::Error,
            4 => MessageKind::Signal,
            kind => bail!("D-Bus message of kind {kind}"),
        });
        d.at = 4;
        let body = d.u32()? as usize;
        message.serial = d.u32()?;
        let end = d.u32()? as usize + 16;
        while d.at < end {
            d.align(8);
            message.field(&mut d)?;
        }
        d.align(8);
        message.body = d.take(body)?.to_vec();
        Ok(message)
    }

    fn field(&mut self, d: &mut Decoder<'_>) -> Result<()> {
        let code = d.u8()?;
        let kind = d.signature()?;
        match (code, kind.as_str()) {
            (1, "o") => self.path = d.text()?,
            (2, "s") => self.interface = d.text()?,
            (3, "s") => self.member = d.text()?,
            (4, "s") => self.error = d.text()?,
            (5, "u") => self.reply_to = d.u32()?,
            (6, "s") => self.destination = d.text()?,
            (7, "s") => self.sender = d.text()?,
            (8, "g") => self.signature = d.signature()?,
            (_, "u") => _ = d.u32()?,
            (_, "s" | "o") => _ = d.text()?,
            (_, "g") => _ = d.signature()?,
            _ => bail!("D-Bus header field {code} of type `{kind}`"),
        }
        Ok(())
    }

    /// The strings and numbers of a body made of them alone, as text.
    pub(super) fn words(&self) -> Result<Vec<String>> {
        let mut d = Decoder { bytes: &self.body, at: 0 };
        let word = |kind| match kind {
            's' | 'o' => d.text(),
            'u' | 'b' => Ok(d.u32()?.to_string()),
            kind => bail!("D-Bus value of type `{kind}`"),
        };
        self.signature.chars().map(word).collect()
    }
}

/// A connection to a message bus.
pub(super) struct Connection {
    stream: UnixStream,
    serial: u32,
}

impl Connection {
    /// Connects, proves who we are by the socket's credentials, and says hello.
    pub(super) fn open(path: &Path) -> Result<Connection> {
        let connect = || -> Result<Connection> {
            let mut stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            // No user id is said: in a user namespace ours is not the one that the bus sees, and it looks anyway.
            stream.write_all(b"\0AUTH EXTERNAL\r\nDATA\r\n")?;
            ensure!(line(&mut stream)?.starts_with("DATA"), "authentication is refused");
            ensure!(line(&mut stream)?.starts_with("OK "), "authentication is refused");
            stream.write_all(b"BEGIN\r\n")?;
            Ok(Connection { stream, serial: 0 })
        };
        let mut bus =
            connect().with_context(|| format!("connect to the message bus `{}`", path.display()))?;
        const BUS: &str = "org.freedesktop.DBus";
        bus.ask(Message::call(BUS, "/org/freedesktop/DBus", BUS, "Hello"))?;
        Ok(bus)
    }

    /// Sends a message; gives its serial.
    pub(super) fn send(&mut self, mut message: Message) -> Result<u32> {
        self.serial += 1;
        message.serial = self.serial;
        self.stream.write_all(&message.encode()).context("write to the message bus")?;
        Ok(self.serial)
    }

    /// The next message.
    pub(super) fn receive(&mut self) -> Result<Message> {
        let mut head = [0u8; 16];
        self.stream.read_exact(&mut head).context("read from the message bus")?;
        let mut bytes = vec![0; Message::length(&head)?];
        bytes[..16].copy_from_slice(&head);
        self.stream.read_exact(&mut bytes[16..]).context("read from the message bus")?;
        Message::decode(&bytes)
    }

    /// Calls a method and waits for its answer; signals that come in between are left out.
    pub(super) fn ask(&mut self, message: Message) -> Result<Message> {
        self.ask_with(message, |_| {})
    }

    /// As [`Connection::ask`], with the signals that come in between.
    pub(super) fn ask_with(&mut self, message: Message, mut signal: impl FnMut(Message)) -> Result<Message> {
        let name = format!("{}.{}", message.interface, message.member);
        let serial = self.send(message)?;
        loop {
            let answer = self.receive()?;
            match answer.kind {
                MessageKind::Return if answer.reply_to == serial => return Ok(answer),
                MessageKind::Error if answer.reply_to == serial => {
                    let text = answer.words().ok().and_then(|words| words.into_iter().next());
                    bail!("{name}: {}", text.unwrap_or(answer.error));
                }
                MessageKind::Signal => signal(answer),
                _ => {}
            }
        }
    }
}

/// A line of the authentication, byte by byte: what follows it must stay unread.
fn line(stream: &mut UnixStream) -> Result<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n") {
        ensure!(text.len() < 4096, "an endless line");
        stream.read_exact(&mut byte)?;
        text.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&text).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Laid out by hand from the specification's rules.
    #[test]
    fn properties_have_the_bytes_of_the_specification() {
        let mut e = Encoder::default();
        e.properties(&[("PIDs", Value::U32s(vec![7])), ("Delegate", Value::Bool(true))]);
        #[rustfmt::skip]
        let wanted: &[u8] = &[
            44, 0, 0, 0,  0, 0, 0, 0,               // length, padding to the struct
            4, 0, 0, 0, b'P', b'I', b'D', b's', 0,  // "PIDs"
            2, b'a', b'u', 0, 0, 0, 0,              // signature, padding to the array's length
            4, 0, 0, 0,  7, 0, 0, 0,                // one number
            8, 0, 0, 0, b'D', b'e', b'l', b'e', b'g', b'a', b't', b'e', 0,
            1, b'b', 0,                             // signature, aligned already
            1, 0, 0, 0,
        ];
        // 8 + 16 + 8 = 32 bytes up to the second struct, which is at a multiple of 8.
        assert_eq!(e.0, wanted);
        assert_eq!(u32::from_le_bytes(e.0[..4].try_into().unwrap()) as usize, e.0.len() - 8);
    }

    #[test]
    fn numbers_of_eight_bytes_are_aligned() {
        let mut e = Encoder::default();
        e.properties(&[("A", Value::U64(3))]);
        assert_eq!(
            &e.0[8..],
            &[1, 0, 0, 0, b'A', 0, 1, b't', 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn messages_come_back_as_they_went() {
        let mut message = Message::call("a.b", "/a/b", "a.c", "D").body("su", |e| {
            e.text("x");
            e.u32(9);
        });
        message.serial = 5;
        let bytes = message.encode();
        assert_eq!(Message::length(bytes[..16].try_into().unwrap()).unwrap(), bytes.len());
        assert_eq!(Message::decode(&bytes).unwrap(), message);
        assert_eq!(message.words().unwrap(), ["x", "9"]);
        for cut in 16..bytes.len() {
            assert!(Message::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
