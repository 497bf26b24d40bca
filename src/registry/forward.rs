//! Plain requests through a proxy: the request line holds the whole address (RFC 9112, 3.2.2), which the HTTP library
//! cannot be asked for. So the address is written behind a mark into the path, and the mark is taken out on its way.

use std::fmt;
use std::sync::Arc;

use ureq::Error;
use ureq::http::Uri;
use ureq::http::request::Builder;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::proxy::Forwarder;
use super::url::Url;
use crate::base::error::{Context, Result};
use crate::base::{id, text};

/// A method and the space behind it.
const METHOD: usize = 8;

/// Takes the mark out of what it sends.
#[derive(Clone)]
pub(super) struct Marked {
    /// Random, so that nobody's content can look like it.
    mark: Arc<str>,
}

impl Marked {
    pub(super) fn new() -> Marked {
        Marked { mark: format!("/{}/", text::hex(&id::bytes::<16>())).into() }
    }

    /// Addresses a request to a proxy.
    pub(super) fn address(&self, builder: Builder, proxy: &Forwarder, url: &Url) -> Result<Builder> {
        let scheme = if proxy.https { "https" } else { "http" };
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(proxy.authority.as_str())
            .path_and_query(format!("{}{url}", self.mark))
            .build()
            .context("read the proxy's address")?;
        let builder = builder.uri(uri).header("host", url.authority.as_str());
        Ok(match &proxy.authorization {
            Some(authorization) => builder.header("proxy-authorization", authorization),
            None => builder,
        })
    }
}

impl fmt::Debug for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marked")
    }
}

impl<In: Transport> Connector<In> for Marked {
    type Out = Unmarking<In>;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| Unmarking { inner, mark: self.mark.clone() }))
    }
}

/// A connection to a proxy.
#[derive(Debug)]
pub(super) struct Unmarking<T> {
    inner: T,
    mark: Arc<str>,
}

impl<T: Transport> Transport for Unmarking<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let out = &mut self.inner.buffers().output()[..amount];
        let amount = unmark(out, self.mark.as_bytes());
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// Takes the mark out of a request line at the beginning; gives what is left of the length.
fn unmark(out: &mut [u8], mark: &[u8]) -> usize {
    let start = &out[..out.len().min(METHOD + mark.len())];
    let Some(at) = start.windows(mark.len()).position(|window| window == mark) else { return out.len() };
    out.copy_within(at + mark.len().., at);
    out.len() - mark.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_taken_out_of_request_lines_alone() {
        let mut line = b"DELETE /mark/http://r.io/v2/ HTTP/1.1\r\n".to_vec();
        let left = unmark(&mut line, b"/mark/");
        assert_eq!(&line[..left], b"DELETE http://r.io/v2/ HTTP/1.1\r\n");
        for body in [&b"some more body with /mark/ in it"[..], b"", b"/mar"] {
            assert_eq!(unmark(&mut body.to_vec(), b"/mark/"), body.len());
        }
    }
}
