//! Linux security modules: which AppArmor profile or SELinux label a container's process gets, and how.
//!
//! A host without the module costs one failed lookup. What a user asked for by name and cannot have is an
//! error; what is only the default is left out.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::base::error::{Context, Explain, Kind, Result, bail, ensure, fail};
use crate::base::{fs, id};

const APPARMOR_ENABLED: &str = "/sys/module/apparmor/parameters/enabled";
const APPARMOR_PROFILES: &str = "/sys/kernel/security/apparmor/profiles";
const SELINUX_FS: &str = "/sys/fs/selinux/enforce";

/// The profile that Podman loads under this name (with its version behind a dash) and we use where it is.
const DEFAULT_PROFILE: &str = "containers-default";

/// What the kernel is told before `execve`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecLabel {
    /// An AppArmor profile.
    AppArmor(String),
    /// An SELinux context.
    SeLinux(String),
}

/// Whether this kernel confines with AppArmor.
pub fn apparmor_enabled() -> bool {
    matches!(fs::read_optional(Path::new(APPARMOR_ENABLED)), Ok(Some(text)) if text.first() == Some(&b'Y'))
}

/// Whether this kernel confines with SELinux.
pub fn selinux_enabled() -> bool {
    Path::new(SELINUX_FS).exists()
}

/// Finds the profile for `apparmor=ASKED`: none for `unconfined`; the default only where it is loaded.
pub fn apparmor_profile(asked: Option<&str>) -> Result<Option<String>> {
    match asked {
        Some("unconfined" | "") => Ok(None),
        None if !apparmor_enabled() => Ok(None),
        None => Ok(loaded_profiles().and_then(|text| default_profile(&text).map(str::to_owned))),
        Some(name) => named_profile(name).map(Some),
    }
}

fn named_profile(name: &str) -> Result<String> {
    ensure!(!name.contains(|c: char| c.is_control()), "apparmor profile name holds a control character");
    if !apparmor_enabled() {
        return Err(fail(Kind::Failed, format!("apparmor profile `{name}`: this host has no AppArmor"))
            .hint("leave `--security-opt apparmor=` out, or enable AppArmor in the kernel"));
    }
    match loaded_profiles() {
        Some(text) if !text.lines().any(|line| profile_name(line) == name) => {
            Err(fail(Kind::Failed, format!("apparmor profile `{name}` is not loaded"))
                .hint("load it with `apparmor_parser -r FILE`"))
        }
        // Only root may read the list: without it, the kernel decides at exec.
        _ => Ok(name.to_owned()),
    }
}

fn loaded_profiles() -> Option<String> {
    fs::read_to_string(Path::new(APPARMOR_PROFILES)).ok()
}

/// A line is `NAME (MODE)`.
fn profile_name(line: &str) -> &str {
    line.rsplit_once(" (").map_or(line, |(name, _)| name)
}

fn default_profile(profiles: &str) -> Option<&str> {
    let ours = |name: &&str| {
        name.strip_prefix(DEFAULT_PROFILE).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    profiles.lines().map(profile_name).find(ours)
}

/// The words of `--security-opt label=`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelWords {
    /// `disable`: no separation for this container.
    pub disable: bool,
    /// `nested`: the container may change labels itself.
    pub nested: bool,
    /// `user:`
    pub user: Option<String>,
    /// `role:`
    pub role: Option<String>,
    /// `type:`
    pub kind: Option<String>,
    /// `level:`
    pub level: Option<String>,
    /// `filetype:`
    pub file_kind: Option<String>,
}

impl LabelWords {
    /// Whether anything was asked for that only SELinux can give.
    pub fn need_selinux(&self) -> bool {
        self.nested
            || [&self.user, &self.role, &self.kind, &self.level, &self.file_kind].iter().any(|w| w.is_some())
    }
}

/// Parses the values of `label=`, each `disable`, `nested` or `KEY:VALUE`.
pub fn parse_label_words<S: AsRef<str>>(words: &[S]) -> Result<LabelWords> {
    let mut out = LabelWords::default();
    for word in words {
        let word = word.as_ref();
        let (key, value) = word.split_once(':').unwrap_or((word, ""));
        let slot = match (key, value) {
            ("disable", "") => {
                out.disable = true;
                continue;
            }
            ("nested", "") => {
                out.nested = true;
                continue;
            }
            ("user", _) => &mut out.user,
            ("role", _) => &mut out.role,
            ("type", _) => &mut out.kind,
            ("level", _) => &mut out.level,
            ("filetype", _) => &mut out.file_kind,
            _ => return Err(unknown_word(word)),
        };
        if value.is_empty() || value.contains(|c: char| c.is_control() || c == '"') {
            return Err(unknown_word(word));
        }
        *slot = Some(value.to_owned());
    }
    Ok(out)
}

fn unknown_word(word: &str) -> crate::base::error::Error {
    fail(Kind::Usage, format!("label option `{word}` is not known"))
        .hint("use disable, nested, user:U, role:R, type:T, level:L or filetype:T")
}

/// The two contexts of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// Of its processes.
    pub process: String,
    /// Of its files.
    pub mount: String,
}

/// Finds the contexts of a container on this host: `None` without SELinux or with `disable`.
///
/// Each container gets two random categories of its own unless `level:` says otherwise.
pub fn selinux_labels(words: &LabelWords) -> Result<Option<Labels>> {
    if !selinux_enabled() {
        if words.need_selinux() {
            return Err(fail(Kind::Failed, "label options: this host has no SELinux")
                .hint("leave `--security-opt label=` out"));
        }
        return Ok(None);
    }
    if words.disable {
        return Ok(None);
    }
    let contexts = policy_contexts()?;
    Ok(Some(compose(&contexts, words, &random_level())))
}

/// Reads the policy's own contexts for containers.
fn policy_contexts() -> Result<Labels> {
    let config = fs::read_optional(Path::new("/etc/selinux/config"))?.unwrap_or_default();
    let config = String::from_utf8_lossy(&config).into_owned();
    let policy = value_of(&config, "SELINUXTYPE").unwrap_or("targeted");
    ensure!(!policy.contains('/'), "selinux policy name `{policy}` holds a slash");
    let path = Path::new("/etc/selinux").join(policy).join("contexts/lxc_contexts");
    let text = fs::read_optional(&path)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let pick = |key, or: &str| value_of(&text, key).unwrap_or(or).to_owned();
    Ok(Labels {
        process: pick("process", "system_u:system_r:container_t:s0"),
        mount: pick("file", "system_u:object_r:container_file_t:s0"),
    })
}

/// `key = "value"` or `KEY=value`, the first one.
fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim().trim_matches('"'))
    })
}

fn random_level() -> String {
    let [a, b, c, d] = id::bytes::<4>();
    let first = u16::from_le_bytes([a, b]) % 1024;
    let second = (first + 1 + u16::from_le_bytes([c, d]) % 1023) % 1024;
    format!("s0:c{},c{}", first.min(second), first.max(second))
}

fn compose(contexts: &Labels, words: &LabelWords, level: &str) -> Labels {
    let level = words.level.as_deref().unwrap_or(level);
    let build = |base: &str, replaced: [Option<&str>; 3]| {
        let fields: Vec<&str> = base.splitn(4, ':').collect();
        let field = |i: usize| replaced[i].or(fields.get(i).copied()).unwrap_or_default();
        format!("{}:{}:{}:{level}", field(0), field(1), field(2))
    };
    let user = words.user.as_deref();
    Labels {
        process: build(&contexts.process, [user, words.role.as_deref(), words.kind.as_deref()]),
        mount: build(&contexts.mount, [user, None, words.file_kind.as_deref()]),
    }
}

/// The mount option that gives a whole file system one label.
pub fn mount_option(label: &str) -> String {
    format!("context=\"{label}\"")
}

/// Tells the kernel the label that the next `execve` of this thread takes. `proc` is a descriptor of /proc.
///
/// The descriptor must be procfs itself: an image that puts a file in its place would leave the container
/// unconfined (CVE-2019-16884).
pub fn set_exec_label(proc: impl AsFd, label: &ExecLabel) -> Result<()> {
    const PROC_SUPER_MAGIC: u64 = 0x9fa0;
    let magic = rustix::fs::fstatfs(&proc).context("inspect /proc")?.f_type;
    if magic as u64 != PROC_SUPER_MAGIC {
        bail!("label the process: /proc is not a proc file system");
    }
    let (files, text): (&[&str], _) = match label {
        ExecLabel::AppArmor(profile) => {
            (&["thread-self/attr/apparmor/exec", "thread-self/attr/exec"], format!("exec {profile}"))
        }
        ExecLabel::SeLinux(context) => (&["thread-self/attr/exec"], context.clone()),
    };
    let open =
        |file: &&str| rustix::fs::openat(&proc, *file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    let Some(file) = files.iter().find_map(|file| open(file).ok()) else {
        bail!("label the process: the kernel offers no `{}`", files[0])
    };
    rustix::io::write(&file, text.as_bytes()).with_context(|| format!("set label `{text}`"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_words_parse_or_are_refused() {
        let words = parse_label_words(&["type:spc_t", "level:s0:c1,c2", "filetype:x_t"]).unwrap();
        assert_eq!(words.kind.as_deref(), Some("spc_t"));
        assert_eq!(words.level.as_deref(), Some("s0:c1,c2"));
        assert!(words.need_selinux());
        assert!(!parse_label_words(&["disable"]).unwrap().need_selinux());
        for bad in ["", "type:", "typ:x", "disable:x", "user:a\nb"] {
            assert!(parse_label_words(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn contexts_take_the_words_and_the_level() {
        let base = Labels {
            process: "system_u:system_r:container_t:s0".into(),
            mount: "system_u:object_r:container_file_t:s0".into(),
        };
        let words = parse_label_words(&["type:spc_t"]).unwrap();
        let labels = compose(&base, &words, "s0:c3,c9");
        assert_eq!(labels.process, "system_u:system_r:spc_t:s0:c3,c9");
        assert_eq!(labels.mount, "system_u:object_r:container_file_t:s0:c3,c9");
        let level = random_level();
        assert!(level.starts_with("s0:c") && level.contains(",c"), "{level}");
    }

    #[test]
    fn the_default_profile_is_found_with_its_version() {
        let list = "docker-default (enforce)\ncontainers-default-0.62.2 (enforce)\n";
        assert_eq!(default_profile(list), Some("containers-default-0.62.2"));
        assert_eq!(default_profile("containers-defaults (enforce)"), None);
    }

    #[test]
    fn a_host_without_the_module_refuses_what_was_asked_by_name() {
        if !apparmor_enabled() {
            assert!(apparmor_profile(Some("mine")).is_err());
            assert_eq!(apparmor_profile(None).unwrap(), None);
        }
        if !selinux_enabled() {
            let words = parse_label_words(&["type:spc_t"]).unwrap();
            assert!(selinux_labels(&words).is_err());
            assert_eq!(selinux_labels(&LabelWords::default()).unwrap(), None);
        }
        assert_eq!(apparmor_profile(Some("unconfined")).unwrap(), None);
    }

    #[test]
    fn a_false_proc_is_refused() {
        let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        assert!(set_exec_label(root, &ExecLabel::AppArmor("x".into())).is_err());
    }
}
