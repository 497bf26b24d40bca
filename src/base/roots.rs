//! Where dhow's state lies.
//!
//! ```text
//!            root                        user
//! root       /var/lib/dhow               $XDG_DATA_HOME/dhow (~/.local/share/dhow)
//! run        /run/dhow                   $XDG_RUNTIME_DIR/dhow (or /tmp/dhow-run-UID, mode 0700)
//! tmp        /var/tmp                    $TMPDIR or /var/tmp
//! config     /etc/containers             $XDG_CONFIG_HOME/containers (~/.config/containers), then /etc/containers
//! ```
//!
//! `--root`, `--runroot`, `--tmpdir`, then `DHOW_ROOT`, `DHOW_RUNROOT`, `DHOW_TMPDIR` override.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::{Context, Result, bail};
use super::{fs, storage_conf};

/// The chosen directories; absolute.
#[derive(Debug, Clone)]
pub struct Roots {
    /// What must survive a reboot.
    pub root: PathBuf,
    /// Other stores whose images may be used and are never changed, in order of preference.
    pub additional: Vec<PathBuf>,
    /// What must not survive a reboot.
    pub run: PathBuf,
    /// Big temporary files (archives being read).
    pub tmp: PathBuf,
    /// Whether the caller is an ordinary user: everything goes through a user namespace.
    pub rootless: bool,
    /// The caller's uid, in the namespace in which the command was started.
    pub uid: u32,
}

/// What was given on the command line.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--root`
    pub root: Option<PathBuf>,
    /// `--runroot`
    pub run: Option<PathBuf>,
    /// `--tmpdir`
    pub tmp: Option<PathBuf>,
    /// `--storage-opt additionalimagestore=DIR`
    pub additional: Vec<PathBuf>,
}

impl Roots {
    /// Decides from the command line, the environment and the caller's uid. Must run before the process
    /// enters a user namespace. Makes nothing.
    pub fn decide(overrides: &Overrides) -> Result<Roots> {
        let uid = rustix::process::geteuid().as_raw();
        let rootless = uid != 0;
        let pick = |given: &Option<PathBuf>, variable: &str| given.clone().or_else(|| env_path(variable));
        let root = match pick(&overrides.root, "DHOW_ROOT") {
            Some(path) => path,
            None if rootless => data_home()?.join("dhow"),
            None => PathBuf::from("/var/lib/dhow"),
        };
        let run = match pick(&overrides.run, "DHOW_RUNROOT") {
            Some(path) => path,
            None if rootless => runtime_dir(uid),
            None => PathBuf::from("/run/dhow"),
        };
        let tmp = pick(&overrides.tmp, "DHOW_TMPDIR")
            .or_else(|| env_path("TMPDIR"))
            .unwrap_or_else(|| PathBuf::from("/var/tmp"));
        let root = absolute(&root)?;
        let additional = additional(&root, &overrides.additional, rootless)?;
        Ok(Roots { root, additional, run: absolute(&run)?, tmp: absolute(&tmp)?, rootless, uid })
    }

    /// Makes the roots (mode 0700) and refuses a run root that belongs to somebody else.
    pub fn create(&self) -> Result<()> {
        for path in [&self.root, &self.run] {
            fs::create_dir_all(path)?;
        }
        let owner =
            std::fs::metadata(&self.run).with_context(|| format!("stat `{}`", self.run.display()))?.uid();
        if owner != rustix::process::geteuid().as_raw() {
            bail!("run root `{}` belongs to uid {owner}, not to the caller", self.run.display());
        }
        Ok(())
    }
}

/// The additional stores: those given, which must be there, and of those configured the ones that dhow made.
fn additional(own: &Path, given: &[PathBuf], rootless: bool) -> Result<Vec<PathBuf>> {
    let is_store = |path: &Path| path.join("format").is_file();
    if let Some(path) = given.iter().find(|path| !is_store(path)) {
        bail!("`{}` is no store of dhow", path.display());
    }
    let configured = storage_conf::additional_stores(rootless)?;
    let all = given.iter().cloned().chain(configured.into_iter().filter(|path| is_store(path)));
    let all = all.map(|path| absolute(&path)).collect::<Result<Vec<_>>>()?;
    Ok(all.into_iter().filter(|path| path != own).collect())
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("make `{}` absolute", path.display()))
}

/// A variable that holds a path; empty counts as unset.
pub fn env_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The caller's home directory: `HOME`, or the passwd entry of the real uid.
pub fn home() -> Result<PathBuf> {
    if let Some(home) = env_path("HOME") {
        return Ok(home);
    }
    let uid = rustix::process::getuid().as_raw().to_string();
    let passwd = fs::read_to_string(Path::new("/etc/passwd"))?;
    let entry = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    match entry.into_iter().find(|fields| fields.get(2) == Some(&uid.as_str())) {
        Some(fields) if fields.len() > 5 => Ok(PathBuf::from(fields[5])),
        _ => bail!("HOME is not set and uid {uid} has no entry in `/etc/passwd`"),
    }
}

/// `$XDG_DATA_HOME` or `~/.local/share`.
pub fn data_home() -> Result<PathBuf> {
    env_path("XDG_DATA_HOME").map_or_else(|| Ok(home()?.join(".local/share")), Ok)
}

/// `$XDG_CONFIG_HOME` or `~/.config`.
pub fn config_home() -> Result<PathBuf> {
    env_path("XDG_CONFIG_HOME").map_or_else(|| Ok(home()?.join(".config")), Ok)
}

/// `$XDG_RUNTIME_DIR/dhow`, or `/run/user/UID/dhow` where that exists, or a private place in /tmp.
fn runtime_dir(uid: u32) -> PathBuf {
    if let Some(dir) = env_path("XDG_RUNTIME_DIR") {
        return dir.join("dhow");
    }
    let login = PathBuf::from(format!("/run/user/{uid}"));
    if login.is_dir() { login.join("dhow") } else { PathBuf::from(format!("/tmp/dhow-run-{uid}")) }
}
