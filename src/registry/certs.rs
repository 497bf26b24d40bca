//! Certificates: the system's roots, and `certs.d` for single hosts (containers-certs.d(5)).
//!
//! `<certs.d>/<host[:port]>/*.crt` are further roots, `*.cert` with its `*.key` is what the client shows.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::base::error::{Context, Kind, Result, anyhow, fail};
use crate::base::{fs, roots};

const LIMIT: u64 = 4 << 20;

/// What a directory of certificates holds.
#[derive(Debug, Default)]
pub(super) struct HostCerts {
    pub(super) roots: Vec<CertificateDer<'static>>,
    pub(super) client: Option<ClientCert>,
}

/// What the client shows of itself.
#[derive(Debug)]
pub(super) struct ClientCert {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl HostCerts {
    /// Reads `--cert-dir`.
    pub(super) fn read(dir: &Path) -> Result<HostCerts> {
        if !dir.is_dir() {
            return Err(fail(
                Kind::Usage,
                format!("certificate directory `{}` does not exist", dir.display()),
            ));
        }
        let mut paths: Vec<PathBuf> = fs::read_dir(dir)?.into_iter().map(|entry| entry.path()).collect();
        paths.sort();
        let mut found = HostCerts::default();
        for path in &paths {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => found.roots.extend(certificates(path)?),
                Some("cert") => found.client = Some(client(path)?),
                Some("key") if !path.with_extension("cert").exists() => {
                    return Err(fail(
                        Kind::Failed,
                        format!("key `{}` has no certificate `.cert`", path.display()),
                    ));
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Finds and reads the host's directory in the `certs.d` of the user, then of the system, then of Docker.
    pub(super) fn find(authority: &str) -> Result<Option<HostCerts>> {
        let user = roots::config_home().map(|dir| dir.join("containers/certs.d")).ok();
        let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
        let hosts = match authority {
            "registry-1.docker.io" => vec![authority, "docker.io"],
            _ => vec![authority],
        };
        let places = user
            .into_iter()
            .chain(system)
            .flat_map(|dir| hosts.iter().map(move |host| dir.join(host)).collect::<Vec<_>>());
        places.into_iter().find(|dir| dir.is_dir()).map(|dir| HostCerts::read(&dir)).transpose()
    }

    /// Whether there is anything beyond the system's roots.
    pub(super) fn is_empty(&self) -> bool {
        self.roots.is_empty() && self.client.is_none()
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = fs::read_limited(path, LIMIT)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .with_context(|| format!("read certificate `{}`", path.display()))?;
    if found.is_empty() {
        return Err(fail(Kind::Failed, format!("`{}` holds no certificate in PEM form", path.display())));
    }
    Ok(found)
}

fn client(path: &Path) -> Result<ClientCert> {
    let key_path = path.with_extension("key");
    let chain = certificates(path)?;
    let bytes = fs::read_limited(&key_path, LIMIT)
        .with_context(|| format!("certificate `{}` needs its key", path.display()))?;
    let key = PrivateKeyDer::from_pem_slice(&bytes)
        .with_context(|| format!("read key `{}`", key_path.display()))?;
    Ok(ClientCert { chain, key })
}

/// The roots that the system trusts; read once, when https is first spoken.
pub(super) fn system_roots() -> Result<&'static [CertificateDer<'static>]> {
    static ROOTS: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(roots);
    }
    let loaded = rustls_native_certs::load_native_certs();
    if let (true, Some(error)) = (loaded.certs.is_empty(), loaded.errors.first()) {
        return Err(anyhow!("{error}").context("read the system's certificates"));
    }
    Ok(ROOTS.get_or_init(|| loaded.certs))
}

/// Whether this system trusts nobody, so that every certificate fails.
pub(super) fn none_trusted() -> bool {
    system_roots().is_ok_and(<[_]>::is_empty)
}
