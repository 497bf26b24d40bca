//! `registries.conf`: which registries a short name means, where a name really lives, and through what mirrors.
//!
//! Read, first found wins: `$CONTAINERS_REGISTRIES_CONF` (then nothing else), `~/.config/containers/registries.conf`,
//! `/etc/containers/registries.conf`, `/usr/share/containers/registries.conf`; over it the `*.conf` of
//! `registries.conf.d` beside the latter two and beside the user's, in order of their names. The aliases that
//! Podman recorded when it asked (`short-name-aliases.conf`) win over all others.
//! Format: containers-registries.conf(5), version 2; version 1 is read too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::reference::{DOCKER_IO, Reference, is_short_name};
use crate::base::error::{Context, Explain, Kind, Result, bail, fail};
use crate::base::{fs, roots};

const LIMIT: u64 = 4 << 20;

/// What the configuration files say about registries.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    /// `unqualified-search-registries`, as configured; empty means Docker's rule.
    pub search: Vec<String>,
    /// `short-name-mode = "enforcing"` was written: never guess between several registries.
    pub enforcing: bool,
    /// `credential-helpers`, tried in order.
    pub credential_helpers: Vec<String>,
    /// Short name to full name, without tags.
    aliases: BTreeMap<String, String>,
    /// `[[registry]]`, longest prefix first.
    pub(super) rules: Vec<Rule>,
}

/// A `[[registry]]` table, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) prefix: String,
    /// Replaces the prefix; empty keeps the name as it is (only for `*.` prefixes).
    pub(super) location: String,
    pub(super) insecure: bool,
    pub(super) blocked: bool,
    pub(super) mirrors: Vec<Mirror>,
}

/// A `[[registry.mirror]]` table, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mirror {
    pub(super) location: String,
    pub(super) insecure: bool,
    pub(super) serves: Serves,
}

/// Which references a mirror may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serves {
    All,
    Digests,
    Tags,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct File {
    unqualified_search_registries: Option<Vec<String>>,
    short_name_mode: Option<String>,
    credential_helpers: Option<Vec<String>>,
    registry: Vec<RuleTable>,
    aliases: BTreeMap<String, String>,
    registries: Option<VersionOne>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct RuleTable {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror_by_digest_only: bool,
    mirror: Vec<MirrorTable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct MirrorTable {
    location: String,
    insecure: bool,
    pull_from_mirror: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct VersionOne {
    search: Hosts,
    insecure: Hosts,
    block: Hosts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Hosts {
    registries: Vec<String>,
}

impl Registries {
    /// Reads the configuration of this host and user.
    pub fn load() -> Result<Registries> {
        Registries::read(&config_files()?)
    }

    /// Reads these files; later ones override and add to earlier ones.
    pub fn read(paths: &[PathBuf]) -> Result<Registries> {
        let mut merged = Registries::default();
        for path in paths {
            let bytes = fs::read_limited(path, LIMIT)?;
            let text = std::str::from_utf8(&bytes).with_context(|| format!("read `{}`", path.display()))?;
            merged.add(text).with_context(|| format!("read `{}`", path.display()))?;
        }
        Ok(merged)
    }

    /// Adds one file's text over what is known.
    pub fn add(&mut self, text: &str) -> Result<()> {
        let file: File = toml::from_str(text)?;
        if let Some(search) = file.unqualified_search_registries {
            self.search = search.iter().map(|host| trimmed(host)).collect::<Result<_>>()?;
        }
        if let Some(mode) = file.short_name_mode {
            self.enforcing = match mode.as_str() {
                "enforcing" => true,
                "permissive" | "disabled" => false,
                other => bail!("short-name-mode `{other}` is none of enforcing, permissive, disabled"),
            };
        }
        if let Some(helpers) = file.credential_helpers {
            self.credential_helpers = helpers;
        }
        self.aliases.extend(file.aliases);
        for table in file.registry {
            self.put(Rule::check(table)?);
        }
        if let Some(old) = file.registries {
            self.add_version_one(old)?;
        }
        self.rules.sort_by_key(|rule| std::cmp::Reverse(rule.prefix.len()));
        Ok(())
    }

    fn put(&mut self, rule: Rule) {
        self.rules.retain(|known| known.prefix != rule.prefix);
        self.rules.push(rule);
    }

    fn add_version_one(&mut self, old: VersionOne) -> Result<()> {
        if !old.search.registries.is_empty() {
            self.search = old.search.registries.iter().map(|host| trimmed(host)).collect::<Result<_>>()?;
        }
        let (insecure, blocked) = (old.insecure.registries, old.block.registries);
        for host in insecure.iter().chain(&blocked) {
            self.put(Rule {
                prefix: trimmed(host)?,
                location: trimmed(host)?,
                insecure: insecure.contains(host),
                blocked: blocked.contains(host),
                mirrors: Vec::new(),
            });
        }
        Ok(())
    }

    /// The full references that a typed name may mean, in the order in which to try them: the name itself when it
    /// says its registry; else its alias; else the search registries; else `docker.io`.
    pub fn candidates(&self, text: &str) -> Result<Vec<Reference>> {
        let text = text.strip_prefix("docker://").unwrap_or(text);
        let normal = Reference::parse(text)?;
        if !is_short_name(text) {
            return Ok(vec![normal]);
        }
        if let Some(found) = self.alias(text)? {
            return Ok(vec![found]);
        }
        if self.search.is_empty() {
            return Ok(vec![normal]);
        }
        let all = self
            .search
            .iter()
            .map(|registry| Reference::parse_on(text, registry))
            .collect::<Result<Vec<_>>>()?;
        if self.enforcing && all.len() > 1 {
            let names = all.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ");
            return Err(fail(Kind::Usage, format!("short name `{text}` could mean {names}"))
                .hint("type the full name, or add an alias to registries.conf"));
        }
        Ok(all)
    }

    fn alias(&self, text: &str) -> Result<Option<Reference>> {
        let name_end = text.find(['@', ':']).unwrap_or(text.len());
        let (name, suffix) = text.split_at(name_end);
        match self.aliases.get(name).filter(|target| !target.is_empty()) {
            None => Ok(None),
            Some(target) if is_short_name(target) => {
                bail!("alias `{name}` stands for `{target}`, which names no registry")
            }
            Some(target) => Reference::parse(&format!("{target}{suffix}"))
                .map(Some)
                .with_context(|| format!("use alias `{name}`")),
        }
    }

    /// The registry that `login` means when none is named.
    pub fn default_registry(&self) -> &str {
        DOCKER_IO
    }
}

impl Rule {
    fn check(table: RuleTable) -> Result<Rule> {
        let (mut prefix, location) = (trimmed(&table.prefix)?, trimmed(&table.location)?);
        let wildcard = prefix.starts_with("*.");
        if location.is_empty() && !wildcard {
            bail!("a [[registry]] without `location` needs a `prefix` such as `*.example.com`");
        }
        if prefix.is_empty() {
            prefix.clone_from(&location);
        }
        let digests_only = table.mirror_by_digest_only;
        let mirrors = table
            .mirror
            .into_iter()
            .map(|mirror| Mirror::check(mirror, digests_only))
            .collect::<Result<_>>()?;
        Ok(Rule { prefix, location, insecure: table.insecure, blocked: table.blocked, mirrors })
    }
}

impl Mirror {
    fn check(table: MirrorTable, digests_only: bool) -> Result<Mirror> {
        let location = trimmed(&table.location)?;
        if location.is_empty() {
            bail!("a [[registry.mirror]] needs a `location`");
        }
        let serves = match table.pull_from_mirror.as_str() {
            "" if digests_only => Serves::Digests,
            "" | "all" => Serves::All,
            "digest-only" => Serves::Digests,
            "tag-only" => Serves::Tags,
            other => bail!("pull-from-mirror `{other}` is none of all, digest-only, tag-only"),
        };
        Ok(Mirror { location, insecure: table.insecure, serves })
    }
}

/// A location without its trailing slash; a URL is a mistake.
fn trimmed(location: &str) -> Result<String> {
    if location.contains("://") {
        bail!("`{location}` must be a host and path without `https://`");
    }
    Ok(location.trim_end_matches('/').to_owned())
}

fn config_files() -> Result<Vec<PathBuf>> {
    if let Some(path) = roots::env_path("CONTAINERS_REGISTRIES_CONF") {
        return Ok(vec![path]);
    }
    let user = roots::config_home().map(|dir| dir.join("containers")).ok();
    let system = PathBuf::from("/etc/containers");
    let vendor = PathBuf::from("/usr/share/containers");
    let dirs = || user.iter().chain([&system, &vendor]);
    let main = dirs().map(|dir| dir.join("registries.conf")).find(|path| path.is_file());
    let mut files: Vec<PathBuf> = main.into_iter().collect();
    for dir in [Some(&vendor), Some(&system), user.as_ref()].into_iter().flatten() {
        files.extend(drop_ins(&dir.join("registries.conf.d"))?);
    }
    files.extend(recorded_aliases().into_iter().filter(|path| path.is_file()));
    Ok(files)
}

fn drop_ins(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .collect();
    files.sort();
    Ok(files)
}

fn recorded_aliases() -> Vec<PathBuf> {
    let cache = roots::env_path("XDG_CACHE_HOME").or_else(|| Some(roots::home().ok()?.join(".cache")));
    let user = cache.map(|dir| dir.join("containers/short-name-aliases.conf"));
    std::iter::once(PathBuf::from("/var/cache/containers/short-name-aliases.conf")).chain(user).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(text: &str) -> Registries {
        let mut registries = Registries::default();
        registries.add(text).unwrap();
        registries
    }

    fn names(registries: &Registries, text: &str) -> Vec<String> {
        registries.candidates(text).unwrap().iter().map(Reference::full).collect()
    }

    #[test]
    fn short_names_mean_docker_io_when_nothing_is_configured() {
        let none = Registries::default();
        assert_eq!(names(&none, "alpine"), ["docker.io/library/alpine"]);
        assert_eq!(names(&none, "docker://a/b:1"), ["docker.io/a/b:1"]);
    }

    #[test]
    fn aliases_come_before_search_registries() {
        let mut both =
            conf("unqualified-search-registries = ['quay.io', 'docker.io']\n[aliases]\nfoo = 'r.io/x/foo'\n");
        assert_eq!(names(&both, "foo:2"), ["r.io/x/foo:2"]);
        assert_eq!(names(&both, "bar:2"), ["quay.io/bar:2", "docker.io/library/bar:2"]);
        assert_eq!(names(&both, "localhost/bar"), ["localhost/bar"]);
        both.add("[aliases]\nfoo = ''").unwrap();
        assert_eq!(names(&both, "foo").len(), 2);
        both.add("short-name-mode = 'enforcing'").unwrap();
        assert!(both.candidates("foo").is_err());
        both.add("unqualified-search-registries = ['only.io']").unwrap();
        assert_eq!(names(&both, "foo"), ["only.io/foo"]);
        both.add("[aliases]\nfoo = 'x/foo'").unwrap();
        assert!(both.candidates("foo").is_err());
    }

    #[test]
    fn later_files_replace_a_registry_by_its_prefix() {
        let mut registries = conf("[[registry]]\nlocation = 'a.io'\ninsecure = true\n");
        registries.add("[[registry]]\nprefix = 'a.io'\nlocation = 'b.io/x/'\n").unwrap();
        assert_eq!(registries.rules.len(), 1);
        assert_eq!((registries.rules[0].location.as_str(), registries.rules[0].insecure), ("b.io/x", false));
    }

    #[test]
    fn version_one_files_are_read() {
        let old = conf(
            "[registries.search]\nregistries = ['q.io']\n[registries.insecure]\nregistries = ['h:1']\n\
             [registries.block]\nregistries = ['bad.io']\n",
        );
        assert_eq!(names(&old, "x"), ["q.io/x"]);
        assert!(old.rules.iter().any(|rule| rule.prefix == "bad.io" && rule.blocked && !rule.insecure));
    }

    #[test]
    fn mistakes_are_named() {
        for bad in [
            "[[registry]]\nprefix = 'a.io'",
            "[[registry]]\nlocation = 'http://a.io'",
            "[[registry]]\nlocation = 'a.io'\n[[registry.mirror]]\ninsecure = true",
            "[[registry]]\nlocation = 'a.io'\n[[registry.mirror]]\nlocation = 'm.io'\npull-from-mirror = 'x'",
            "short-name-mode = 'sometimes'",
            "not toml",
        ] {
            assert!(Registries::default().add(bad).is_err(), "{bad}");
        }
    }
}
