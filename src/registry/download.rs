//! A file by its URL: archives for `import`.

use std::io::Read;

use ureq::http::Method;

use super::transport::{Party, Request, Transport};
use super::url::Url;
use crate::base::error::{Context, Kind, Result, fail};

/// Opens what a URL means; redirects are followed, never from https to http. A body that ends before its stated length
/// is an error of the read.
pub fn download(url: &str) -> Result<Box<dyn Read + Send>> {
    let home = Url::parse(url)?;
    let transport = Transport::new(None, concat!("dhow/", env!("CARGO_PKG_VERSION")).to_owned());
    // Who asks for plain http gets no less from where that leads, whatever its certificate says.
    let party = Party { home: &home, authorization: None, insecure: !home.https };
    let response = transport
        .exchange(Request::new(Method::GET, home.clone()), &party)
        .with_context(|| format!("download `{url}`"))?;
    match response.status {
        200 => Ok(Box::new(response.into_reader())),
        404 | 410 => Err(fail(Kind::NotFound, format!("download `{url}`: the server has no such file"))),
        status => {
            Err(fail(Kind::Failed, format!("download `{url}`: the server answers with status {status}")))
        }
    }
}
