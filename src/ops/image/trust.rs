//! The policy of this host and user: asked before an image is taken from anywhere, shown and changed by `image trust`.

use std::path::{Path, PathBuf};

use super::{PullOptions, place};
use crate::base::error::{Context as _, Explain, Kind, Result, fail};
use crate::base::fs::{self, Durability};
use crate::base::roots;
use crate::image::archive::members::Members;
use crate::image::archive::{Format, read};
use crate::image::transport::{Transport, Which};
use crate::registry::policy::{self, Policy, Requirement};

const LIMIT: u64 = 4 << 20;
const SYSTEM: &str = "/etc/containers/policy.json";

/// Refuses a place that the policy refuses.
pub(super) fn allow(transport: &Transport, reach: &PullOptions) -> Result<()> {
    let (kind, scopes) = match transport {
        Transport::Registry(name) => ("docker", policy::scopes_of(name)),
        Transport::Store(_) => return Ok(()), // what is here was let in
        Transport::Files { format, path, which } => files(*format, path, which)?,
    };
    load(reach.signature_policy.as_deref())?.1.allow(kind, &scopes, &transport.to_string())
}

/// The same for an archive that was opened, whatever its form turned out to be; one from standard input has no path.
pub(super) fn allow_archive(members: &Members, path: Option<&Path>, reach: &PullOptions) -> Result<()> {
    let format = read::form(members)?;
    let transport = |path: &Path| Transport::Files { format, path: path.to_owned(), which: Which::Any };
    match path {
        Some(path) => allow(&transport(path), reach),
        None => {
            let kind = if format == Format::DockerArchive { "docker-archive" } else { "oci-archive" };
            load(reach.signature_policy.as_deref())?.1.allow(kind, &[], "standard input")
        }
    }
}

fn files(format: Format, path: &Path, which: &Which) -> Result<(&'static str, Vec<String>)> {
    let real = path.canonicalize().with_context(|| format!("open `{}`", path.display()))?;
    let real = real.to_string_lossy();
    let name = match which {
        Which::Named(name) => Some(name.as_str()),
        _ => None,
    };
    Ok(match format {
        Format::OciDir => ("oci", policy::scopes_of_path(&real, name)),
        Format::OciArchive => ("oci-archive", policy::scopes_of_path(&real, name)),
        Format::DockerDir => ("dir", policy::scopes_of_path(&real, None)),
        // The transport has no scopes but its own.
        Format::DockerArchive => ("docker-archive", Vec::new()),
    })
}

/// The policy and where it stands: the given file, the user's, or the system's; without any, everything is accepted.
pub fn load(given: Option<&Path>) -> Result<(Option<PathBuf>, Policy)> {
    if let Some(path) = given {
        return read_file(path).map(|policy| (Some(path.to_owned()), policy));
    }
    let user = roots::config_home().ok().map(|dir| dir.join("containers/policy.json"));
    match user.into_iter().chain([PathBuf::from(SYSTEM)]).find(|path| path.exists()) {
        Some(path) => read_file(&path).map(|policy| (Some(path), policy)),
        None => Ok((None, Policy::accepting())),
    }
}

fn read_file(path: &Path) -> Result<Policy> {
    let what = || format!("read `{}`", path.display());
    let bytes = fs::read_limited(path, LIMIT)?;
    Policy::parse(std::str::from_utf8(&bytes).with_context(what)?).with_context(what)
}

/// `image trust set`: says of a registry, a namespace or a repository (or of `default`) that it is accepted or rejected.
pub fn set(given: Option<&Path>, scope: &str, kind: &str) -> Result<()> {
    let requirement = match kind {
        "accept" | "insecureAcceptAnything" => Requirement::of("insecureAcceptAnything"),
        "reject" => Requirement::of("reject"),
        "signedBy" | "sigstoreSigned" => {
            return Err(fail(
                Kind::Usage,
                format!("dhow cannot check signatures yet, so `{kind}` cannot be set"),
            )
            .hint("`--type` takes accept or reject"));
        }
        other => {
            return Err(fail(Kind::Usage, format!("`{other}` is not a kind of trust: accept or reject")));
        }
    };
    let (found, mut policy) = load(given)?;
    if scope == "default" {
        policy.default = vec![requirement];
    } else {
        check_scope(scope)?;
        policy.transports.entry("docker".into()).or_default().insert(scope.to_owned(), vec![requirement]);
    }
    let path = match given.map(Path::to_owned) {
        Some(path) => path,
        None => writable(found)?,
    };
    if let Some(dir) = path.parent() {
        fs::create_dir_all_with(dir, 0o755)?;
    }
    let mut bytes = serde_json::to_vec_pretty(&policy).context("encode the policy")?;
    bytes.push(b'\n');
    fs::replace(&path, &bytes, 0o644, Durability::Durable)
}

/// A user does not write into /etc: a policy of the user's own begins as a copy of the system's.
fn writable(found: Option<PathBuf>) -> Result<PathBuf> {
    match found {
        Some(path) if path != Path::new(SYSTEM) => Ok(path),
        _ if rustix::process::getuid().is_root() => Ok(PathBuf::from(SYSTEM)),
        _ => Ok(roots::config_home()?.join("containers/policy.json")),
    }
}

fn check_scope(scope: &str) -> Result<()> {
    let bare = scope.strip_prefix("*.").unwrap_or(scope);
    let is_host = !bare.contains('/');
    let text = if is_host { format!("{bare}/x") } else { bare.to_owned() };
    match place::name_with_registry(&text) {
        true => Ok(()),
        false => Err(fail(Kind::Usage, format!("`{scope}` is no registry, and no name in one"))),
    }
}
