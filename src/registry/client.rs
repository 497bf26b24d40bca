//! The client: sessions with registries, their authentication and retries. What can be asked for is in [`super::fetch`],
//! [`super::blob`] and [`super::push`].

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ureq::http::Method;

use super::auth::{self, Credentials};
use super::config::Registries;
use super::endpoint::{Endpoint, api_host, is_loopback};
use super::failure::{self, Broken};
use super::probe::{self, Spoken};
use super::reference::Reference;
use super::retry::{self, Policy};
use super::token::{self, Challenge, Token, TokenRequest};
use super::transport::{Party, Payload, Request, Response, Transport};
use super::url::Url;
use crate::base::error::{Context, Error, Explain, Kind, Result, fail};

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// `--tls-verify`; `None` leaves it to `registries.conf`.
    pub tls_verify: Option<bool>,
    /// `--cert-dir`
    pub cert_dir: Option<PathBuf>,
    /// `--authfile`
    pub authfile: Option<PathBuf>,
    /// `--creds`
    pub creds: Option<Credentials>,
    /// `--retry`: how many times after the first.
    pub retry: u32,
    /// `--retry-delay`; `None` for pauses that grow.
    pub retry_delay: Option<Duration>,
    /// What `registries.conf` says.
    pub registries: Registries,
    /// `User-Agent`
    pub user_agent: String,
    /// How long a server may send nothing, or next to nothing.
    pub patience: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            tls_verify: None,
            cert_dir: None,
            authfile: None,
            creds: None,
            retry: 3,
            retry_delay: None,
            registries: Registries::default(),
            user_agent: concat!("dhow/", env!("CARGO_PKG_VERSION")).to_owned(),
            patience: Duration::from_secs(60),
        }
    }
}

/// Speaks with registries; cheap to clone, and to share between threads.
#[derive(Clone)]
pub struct Client {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) options: ClientOptions,
    pub(super) transport: Transport,
    hosts: Mutex<HashMap<(String, bool), Arc<Host>>>,
    credentials: Mutex<HashMap<String, Option<Credentials>>>,
    /// The place that answered last for a name, by logical name.
    preferred: Mutex<HashMap<String, String>>,
}

/// What is known of a host.
struct Host {
    base: Url,
    insecure: bool,
    state: Mutex<HostState>,
}

#[derive(Default)]
struct HostState {
    challenge: Option<Challenge>,
    tokens: HashMap<String, Token>,
    answered: bool,
}

/// A client's dealings with one place of a name.
#[derive(Clone)]
pub(super) struct Session {
    shared: Arc<Shared>,
    host: Arc<Host>,
    /// The reference as the place knows it.
    pub(super) reference: Reference,
    own_creds: bool,
}

/// Locks, also after a panic elsewhere: the maps are valid at every step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// Makes a client; touches neither files nor the network.
    pub fn new(options: ClientOptions) -> Client {
        let transport =
            Transport::new(options.cert_dir.clone(), options.user_agent.clone(), options.patience);
        let shared = Shared {
            options,
            transport,
            hosts: Mutex::default(),
            credentials: Mutex::default(),
            preferred: Mutex::default(),
        };
        Client { shared: Arc::new(shared) }
    }

    /// The options it was made with.
    pub fn options(&self) -> &ClientOptions {
        &self.shared.options
    }

    /// Runs an action at the places of a reference in turn until one succeeds; the place that did is asked first next time.
    pub(super) fn anywhere<T>(
        &self,
        reference: &Reference,
        act: impl Fn(&Session) -> Result<T>,
    ) -> Result<T> {
        let mut places = self.shared.options.registries.endpoints(reference)?;
        if let Some(good) = locked(&self.shared.preferred).get(&reference.name())
            && let Some(at) = places.iter().position(|place| place.reference.name() == *good)
        {
            places[..=at].rotate_right(1);
        }
        let mut failures: Vec<(String, Error)> = Vec::new();
        for place in &places {
            match self.session(place, reference).and_then(|session| act(&session)) {
                Ok(value) => {
                    locked(&self.shared.preferred).insert(reference.name(), place.reference.name());
                    return Ok(value);
                }
                Err(error) => failures.push((place.reference.name(), error)),
            }
        }
        Err(none_answered(failures, reference))
    }

    /// A session with the home of a reference, never a mirror.
    pub(super) fn at_home(&self, reference: &Reference) -> Result<Session> {
        let home = self.shared.options.registries.home(reference)?;
        self.session(&home, reference)
    }

    /// Checks that a registry is there and takes the credentials (`login`); `name` is a registry or `registry/namespace`.
    pub fn check_login(&self, name: &str) -> Result<()> {
        let session = self.with_registry(name)?;
        let response = session.send(|| Request::new(Method::GET, session.url("/v2/")), &[])?;
        if response.status == 200 { Ok(()) } else { Err(failure::refused(response, name)) }
    }

    /// A session with a registry itself; `name` may go on with a namespace, which only chooses the credentials.
    pub(super) fn with_registry(&self, name: &str) -> Result<Session> {
        let registry = auth::registry_of(name);
        let repository = name.strip_prefix(registry).unwrap_or_default().trim_start_matches('/').to_owned();
        let reference = Reference { registry: registry.to_owned(), repository, tag: None, digest: None };
        let insecure = self.shared.options.registries.is_insecure(registry);
        self.session(&Endpoint { reference: reference.clone(), insecure, mirror: false }, &reference)
    }

    fn session(&self, place: &Endpoint, logical: &Reference) -> Result<Session> {
        Ok(Session {
            shared: self.shared.clone(),
            host: self.shared.host(place.host(), place.insecure)?,
            reference: place.reference.clone(),
            // `--creds` are for the registry that was named, not for its mirrors.
            own_creds: place.reference.registry == logical.registry,
        })
    }
}

fn none_answered(mut failures: Vec<(String, Error)>, reference: &Reference) -> Error {
    let Some((_, last)) = failures.pop() else {
        return fail(Kind::Failed, format!("no place to get `{reference}` from"));
    };
    failures.iter().fold(last, |error, (place, failure)| {
        error.hint(format!("mirror `{place}`: {}", crate::base::error::render(failure)))
    })
}

impl Shared {
    fn host(&self, authority: &str, configured_insecure: bool) -> Result<Arc<Host>> {
        let insecure = self.options.tls_verify.map_or(configured_insecure, |verify| !verify);
        let key = (authority.to_owned(), insecure);
        if let Some(host) = locked(&self.hosts).get(&key) {
            return Ok(host.clone());
        }
        let https = self.speaks_https(authority, insecure);
        let host =
            Arc::new(Host { base: Url::new(https, authority, "/"), insecure, state: Mutex::default() });
        Ok(locked(&self.hosts).entry(key).or_insert(host).clone())
    }

    /// https, unless plain http is allowed here and is what the host speaks.
    fn speaks_https(&self, authority: &str, insecure: bool) -> bool {
        let here = is_loopback(authority) && self.options.tls_verify != Some(true);
        let url = Url::new(true, authority, "/");
        if !(insecure || here) {
            return true;
        }
        if self.transport.is_proxied(&url) {
            return self.answers_https(&url);
        }
        match probe::ask(&url) {
            Spoken::Tls => true,
            Spoken::Other => false,
            // Without a port, http lives elsewhere.
            Spoken::Nobody => probe::ask(&Url::new(false, authority, "/")) == Spoken::Nobody,
        }
    }

    /// Whether a host behind a proxy answers in https; with any status, it does.
    fn answers_https(&self, home: &Url) -> bool {
        let party = Party { home, authorization: None, insecure: true, public: false };
        let url = Url::new(true, &home.authority, "/v2/");
        self.transport.exchange(Request::new(Method::GET, url), &party).is_ok()
    }

    fn credentials_for(&self, name: &str, own_creds: bool) -> Result<Option<Credentials>> {
        if let (true, Some(creds)) = (own_creds, &self.options.creds) {
            return Ok(Some(creds.clone()));
        }
        if let Some(known) = locked(&self.credentials).get(name) {
            return Ok(known.clone());
        }
        let helpers = &self.options.registries.credential_helpers;
        let found = auth::find(self.options.authfile.as_deref(), helpers, name)?;
        locked(&self.credentials).insert(name.to_owned(), found.clone());
        Ok(found)
    }

    pub(super) fn policy(&self) -> Policy {
        Policy { retries: self.options.retry, delay: self.options.retry_delay }
    }
}

impl Session {
    /// A URL of this host.
    pub(super) fn url(&self, path: &str) -> Url {
        Url::new(self.host.base.https, api_host(&self.host.base.authority), path)
    }

    /// A URL of this repository.
    pub(super) fn repository_url(&self, rest: &str) -> Url {
        self.url(&format!("/v2/{}/{rest}", self.reference.repository))
    }

    /// The scope to read this repository.
    pub(super) fn pull_scope(&self) -> Vec<String> {
        vec![format!("repository:{}:pull", self.reference.repository)]
    }

    pub(super) fn policy(&self) -> Policy {
        self.shared.policy()
    }

    /// Sends a request as often as it takes: logs in when asked to, tries again when that may help. Other statuses are
    /// given back as they are.
    pub(super) fn send<'a>(&self, make: impl Fn() -> Request<'a>, scopes: &[String]) -> Result<Response> {
        let mut tries = self.policy().begin();
        loop {
            match self.send_once(&make, scopes) {
                Ok(response) if retry::is_transient(response.status) => {
                    let asked = retry::retry_after(response.header("retry-after"));
                    if !tries.wait(asked) {
                        return Err(self.refused(response));
                    }
                }
                Ok(response) => return Ok(response),
                Err(error) if self.may_pass(&error) => {
                    if !tries.wait(None) {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a request whose body can be sent only once; the token must be at hand from an earlier request. After a 401
    /// the next request has a new one.
    pub(super) fn send_stream(&self, request: Request<'_>, scopes: &[String]) -> Result<Response> {
        let authorization = self.authorization(scopes)?;
        let response = self.exchange(request, authorization.as_deref())?;
        if response.status == 401 && response.url.same_origin(&self.host.base) {
            self.note_challenge(Challenge::read(&response.headers, &response.url)?, scopes);
        }
        Ok(response)
    }

    fn send_once<'a>(&self, make: &impl Fn() -> Request<'a>, scopes: &[String]) -> Result<Response> {
        let authorization = self.authorization(scopes)?;
        let response = self.exchange(make(), authorization.as_deref())?;
        // A 401 of a host that a redirect led to is not this registry's challenge.
        if response.status != 401 || !response.url.same_origin(&self.host.base) {
            return Ok(response);
        }
        // Once: the token may have ended, or this is the first request. A second 401 is the answer.
        let challenge = Challenge::read(&response.headers, &response.url)?;
        drop(response);
        self.note_challenge(challenge, scopes);
        match self.authorization(scopes)? {
            Some(authorization) => self.exchange(make(), Some(&authorization)),
            None => self.exchange(make(), None),
        }
    }

    fn exchange(&self, request: Request<'_>, authorization: Option<&str>) -> Result<Response> {
        let party =
            Party { home: &self.host.base, authorization, insecure: self.host.insecure, public: false };
        let response = self.shared.transport.exchange(request, &party)?;
        locked(&self.host.state).answered = true;
        Ok(response)
    }

    fn note_challenge(&self, challenge: Challenge, scopes: &[String]) {
        let mut state = locked(&self.host.state);
        state.tokens.remove(&self.token_key(scopes));
        state.challenge = Some(challenge);
    }

    /// The `Authorization` header, from what is known or from the token server.
    fn authorization(&self, scopes: &[String]) -> Result<Option<String>> {
        // Held across the token server's answer: of many threads, one asks.
        let mut state = locked(&self.host.state);
        let Some(challenge) = state.challenge.clone() else { return Ok(None) };
        let name = self.credentials_name();
        let credentials = || self.shared.credentials_for(&name, self.own_creds);
        match challenge {
            Challenge::Basic => Ok(credentials()?.as_ref().and_then(Credentials::basic)),
            Challenge::Bearer { realm, service, scope } => {
                let key = self.token_key(scopes);
                if let Some(token) = state.tokens.get(&key).filter(|token| token.is_fresh()) {
                    return Ok(Some(token.header.clone()));
                }
                let asked: Vec<String> =
                    if scopes.is_empty() { scope.into_iter().collect() } else { scopes.to_vec() };
                let token = self.fetch_token(&realm, service.as_deref(), &asked, credentials()?.as_ref())?;
                let header = token.header.clone();
                state.tokens.insert(key, token);
                Ok(Some(header))
            }
        }
    }

    fn fetch_token(
        &self,
        realm: &Url,
        service: Option<&str>,
        scopes: &[String],
        creds: Option<&Credentials>,
    ) -> Result<Token> {
        let request = TokenRequest {
            realm,
            service,
            scopes,
            credentials: creds,
            registry: &self.host.base,
            name: &self.reference.registry,
            insecure: self.host.insecure,
        };
        let mut tries = self.policy().begin();
        loop {
            let error = match token::fetch(&self.shared.transport, &request) {
                Ok(token) => return Ok(token),
                Err(error) => error,
            };
            let passes = is_broken(&error).is_some_and(|broken| broken.transient)
                || failure::status_of(&error).is_some_and(retry::is_transient);
            if !passes || !tries.wait(None) {
                return Err(error).with_context(|| format!("log in to `{}`", self.reference.registry));
            }
        }
    }

    /// Tokens of several accounts never mix: credentials depend on the name, scopes on the repository.
    fn token_key(&self, scopes: &[String]) -> String {
        format!("{} {} {}", self.credentials_name(), self.own_creds, scopes.join(" "))
    }

    fn credentials_name(&self) -> String {
        match self.reference.repository.as_str() {
            "" => self.reference.registry.clone(),
            _ => self.reference.name(),
        }
    }

    /// Whether a broken connection is worth another try.
    pub(super) fn may_pass(&self, error: &Error) -> bool {
        let answered = locked(&self.host.state).answered;
        is_broken(error).is_some_and(|broken| broken.transient || (broken.maybe && answered))
    }

    /// Asks for something small again whose answer broke off in the middle.
    pub(super) fn whole<T>(&self, ask: impl Fn() -> Result<T>) -> Result<T> {
        let mut tries = self.policy().begin();
        loop {
            match ask() {
                Err(error) if is_broken(&error).is_some_and(|broken| broken.midway) && tries.wait(None) => {}
                other => return other,
            }
        }
    }

    /// The error for an answer that is no success.
    pub(super) fn refused(&self, response: Response) -> Error {
        failure::refused(response, &self.reference.registry)
    }
}

pub(super) fn is_broken(error: &Error) -> Option<&Broken> {
    error.downcast_ref::<Broken>().or_else(|| error.chain().find_map(|cause| cause.downcast_ref::<Broken>()))
}

impl<'a> Request<'a> {
    /// Adds a header.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body.
    pub(super) fn payload(mut self, payload: Payload<'a>) -> Self {
        self.payload = payload;
        self
    }
}
