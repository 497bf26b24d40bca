//! Whether a port speaks TLS: a bare ClientHello is sent, and the first byte of the answer tells.
//!
//! Needed only where plain http is allowed (this machine itself, registries marked insecure). It costs no root
//! certificates and no handshake, and a server that speaks both is spoken to in TLS.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::url::Url;

const PATIENCE: Duration = Duration::from_secs(3);
const ALERT: u8 = 0x15;
const HANDSHAKE: u8 = 0x16;

/// What was found behind a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    Tls,
    Other,
    /// Nobody is there.
    Nobody,
}

/// Asks a host and port.
pub(super) fn ask(url: &Url) -> Spoken {
    let Ok(addresses) = (url.host().as_str(), url.port()).to_socket_addrs() else { return Spoken::Nobody };
    let connect = |address| TcpStream::connect_timeout(&address, PATIENCE).ok();
    let Some(mut stream) = addresses.into_iter().find_map(connect) else { return Spoken::Nobody };
    let _ = stream.set_read_timeout(Some(PATIENCE));
    if stream.write_all(&client_hello()).is_err() {
        return Spoken::Other;
    }
    let mut first = [0u8; 1];
    match stream.read(&mut first) {
        Ok(1) if matches!(first[0], ALERT | HANDSHAKE) => Spoken::Tls,
        _ => Spoken::Other,
    }
}

/// A TLS 1.2/1.3 ClientHello (RFC 8446, 4.1.2) without a server name. The end of its random is two line ends, so that a
/// server which waits for lines answers at once.
fn client_hello() -> Vec<u8> {
    let mut random = [0x2a; 32];
    random[28..].copy_from_slice(b"\r\n\r\n");
    let suites: [u16; 7] = [0x1301, 0x1302, 0x1303, 0xc02f, 0xc02b, 0xc030, 0xc02c];
    let extensions: [(u16, &[u8]); 4] = [
        (0x002b, &[4, 3, 4, 3, 3]),                             // versions: 1.3, 1.2
        (0x000a, &[0, 4, 0, 29, 0, 23]),                        // groups: x25519, secp256r1
        (0x000d, &[0, 12, 4, 3, 8, 4, 4, 1, 8, 7, 5, 3, 8, 5]), // signatures: ecdsa, rsa-pss, rsa, ed25519
        (0x0033, &[0, 0]),                                      // key shares: none yet
    ];
    let mut hello = vec![3, 3];
    hello.extend(random);
    hello.push(0);
    hello.extend((suites.len() as u16 * 2).to_be_bytes());
    hello.extend(suites.iter().flat_map(|suite| suite.to_be_bytes()));
    hello.extend([1, 0]);
    let mut all = Vec::new();
    for (kind, data) in extensions {
        all.extend(kind.to_be_bytes());
        all.extend((data.len() as u16).to_be_bytes());
        all.extend(data);
    }
    hello.extend((all.len() as u16).to_be_bytes());
    hello.extend(all);
    let mut record = vec![HANDSHAKE, 3, 1];
    record.extend((hello.len() as u16 + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend((hello.len() as u16).to_be_bytes());
    record.extend(hello);
    record
}
