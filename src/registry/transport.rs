//! The wire: one HTTP exchange with redirects, over connections that are kept; the only user of ureq.
//!
//! Every host with certificates of its own has its own agent; all others share one for each kind of TLS and proxy.

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ureq::http::{HeaderMap, Method, Request as HttpRequest};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, SocksConnector, TcpConnector};
use ureq::{Agent, Body, BodyReader, SendBody};

use super::certs::HostCerts;
use super::endpoint::is_loopback;
use super::failure;
use super::forward::Marked;
use super::pace::Paced;
use super::proxy::{Forwarder, Proxies};
use super::tls::{self, TlsConnector};
use super::url::Url;
use crate::base::error::{Context, Result, bail};

const REDIRECTS: usize = 10;
const CONNECT: Duration = Duration::from_secs(30);
/// A registry may take its time to store what was sent: so many times the patience for an answer.
const STORING: u32 = 5;
const BUFFER: usize = 256 << 10;

/// What is asked of a server.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) payload: Payload<'a>,
}

/// A request's body.
pub(super) enum Payload<'a> {
    None,
    Bytes(&'a [u8]),
    /// A stream of known length; it can be sent only once.
    Stream(&'a mut (dyn Read + 'a), u64),
}

/// For whom a request is made: credentials and plain http are bound to it.
pub(super) struct Party<'a> {
    /// Where `authorization` and client certificates may go, and nowhere else.
    pub(super) home: &'a Url,
    /// The value of the `Authorization` header.
    pub(super) authorization: Option<&'a str>,
    /// Certificates are not verified, plain http is allowed.
    pub(super) insecure: bool,
    /// Plain http may lead to plain http elsewhere: nothing that is asked for is secret.
    pub(super) public: bool,
}

/// The body of an answer.
pub(super) type AnswerBody = Paced<BodyReader<'static>>;

/// What a server answered, after redirects.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Where the answer came from in the end.
    pub(super) url: Url,
    body: Body,
    patience: Duration,
}

impl<'a> Request<'a> {
    /// A request without a body.
    pub(super) fn new(method: Method, url: Url) -> Request<'a> {
        Request { method, url, headers: Vec::new(), payload: Payload::None }
    }
}

impl Response {
    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as a stream without limit, which must not stand still.
    pub(super) fn into_reader(self) -> AnswerBody {
        Paced::new(self.body.into_reader(), self.patience)
    }

    /// The whole body, which must not exceed `limit`.
    pub(super) fn into_bytes(self, limit: u64) -> Result<Vec<u8>> {
        let host = self.url.authority.clone();
        let mut bytes = Vec::new();
        let mut reader = self.into_reader().take(limit + 1);
        reader.read_to_end(&mut bytes).map_err(|error| failure::broken_read(&host, error))?;
        if bytes.len() as u64 > limit {
            bail!("`{host}` sends more than the limit of {limit} bytes");
        }
        Ok(bytes)
    }

    /// The length that the server states.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }
}

/// Which agent serves a URL.
#[derive(PartialEq, Eq, Hash, Clone)]
struct AgentKey {
    https: bool,
    /// To a proxy that is told the whole address.
    forwarded: bool,
    insecure: bool,
    own_certs: Option<(String, bool)>,
    proxy: Option<String>,
}

/// Makes exchanges.
pub(super) struct Transport {
    cert_dir: Option<PathBuf>,
    user_agent: String,
    /// How long a connection may stand still before it counts as broken.
    patience: Duration,
    proxies: Proxies,
    marked: Marked,
    agents: Mutex<HashMap<AgentKey, Agent>>,
}

impl Transport {
    pub(super) fn new(cert_dir: Option<PathBuf>, user_agent: String, patience: Duration) -> Transport {
        Transport {
            cert_dir,
            user_agent,
            patience,
            proxies: Proxies::from_env(),
            marked: Marked::new(),
            agents: Mutex::default(),
        }
    }

    /// Whether requests to this URL go through a proxy.
    pub(super) fn is_proxied(&self, url: &Url) -> bool {
        self.proxies.of(url).is_some()
    }

    /// Sends a request and follows redirects. Every status is an answer, not an error.
    pub(super) fn exchange(&self, mut request: Request<'_>, party: &Party<'_>) -> Result<Response> {
        for _ in 0..=REDIRECTS {
            let response = self.once(&mut request, party)?;
            let Some(target) = redirect_target(&request, &response)? else { return Ok(response) };
            check_downgrade(&request.url, &target, party)?;
            if response.status == 303 {
                request.method = Method::GET;
                request.payload = Payload::None;
            }
            request.url = target;
        }
        bail!("`{}` redirects too often", party.home.authority)
    }

    fn once(&self, request: &mut Request<'_>, party: &Party<'_>) -> Result<Response> {
        let url = request.url.clone();
        let at_home = url.same_origin(party.home);
        let forwarder = self.proxies.forwarder(&url);
        let agent = self.agent(&url, party, at_home, forwarder.as_ref())?;
        let mut builder = HttpRequest::builder().method(request.method.clone());
        builder = match &forwarder {
            None => builder.uri(url.to_string()),
            Some(proxy) => self.marked.address(builder, proxy, &url)?,
        };
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        // CVE-2020-15157: credentials go to the origin they were meant for, not where it points to.
        if let Some(authorization) = party.authorization.filter(|_| at_home) {
            builder = builder.header("authorization", authorization);
        }
        let answer = match &mut request.payload {
            Payload::None => {
                let request = builder.body(()).with_context(|| format!("ask `{url}`"))?;
                let hasty = agent.configure_request(request).timeout_per_read(Some(self.patience));
                agent.run(hasty.build())
            }
            Payload::Bytes(bytes) => agent.run(builder.body(*bytes).with_context(|| format!("ask `{url}`"))?),
            Payload::Stream(stream, length) => {
                let builder = builder.header("content-length", *length);
                let body = SendBody::from_reader(stream);
                agent.run(builder.body(body).with_context(|| format!("ask `{url}`"))?)
            }
        };
        let (parts, body) = answer.map_err(|error| failure::broken(&url, error))?.into_parts();
        let (status, patience) = (parts.status.as_u16(), self.patience);
        Ok(Response { status, headers: parts.headers, url, body, patience })
    }

    fn agent(
        &self,
        url: &Url,
        party: &Party<'_>,
        at_home: bool,
        forwarder: Option<&Forwarder>,
    ) -> Result<Agent> {
        let certs = if url.https { self.certs_for(url)? } else { None };
        let key = AgentKey {
            https: forwarder.map_or(url.https, |proxy| proxy.https),
            forwarded: forwarder.is_some(),
            insecure: party.insecure,
            own_certs: certs.as_ref().map(|_| (url.authority.clone(), at_home)),
            proxy: self.proxies.of(url).filter(|_| forwarder.is_none()).map(str::to_owned),
        };
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let agent = self.make_agent(&key, certs.unwrap_or_default(), at_home)?;
        agents.insert(key, agent.clone());
        Ok(agent)
    }

    fn certs_for(&self, url: &Url) -> Result<Option<HostCerts>> {
        let found = match &self.cert_dir {
            Some(dir) => Some(HostCerts::read(dir)?),
            None => HostCerts::find(&url.authority)?,
        };
        Ok(found.filter(|certs| !certs.is_empty()))
    }

    fn make_agent(&self, key: &AgentKey, certs: HostCerts, at_home: bool) -> Result<Agent> {
        let proxy =
            key.proxy.as_deref().map(ureq::Proxy::new).transpose().context("read the proxy's address")?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(proxy)
            .user_agent(self.user_agent.as_str())
            .accept_encoding("") // a blob's digest is of the bytes as stored
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(self.patience * STORING))
            .timeout_per_write(Some(self.patience))
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .max_idle_connections(64)
            .max_idle_connections_per_host(32);
        let tls = || tls::config(key.insecure, certs, at_home).map(TlsConnector);
        if key.forwarded {
            let plain = TcpConnector::default();
            return Ok(match key.https {
                true => {
                    let connector = plain.chain(tls()?).chain(self.marked.clone());
                    Agent::with_parts(config.build(), connector, DefaultResolver::default())
                }
                false => {
                    let connector = plain.chain(self.marked.clone());
                    Agent::with_parts(config.build(), connector, DefaultResolver::default())
                }
            });
        }
        if !key.https {
            return Ok(config.build().new_agent());
        }
        let connector = SocksConnector::default()
            .chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default())
            .chain(tls()?);
        Ok(Agent::with_parts(config.build(), connector, DefaultResolver::default()))
    }
}

fn redirect_target(request: &Request<'_>, response: &Response) -> Result<Option<Url>> {
    let repeatable = match request.payload {
        Payload::None => matches!(request.method, Method::GET | Method::HEAD),
        Payload::Bytes(_) => matches!(response.status, 307 | 308),
        Payload::Stream(..) => false,
    };
    if !repeatable || !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.header("location") else { return Ok(None) };
    let host = &request.url.authority;
    request.url.join(location).map(Some).with_context(|| format!("follow a redirect of `{host}`"))
}

/// Nobody but the caller may turn https into http.
fn check_downgrade(from: &Url, to: &Url, party: &Party<'_>) -> Result<()> {
    let still = !from.https && (party.public || is_loopback(&to.authority));
    let allowed = to.https || party.insecure || still;
    if !allowed {
        bail!("`{}` redirects to plain http at `{}`, which is refused", from.authority, to.authority);
    }
    Ok(())
}
