//! TLS for the transport: the one place that chooses the provider and decides whom to trust.
//!
//! ureq's own connector is not used because rustls refuses a server that shows a self-signed certificate marked as CA,
//! even when exactly that certificate was put into `certs.d`, which is how private registries are commonly set up (and
//! what `openssl req -x509` makes). Here such a certificate is accepted when it is one of the roots, byte for byte, and
//! its name and dates are right.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, StreamOwned,
};
use rustls::{Error as TlsError, SignatureScheme};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use super::certs::{self, ClientCert, HostCerts};
use crate::base::error::{Context, Result};

/// Makes the configuration for one kind of host.
pub(super) fn config(insecure: bool, certs: HostCerts, at_home: bool) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = if insecure { Trust::anybody(&provider) } else { Trust::roots(&provider, certs.roots)? };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .context("set up TLS")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match certs.client.filter(|_| at_home) {
        Some(client) => builder.with_client_cert_resolver(shown(&provider, client)?),
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// What the client shows of itself, as it is: rustls would refuse certificates of version 1, which is what
/// `openssl x509 -req` makes without extensions, and which the server may well accept.
fn shown(provider: &CryptoProvider, client: ClientCert) -> Result<Arc<SingleCertAndKey>> {
    let key = provider.key_provider.load_private_key(client.key).context("use the client's key")?;
    Ok(Arc::new(SingleCertAndKey::from(CertifiedKey::new(client.chain, key))))
}

/// Whose certificates are believed.
#[derive(Debug)]
struct Trust {
    provider: Arc<CryptoProvider>,
    belief: Belief,
}

#[derive(Debug)]
enum Belief {
    /// `--tls-verify=false`
    Anybody,
    /// Chains that end at a root, and the roots themselves; without roots there are no chains.
    Roots { chains: Option<Arc<WebPkiServerVerifier>>, roots: Vec<CertificateDer<'static>> },
}

impl Trust {
    fn anybody(provider: &Arc<CryptoProvider>) -> Trust {
        Trust { provider: provider.clone(), belief: Belief::Anybody }
    }

    fn roots(provider: &Arc<CryptoProvider>, mut roots: Vec<CertificateDer<'static>>) -> Result<Trust> {
        roots.extend(certs::system_roots()?.iter().cloned());
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().cloned());
        let chains = match store.is_empty() {
            true => None,
            false => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
                    .build()
                    .context("set up TLS")?,
            ),
        };
        Ok(Trust { provider: provider.clone(), belief: Belief::Roots { chains, roots } })
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Belief::Roots { chains, roots } = &self.belief else {
            return Ok(ServerCertVerified::assertion());
        };
        if roots.iter().any(|root| root == end_entity) {
            rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
            check_dates(end_entity, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        match chains {
            Some(chains) => chains.verify_server_cert(end_entity, intermediates, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Refuses a certificate outside its dates.
fn check_dates(certificate: &[u8], now: UnixTime) -> Result<(), TlsError> {
    let (from, until) = validity(certificate).ok_or(CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    match now {
        _ if now < from.as_second() => Err(CertificateError::NotValidYet.into()),
        _ if now > until.as_second() => Err(CertificateError::Expired.into()),
        _ => Ok(()),
    }
}

/// The dates of a certificate (RFC 5280, 4.1): version, serial, algorithm and issuer stand before them.
fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    const VERSION: u8 = 0xa0;
    let (_, whole, _) = element(certificate)?;
    let (_, mut fields, _) = element(whole)?;
    if *fields.first()? == VERSION {
        fields = element(fields)?.2;
    }
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, dates, _) = element(fields)?;
    let (kind, from, rest) = element(dates)?;
    let (last_kind, until, _) = element(rest)?;
    Some((time(kind, from)?, time(last_kind, until)?))
}

/// One DER element: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// UTCTime (two digits of the year, from 1950) or GeneralizedTime, always in Zulu.
fn time(kind: u8, text: &[u8]) -> Option<Timestamp> {
    const UTC_TIME: u8 = 0x17;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let century = match kind {
        UTC_TIME if text.get(..2)? < "50" => "20",
        UTC_TIME => "19",
        _ => "",
    };
    let date = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", format!("{century}{text}")).ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// Wraps connections in TLS where the URL says https.
pub(super) struct TlsConnector(pub(super) Arc<ClientConfig>);

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name =
            ServerName::try_from(host).map_err(|_| ureq::Error::Tls("the host's name is not valid"))?;
        let mut conn = ClientConnection::new(self.0.clone(), name)?;
        let mut sock = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        sock.set_timeout(details.timeout);
        conn.complete_io(&mut sock)?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned { conn, sock } })))
    }
}

/// A connection in TLS.
pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTransport")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_certificates_are_read() {
        assert_eq!(time(0x17, b"260102030405Z").unwrap().to_string(), "2026-01-02T03:04:05Z");
        assert_eq!(time(0x17, b"500102030405Z").unwrap().to_string(), "1950-01-02T03:04:05Z");
        assert_eq!(time(0x18, b"20500102030405Z").unwrap().to_string(), "2050-01-02T03:04:05Z");
        for bad in [&b""[..], b"Z", b"26010203040", b"2601020304055"] {
            assert_eq!(time(0x17, bad), None);
        }
        assert_eq!(validity(&[0x30, 0x82]), None);
        assert_eq!(validity(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
