//! A small HTTP server that does what a test tells it, also what no server should do. The unit tests of the registry
//! client use it too.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first byte that a `Range: bytes=N-` asks for.
    pub(crate) fn range(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// How the connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It is kept for the next request.
    Kept,
    /// With a reset after the body.
    Reset,
    /// With a reset instead of an answer.
    Unanswered,
    /// It stays open, and nothing more comes.
    Silent,
}

/// What to send: status, headers, body, and how the connection ends.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Claims this length instead of the true one.
    pub(crate) length: Option<usize>,
    /// The body comes in pieces of so many bytes with pauses between them.
    drip: Option<(usize, Duration)>,
    end: End,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply { status, headers: Vec::new(), body: body.into(), length: None, drip: None, end: End::Kept }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Promises more or less than it sends; the connection is closed after it.
    pub(crate) fn claiming(mut self, length: usize) -> Reply {
        self.length = Some(length);
        self
    }

    pub(crate) fn resetting(mut self) -> Reply {
        self.end = End::Reset;
        self
    }

    /// Breaks the connection before a word was said.
    pub(crate) fn unanswered(mut self) -> Reply {
        self.end = End::Unanswered;
        self
    }

    /// Says nothing more after the body, and does not hang up.
    pub(crate) fn falling_silent(mut self) -> Reply {
        self.end = End::Silent;
        self
    }

    /// Sends the body in pieces of `bytes` with pauses between them.
    pub(crate) fn dripping(mut self, bytes: usize, pause: Duration) -> Reply {
        self.drip = Some((bytes, pause));
        self
    }
}

/// A running server; its threads end with the test process.
pub(crate) struct Server {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Serves every request by `answer`, which is told how many requests came before.
    pub(crate) fn start(answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (seen.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Server { port, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Seen>>, answer: &(dyn Fn(&Seen, usize) -> Reply + Sync)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read_request(&mut reader) {
        let before = {
            let mut log = log.lock().unwrap();
            log.push(request.clone());
            log.len() - 1
        };
        let reply = answer(&request, before);
        let (end, lying) = (reply.end, reply.length.is_some());
        if end != End::Unanswered && send(&stream, &request, &reply).is_err() {
            return;
        }
        match end {
            End::Kept if lying => return,
            End::Kept => {}
            End::Reset | End::Unanswered => return reset_connection(&stream),
            End::Silent => drop(reader.read(&mut [0])), // until the client gives up
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    // A ClientHello is not for us.
    if reader.fill_buf().ok()?.first()? == &0x16 {
        return None;
    }
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    if headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked") {
        body = read_chunked(reader)?;
    }
    Some(Seen { method, path, headers, body })
}

fn read_chunked(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut piece = vec![0; size + 2];
        reader.read_exact(&mut piece).ok()?;
        body.extend(&piece[..size]);
        if size == 0 {
            return Some(body);
        }
    }
}

fn send(mut stream: &TcpStream, request: &Seen, reply: &Reply) -> std::io::Result<()> {
    let length = reply.length.unwrap_or(reply.body.len());
    let mut head = format!("HTTP/1.1 {} X\r\nContent-Length: {length}\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    stream.write_all(head.as_bytes())?;
    if request.method == "HEAD" {
        return stream.flush();
    }
    let (bytes, pause) = reply.drip.unwrap_or((reply.body.len().max(1), Duration::ZERO));
    for piece in reply.body.chunks(bytes) {
        stream.write_all(piece)?;
        stream.flush()?;
        std::thread::sleep(pause);
    }
    Ok(())
}

/// Closes so that the peer sees a reset, not an end.
fn reset_connection(stream: &TcpStream) {
    std::thread::sleep(std::time::Duration::from_millis(30));
    let _ = rustix::net::sockopt::set_socket_linger(stream, Some(std::time::Duration::ZERO));
}
