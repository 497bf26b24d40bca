//! Git repositories, by the `git` program.
//!
//! The program gets no shell, no terminal, no hooks, and only the protocols named here; nothing that comes from a
//! Dockerfile is ever taken for an option (CVE-2017-1000117 and its class).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::base::error::{Context, Explain, Kind, Result, bail, fail};
use crate::base::text::printable;
use crate::layer::{Staging, tree};
use crate::ops::build::copy::clean;
use crate::sys::file::FileType;
use crate::sys::rootdir::RootDir;

/// The protocols that may be spoken. `file` is for repositories of the caller's own machine, and then for their
/// submodules too; a repository from elsewhere cannot read from here (CVE-2022-39253).
const PROTOCOLS: &str = "git:http:https:ssh";
/// What would make `git` look elsewhere.
const ELSEWHERE: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
];

/// What a git URL asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitUrl {
    /// What `git` is given.
    remote: String,
    /// A branch, tag, full reference or commit; the server's HEAD by default.
    reference: Option<String>,
    /// The directory of the repository that is meant, relative.
    subdir: PathBuf,
    /// Submodules are fetched.
    submodules: bool,
    /// The commit that it must be.
    commit: Option<String>,
    /// `keep-git-dir=true`
    pub keep_git_dir: bool,
}

/// Whether a word names a git repository.
pub fn is_git(word: &str) -> bool {
    let url = word.split(['#', '?']).next().unwrap_or_default();
    let lower = url.to_ascii_lowercase();
    let named = ["git://", "ssh://", "file://"].iter().any(|scheme| lower.starts_with(scheme));
    let web = (lower.starts_with("http://") || lower.starts_with("https://"))
        && url.trim_end_matches('/').ends_with(".git");
    named || web || lower.starts_with("github.com/") || is_scp(url)
}

/// `user@host:path`
fn is_scp(url: &str) -> bool {
    let Some((user, rest)) = url.split_once('@') else { return false };
    let Some((host, path)) = rest.split_once(':') else { return false };
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    word(user) && word(host) && !path.is_empty()
}

impl GitUrl {
    /// Parses `URL[?key=value&…][#reference[:subdir]]`.
    pub fn parse(word: &str) -> Result<GitUrl> {
        let (rest, fragment) = word.split_once('#').unwrap_or((word, ""));
        let (url, query) = rest.split_once('?').unwrap_or((rest, ""));
        let remote = if url.to_ascii_lowercase().starts_with("github.com/") {
            format!("https://{url}")
        } else {
            url.to_owned()
        };
        let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
        let mut parsed = GitUrl {
            remote,
            reference: (!reference.is_empty()).then(|| reference.to_owned()),
            subdir: clean(subdir),
            submodules: true,
            commit: None,
            keep_git_dir: false,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            parsed.option(key, value).with_context(|| format!("read `{}`", printable(word)))?;
        }
        parsed.check().with_context(|| format!("read `{}`", printable(word)))?;
        Ok(parsed)
    }

    fn option(&mut self, key: &str, value: &str) -> Result<()> {
        let flag = || match value {
            "" | "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(fail(Kind::Usage, format!("`{}` is neither true nor false", printable(value)))),
        };
        let named = match key {
            "ref" => Some(value.to_owned()),
            "tag" => Some(format!("refs/tags/{value}")),
            "branch" => Some(format!("refs/heads/{value}")),
            _ => None,
        };
        match key {
            "ref" | "tag" | "branch" if value.is_empty() || self.reference.is_some() => {
                return Err(fail(
                    Kind::Usage,
                    "one of `#reference`, `ref`, `tag` and `branch` names what is wanted",
                ));
            }
            "ref" | "tag" | "branch" => self.reference = named,
            "subdir" => self.subdir = clean(value),
            "submodules" => self.submodules = flag()?,
            "keep-git-dir" => self.keep_git_dir = flag()?,
            "commit" | "checksum" => self.commit = Some(value.to_owned()),
            _ => return Err(fail(Kind::Usage, format!("a git URL has no `{}`", printable(key)))),
        }
        Ok(())
    }

    /// Nothing may look like an option to `git` or `ssh`, nor name a helper.
    fn check(&self) -> Result<()> {
        let after = self.remote.split_once("://").map_or(self.remote.as_str(), |(_, rest)| rest);
        let host = after.rsplit_once('@').map_or(after, |(_, host)| host);
        let odd = |text: &str| text.starts_with('-') || text.contains(|c: char| c.is_control() || c == ' ');
        if odd(&self.remote) || odd(after) || odd(host) || self.remote.contains("::") {
            return Err(fail(Kind::Usage, "this is no address of a repository"));
        }
        if let Some(name) = &self.reference
            && (odd(name) || name.contains(['~', '^', ':', '?', '*', '[', '\\']) || name.contains(".."))
        {
            return Err(fail(Kind::Usage, format!("`{}` is no name of a reference", printable(name))));
        }
        if self.commit.as_ref().is_some_and(|commit| !is_commit(commit, 7)) {
            return Err(fail(Kind::Usage, "a commit is hexadecimal digits"));
        }
        Ok(())
    }

    /// The same with the commit that `--checksum` wants.
    pub fn with_checksum(mut self, commit: &str) -> Result<GitUrl> {
        self.commit = Some(commit.to_owned());
        self.check()?;
        Ok(self)
    }

    /// Asks the server which commit that is; nothing is fetched.
    pub fn resolve(&self) -> Result<Commit> {
        let shown = || format!("look up `{}`", printable(&self.remote));
        let name = self.reference.as_deref().unwrap_or("HEAD");
        if is_commit(name, 40) {
            self.check_commit(name)?;
            return Ok(Commit { id: name.to_ascii_lowercase(), reference: None });
        }
        let patterns = [name.to_owned(), format!("{name}^{{}}")];
        let mut arguments = vec!["ls-remote", "--quiet", "--", self.remote.as_str()];
        arguments.extend(patterns.iter().map(String::as_str));
        let listed = self.git(None, &arguments).with_context(shown)?;
        let Some((id, reference)) = pick(&listed, name) else {
            if is_commit(name, 7) {
                return Ok(Commit { id: name.to_ascii_lowercase(), reference: None });
            }
            return Err(fail(Kind::NotFound, format!("the repository has no `{}`", printable(name))))
                .with_context(shown);
        };
        self.check_commit(&id)?;
        Ok(Commit { id, reference: Some(reference) })
    }

    fn check_commit(&self, found: &str) -> Result<()> {
        match &self.commit {
            Some(wanted) if !found.to_ascii_lowercase().starts_with(&wanted.to_ascii_lowercase()) => {
                bail!("`{}` is at commit `{found}`, not `{wanted}`", printable(&self.remote))
            }
            _ => Ok(()),
        }
    }

    /// What belongs in a cache key.
    pub fn key(&self, commit: &Commit) -> String {
        let subdir = self.subdir.display();
        format!("git {} {subdir} {} {}", commit.id, self.submodules, self.keep_git_dir)
    }

    /// Checks a commit out into staging.
    pub fn fetch(&self, commit: &Commit, root: &Path) -> Result<Checkout> {
        let shown = || format!("fetch `{}`", printable(&self.remote));
        let staging = Staging::new(root)?;
        let dir = staging.path().join("tree");
        let made = self.check_out(commit, &dir);
        made.with_context(shown)?;
        let top = RootDir::open(&dir)?;
        let stat = top.stat(&self.subdir).with_context(|| {
            format!("find directory `{}` of the repository", printable(&self.subdir.to_string_lossy()))
        })?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            bail!("`{}` of the repository is no directory", printable(&self.subdir.to_string_lossy()));
        }
        let root = RootDir::from_fd(top.open_dir(&self.subdir)?);
        Ok(Checkout { _staging: staging, root })
    }

    fn check_out(&self, commit: &Commit, dir: &Path) -> Result<()> {
        // What is checked out does not depend on who builds.
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        let done = self.check_out_here(commit, dir);
        rustix::process::umask(before);
        done
    }

    fn check_out_here(&self, commit: &Commit, dir: &Path) -> Result<()> {
        let path = dir.to_str().context("the store's path is no UTF-8")?;
        self.git(None, &["init", "--quiet", "--template=", "--", path])?;
        self.git(Some(dir), &["remote", "add", "--", "origin", &self.remote])?;
        let wanted = commit.reference.as_deref().unwrap_or(&commit.id);
        let shallow =
            self.git(Some(dir), &["fetch", "--quiet", "--no-tags", "--depth=1", "--", "origin", wanted]);
        if shallow.is_err() {
            // A server need not give what no reference points to: then all of it is fetched.
            let all = ["fetch", "--quiet", "--", "origin", "+refs/*:refs/remotes/origin/*"];
            self.git(Some(dir), &all)?;
        }
        self.git(Some(dir), &["checkout", "--quiet", "--detach", &commit.id])
            .with_context(|| format!("check out commit `{}`", commit.id))?;
        if self.submodules && dir.join(".gitmodules").is_file() {
            self.git(Some(dir), &["submodule", "--quiet", "update", "--init", "--recursive"])?;
        }
        if !self.keep_git_dir {
            self.forget_git(dir)?;
        }
        Ok(())
    }

    /// Removes `.git`, and those of submodules.
    fn forget_git(&self, dir: &Path) -> Result<()> {
        if dir.join(".gitmodules").is_file() {
            let paths = self.git(Some(dir), &["submodule", "--quiet", "foreach", "--recursive", "pwd"])?;
            for path in paths.lines().filter(|path| Path::new(path).starts_with(dir)) {
                tree::remove(&Path::new(path).join(".git"))?;
            }
        }
        tree::remove(&dir.join(".git"))
    }

    /// Runs `git`; gives what it prints.
    fn git(&self, dir: Option<&Path>, arguments: &[&str]) -> Result<String> {
        let own = self.remote.starts_with("file://");
        let protocols = if own { format!("{PROTOCOLS}:file") } else { PROTOCOLS.to_owned() };
        let mut command = Command::new("git");
        for setting in ["core.hooksPath=/dev/null", "core.fsmonitor=false", "advice.detachedHead=false"] {
            command.arg("-c").arg(setting);
        }
        if let Some(dir) = dir {
            command.arg("-C").arg(dir);
        }
        ELSEWHERE.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.args(arguments.iter().map(OsStr::new)).env("GIT_ALLOW_PROTOCOL", protocols);
        command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
        command.stdin(Stdio::null());
        let output = command.output().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                fail(Kind::Failed, "the program `git` is not there").hint("install git")
            }
            _ => crate::base::error::Error::new(error).context("run `git`"),
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let line = said.lines().rev().find(|line| line.starts_with("fatal:")).or(said.lines().last());
            bail!("git: {}", printable(line.unwrap_or("no success").trim_start_matches("fatal: ")));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// A commit of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its digits.
    pub id: String,
    /// The full name of the reference that led to it.
    reference: Option<String>,
}

/// A checked out directory in staging, which goes away with this.
#[derive(Debug)]
pub struct Checkout {
    _staging: Staging,
    /// The directory that was asked for.
    pub root: RootDir,
}

fn is_commit(text: &str, least: usize) -> bool {
    (least..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The best of the references that a server lists for a name: itself, a tag, a branch; of a tag the commit.
fn pick(listed: &str, name: &str) -> Option<(String, String)> {
    let lines: Vec<(&str, &str)> = listed.lines().filter_map(|line| line.split_once('\t')).collect();
    let find = |full: &str| lines.iter().find(|(_, reference)| *reference == full).map(|(id, _)| *id);
    for full in
        [name.to_owned(), format!("refs/tags/{name}"), format!("refs/heads/{name}"), format!("refs/{name}")]
    {
        if let Some(id) = find(&full) {
            let peeled = find(&format!("{full}^{{}}")).unwrap_or(id);
            return Some((peeled.to_owned(), full));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_repositories_are_recognised() {
        for (word, expected) in [
            ("https://h/x.git", true),
            ("https://h/x.git#v1:sub", true),
            ("https://h/x.git?tag=v1", true),
            ("https://h/x.tar.gz", false),
            ("git@github.com:a/b.git", true),
            ("github.com/a/b", true),
            ("file:///srv/x", true),
            ("ssh://git@h/x", true),
            ("dir/git@x:y", false),
            (".", false),
        ] {
            assert_eq!(is_git(word), expected, "{word}");
        }
    }

    #[test]
    fn what_is_asked_for_is_parsed_and_checked() {
        let url = GitUrl::parse("https://h/x.git?subdir=a/../b&submodules=0&tag=v1").unwrap();
        assert_eq!(url.reference.as_deref(), Some("refs/tags/v1"));
        assert_eq!((url.subdir.as_path(), url.submodules), (Path::new("b"), false));
        let url = GitUrl::parse("github.com/a/b#main:/../c").unwrap();
        assert_eq!((url.remote.as_str(), url.reference.as_deref()), ("https://github.com/a/b", Some("main")));
        assert_eq!(url.subdir, Path::new("c"));
        for bad in [
            "https://h/x.git#--upload-pack=touch",
            "ssh://-oProxyCommand=x/y",
            "ssh://git@-oProxyCommand=x/y",
            "git@-oProxyCommand=x:y",
            "--upload-pack=x",
            "file::/x",
            "https://h/x.git?exec=y",
            "https://h/x.git?tag=v1#main",
            "https://h/x.git#a..b",
            "https://h/x.git?commit=-x",
        ] {
            assert!(GitUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn annotated_tags_lead_to_their_commit() {
        let listed = "11\trefs/heads/v1\n22\trefs/tags/v1\n33\trefs/tags/v1^{}\n";
        assert_eq!(pick(listed, "v1"), Some(("33".into(), "refs/tags/v1".into())));
        assert_eq!(pick(listed, "refs/heads/v1"), Some(("11".into(), "refs/heads/v1".into())));
        assert_eq!(pick(listed, "HEAD"), None);
    }
}
