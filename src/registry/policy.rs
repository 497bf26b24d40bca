//! `policy.json`: which places images may come from (containers-policy.json(5)).
//!
//! Two kinds of requirement are decided here, `insecureAcceptAnything` and `reject`. The kinds that ask for a signature
//! are known, and never met: dhow checks no signatures, so an image that needs one is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::reference::{Reference, split_port};
use crate::base::error::{Context, Explain, Kind, Result, bail, fail};
use crate::base::text::printable;

/// Transports for which a policy may speak.
const TRANSPORTS: [&str; 9] = [
    "docker",
    "dir",
    "oci",
    "oci-archive",
    "docker-archive",
    "docker-daemon",
    "containers-storage",
    "tarball",
    "atomic",
];

/// A policy, checked. Written again, it says the same; what is said about signatures is kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Where nothing else is said.
    pub default: Vec<Requirement>,
    /// By transport and scope; the empty scope is the transport's default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub transports: BTreeMap<String, BTreeMap<String, Vec<Requirement>>>,
}

/// One requirement; all of a scope must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// `insecureAcceptAnything`, `reject`, `signedBy`, `sigstoreSigned`, `signedBaseLayer`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Everything else that is said, such as keys.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

impl Requirement {
    /// One that says no more than its kind.
    pub fn of(kind: &str) -> Requirement {
        Requirement { kind: kind.to_owned(), rest: BTreeMap::new() }
    }
}

impl Policy {
    /// Accepts everything: what holds where there is no file.
    pub fn accepting() -> Policy {
        let default = vec![Requirement::of("insecureAcceptAnything")];
        Policy { default, transports: BTreeMap::new() }
    }

    /// Reads a policy. Whatever is not understood is an error: a policy that is half read protects nobody.
    pub fn parse(text: &str) -> Result<Policy> {
        let policy: Policy = serde_json::from_str(text).context("parse the policy")?;
        check(&policy.default, "default")?;
        for (transport, scopes) in &policy.transports {
            for (scope, requirements) in scopes {
                check(requirements, &format!("{transport} {scope}"))?;
            }
        }
        Ok(policy)
    }

    /// Allows or refuses an image of a transport; `scopes` are what may be said about it, the most specific first.
    pub fn allow(&self, transport: &str, scopes: &[String], shown: &str) -> Result<()> {
        let said = self.transports.get(transport);
        let find = |scope: &str| said.and_then(|all| Some((scope.to_owned(), all.get(scope)?)));
        let own = scopes.iter().find_map(|scope| find(scope)).or_else(|| find(""));
        let (scope, requirements) = own.unwrap_or_else(|| ("default".to_owned(), &self.default));
        let scope = if scope.is_empty() {
            format!("all of `{transport}`")
        } else {
            format!("`{}`", printable(&scope))
        };
        for requirement in requirements {
            match requirement.kind.as_str() {
                "insecureAcceptAnything" => {}
                "reject" => {
                    return Err(fail(
                        Kind::Failed,
                        format!("`{shown}` is rejected by the policy for {scope}"),
                    )
                    .hint("the policy is in policy.json; `image trust show` prints it"));
                }
                kind => {
                    return Err(fail(
                        Kind::Failed,
                        format!("the policy for {scope} asks for a signature (`{kind}`), which dhow cannot check"),
                    )
                    .hint("an image that cannot be checked is not accepted; `image trust show` prints the policy"));
                }
            }
        }
        Ok(())
    }
}

fn check(requirements: &[Requirement], whose: &str) -> Result<()> {
    if requirements.is_empty() {
        bail!("the policy for `{}` has no requirements", printable(whose));
    }
    for requirement in requirements {
        match requirement.kind.as_str() {
            "insecureAcceptAnything" | "reject" if requirement.rest.is_empty() => {}
            "signedBy" | "sigstoreSigned" | "signedBaseLayer" => {}
            kind => bail!(
                "the policy for `{}` has the unknown requirement `{}`",
                printable(whose),
                printable(kind)
            ),
        }
    }
    Ok(())
}

/// Whether a policy may speak of a transport.
pub fn is_transport(name: &str) -> bool {
    TRANSPORTS.contains(&name)
}

/// What may be said about an image of a registry: the whole reference, its repository, every namespace above it, the
/// registry, and wildcards of its host.
pub fn scopes_of(name: &Reference) -> Vec<String> {
    let mut scopes = vec![name.full()];
    let mut namespace = name.name();
    loop {
        scopes.push(namespace.clone());
        let Some((above, _)) = namespace.rsplit_once('/') else { break };
        namespace = above.to_owned();
    }
    let mut host = split_port(&name.registry).0;
    while let Some((_, above)) = host.split_once('.') {
        scopes.push(format!("*.{above}"));
        host = above;
    }
    scopes
}

/// What may be said about an image in a file or directory: the path with its name, the path, every directory above it.
pub fn scopes_of_path(path: &str, name: Option<&str>) -> Vec<String> {
    let mut scopes: Vec<String> = name.map(|name| format!("{path}:{name}")).into_iter().collect();
    let mut current = path;
    while !current.is_empty() && current != "/" {
        scopes.push(current.to_owned());
        current = current.rsplit_once('/').map_or("", |(above, _)| above);
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"default":[{"type":"reject"}],"transports":{
        "docker":{"quay.io/good":[{"type":"insecureAcceptAnything"}],"quay.io/good/bad":[{"type":"reject"}],
            "*.example.com":[{"type":"insecureAcceptAnything"}],"r.example.com/x":[{"type":"reject"}],
            "sign.io":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k"}],
            "mixed.io":[{"type":"insecureAcceptAnything"},{"type":"sigstoreSigned","keyPath":"/k"}],
            "docker.io/library/busybox:1":[{"type":"insecureAcceptAnything"}]},
        "dir":{"":[{"type":"insecureAcceptAnything"}],"/evil":[{"type":"reject"}]}}}"#;

    #[test]
    fn the_most_specific_scope_decides() {
        let policy = Policy::parse(TEXT).unwrap();
        for (name, allowed) in [
            ("quay.io/good/a:1", true),
            ("quay.io/good", true),
            ("quay.io/good/bad:1", false),
            ("quay.io/good/bad/worse", false),
            ("quay.io/other", false),
            ("quay.io/goodx", false),
            ("a.example.com/y", true),
            ("a.b.example.com:5000/y", true),
            ("example.com/y", false),
            ("r.example.com/x/z", false),
            ("r.example.com/y", true),
            ("sign.io/x", false),
            ("mixed.io/x", false),
            ("busybox:1", true),
            ("busybox:2", false),
        ] {
            let name = Reference::parse(name).unwrap();
            assert_eq!(policy.allow("docker", &scopes_of(&name), "x").is_ok(), allowed, "{name}");
        }
        for (path, allowed) in [("/good/x", true), ("/evil", false), ("/evil/x", false), ("/evilx", true)] {
            assert_eq!(policy.allow("dir", &scopes_of_path(path, None), path).is_ok(), allowed, "{path}");
        }
        assert!(policy.allow("oci", &scopes_of_path("/x", Some("t")), "x").is_err());
        assert!(Policy::accepting().allow("oci", &[], "x").is_ok());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"default":[]}"#,
            r#"{"default":[{"type":"trustMe"}]}"#,
            r#"{"default":[{"type":"reject","x":1}]}"#,
            r#"{"default":[{"type":"reject"}],"extra":1}"#,
            r#"{"default":[{"type":"reject"}],"transports":{"docker":{"x":[]}}}"#,
            r#"{"default":[{"type":"reject"}],"transports":{"docker":[]}}"#,
        ] {
            assert!(Policy::parse(bad).is_err(), "{bad}");
        }
        let deep = format!(r#"{{"default":[{{"type":"signedBy","x":{}"#, "[".repeat(100_000));
        assert!(Policy::parse(&deep).is_err());
    }

    #[test]
    fn a_policy_survives_being_written() {
        let policy = Policy::parse(TEXT).unwrap();
        assert_eq!(Policy::parse(&serde_json::to_string(&policy).unwrap()).unwrap(), policy);
    }
}
