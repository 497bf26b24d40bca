//! Challenges (`WWW-Authenticate`) and bearer tokens: distribution specification, "token authentication", and its OAuth
//! variant for identity tokens.

use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::http::{HeaderMap, Method};

use super::auth::Credentials;
use super::endpoint::is_loopback;
use super::failure;
use super::transport::{Party, Payload, Request, Transport};
use super::url::{Url, escape};
use crate::base::error::{Context, Explain, Result, bail};

const LIMIT: u64 = 1 << 20;
/// A token is renewed a little before it ends; one that tells no end lives for a minute.
const SLACK: Duration = Duration::from_secs(10);
const DEFAULT_LIFE: u64 = 60;

/// What a registry wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with every request.
    Basic,
    /// A token from a token server.
    Bearer {
        /// Where tokens are given out.
        realm: Url,
        /// What the registry calls itself there.
        service: Option<String>,
        /// What the refused request would have needed.
        scope: Option<String>,
    },
}

/// A bearer token and when it ends.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) header: String,
    ends: Instant,
}

impl Token {
    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() < self.ends
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Challenge {
    /// Reads the challenges of a 401; Bearer is preferred.
    pub(super) fn read(headers: &HeaderMap, url: &Url) -> Result<Challenge> {
        let lines = headers.get_all("www-authenticate").iter().filter_map(|value| value.to_str().ok());
        let all: Vec<(String, Vec<(String, String)>)> = lines.flat_map(challenges).collect();
        let parameters =
            |scheme: &str| all.iter().find(|(name, _)| name == scheme).map(|(_, parameters)| parameters);
        if let Some(bearer) = parameters("bearer") {
            let value =
                |key: &str| bearer.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
            let realm =
                value("realm").with_context(|| format!("`{}` names no token server", url.authority))?;
            let realm = url.join(&realm).context("read the address of the token server")?;
            return Ok(Challenge::Bearer { realm, service: value("service"), scope: value("scope") });
        }
        if parameters("basic").is_some() {
            return Ok(Challenge::Basic);
        }
        bail!("`{}` wants a login of a kind that is not supported", url.authority)
    }
}

/// Splits `Bearer realm="…",service="…", Basic realm="…"`.
fn challenges(line: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', ',', '\t']);
        let end = rest.find([' ', ',', '=', '\t']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            return found;
        }
        match after.trim_start().strip_prefix('=') {
            None => {
                found.push((word.to_ascii_lowercase(), Vec::new()));
                rest = after;
            }
            Some(value) => {
                let (value, after) = quoted(value.trim_start());
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.push((word.to_ascii_lowercase(), value));
                }
                rest = after;
            }
        }
    }
}

/// A quoted string with its escapes, or a bare word.
fn quoted(text: &str) -> (String, &str) {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find([' ', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in inner.char_indices() {
        match (escaped, c) {
            (false, '\\') => escaped = true,
            (false, '"') => return (value, &inner[at + 1..]),
            _ => {
                value.push(c);
                escaped = false;
            }
        }
    }
    (value, "")
}

/// Who asks for a token, and on whose word.
pub(super) struct TokenRequest<'a> {
    pub(super) realm: &'a Url,
    pub(super) service: Option<&'a str>,
    pub(super) scopes: &'a [String],
    pub(super) credentials: Option<&'a Credentials>,
    /// The registry that sent us there.
    pub(super) registry: &'a Url,
    /// Its name as the user knows it.
    pub(super) name: &'a str,
    pub(super) insecure: bool,
}

/// Gets a token from the token server.
pub(super) fn fetch(transport: &Transport, request: &TokenRequest<'_>) -> Result<Token> {
    check_realm(request)?;
    let asked = Instant::now();
    let response = match request.credentials {
        Some(Credentials::IdentityToken(token)) => post(transport, request, token)?,
        _ => get(transport, request)?,
    };
    if response.status != 200 {
        return Err(failure::refused(response, request.name))
            .with_context(|| format!("get a token for `{}`", request.name));
    }
    let bytes = response.into_bytes(LIMIT).context("read a token")?;
    let answer: Answer = serde_json::from_slice(&bytes).context("read a token")?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
    let token = token.with_context(|| format!("`{}` gave no token", request.realm.authority))?;
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        bail!("`{}` gave a token with strange characters", request.realm.authority);
    }
    let life = Duration::from_secs(answer.expires_in.unwrap_or(DEFAULT_LIFE).clamp(DEFAULT_LIFE, 86_400));
    Ok(Token { header: format!("Bearer {token}"), ends: asked + life - SLACK })
}

/// A registry spoken to in https must not make us tell secrets over plain http.
fn check_realm(request: &TokenRequest<'_>) -> Result<()> {
    let realm = request.realm;
    let plain_is_fine = request.insecure || (!request.registry.https && is_loopback(&realm.authority));
    if !realm.https && !plain_is_fine {
        let message = format!("token server `{}` speaks plain http, which is refused", realm.authority);
        return Err(crate::base::error::anyhow!(message)).hint("--tls-verify=false allows it");
    }
    Ok(())
}

fn get(transport: &Transport, request: &TokenRequest<'_>) -> Result<super::transport::Response> {
    let mut url = request.realm.clone();
    if let Some(service) = request.service {
        url = url.with_query("service", service);
    }
    for scope in request.scopes {
        url = url.with_query("scope", scope);
    }
    if let Some(credentials) = request.credentials {
        url = url.with_query("account", credentials.user());
    }
    let basic = request.credentials.and_then(Credentials::basic);
    let party = Party {
        home: request.realm,
        authorization: basic.as_deref(),
        insecure: request.insecure,
        public: false,
    };
    transport.exchange(Request::new(Method::GET, url), &party)
}

fn post(
    transport: &Transport,
    request: &TokenRequest<'_>,
    refresh: &str,
) -> Result<super::transport::Response> {
    let fields = [
        ("grant_type", "refresh_token".to_owned()),
        ("service", request.service.unwrap_or_default().to_owned()),
        ("client_id", "dhow".to_owned()),
        ("scope", request.scopes.join(" ")),
        ("refresh_token", refresh.to_owned()),
    ];
    let form = fields.map(|(key, value)| format!("{key}={}", escape(&value))).join("&");
    let message = Request {
        method: Method::POST,
        url: request.realm.clone(),
        headers: vec![("content-type", "application/x-www-form-urlencoded".into())],
        payload: Payload::Bytes(form.as_bytes()),
    };
    let party = Party { home: request.realm, authorization: None, insecure: request.insecure, public: false };
    transport.exchange(message, &party)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Challenge> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("www-authenticate", line.parse().unwrap());
        }
        Challenge::read(&headers, &Url::parse("https://r.io/v2/").unwrap())
    }

    #[test]
    fn challenges_are_read() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let Challenge::Bearer { realm, service, scope } = read(&[hub]).unwrap() else { panic!("no bearer") };
        assert_eq!(realm.to_string(), "https://auth.docker.io/token");
        assert_eq!(service.as_deref(), Some("registry.docker.io"));
        assert_eq!(scope.as_deref(), Some("repository:a/b:pull,push"));
        assert_eq!(read(&[r#"basic realm="x, y=\"z\"""#]).unwrap(), Challenge::Basic);
        assert!(matches!(
            read(&["Basic realm=\"a\", Bearer realm=\"/t\""]).unwrap(),
            Challenge::Bearer { .. }
        ));
        assert!(matches!(
            read(&["Basic realm=a", "bearer realm=https://t.io"]).unwrap(),
            Challenge::Bearer { .. }
        ));
        for bad in [&["Negotiate"][..], &["Bearer service=\"x\""], &["Bearer realm=\"ftp://x\""], &[]] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
