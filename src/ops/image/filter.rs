//! `--filter` of image listings: `KEY=VALUE`, Podman's keys.
//!
//! Values of one key are alternatives, but for `label` and `label!`, which must all hold.

use jiff::Timestamp;

use super::ancestry;
use super::usage::Usage;
use crate::base::digest::Digest;
use crate::base::error::{Kind, Result, fail};
use crate::base::time;
use crate::image::{Image, Store};
use crate::registry::Reference;

/// One parsed filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// `dangling=`: has no name.
    Dangling(bool),
    /// `reference=`: a name fits the pattern.
    Reference(String),
    /// `reference!=`
    NotReference(String),
    /// `label=KEY` or `label=KEY=VALUE`
    Label(String, Option<String>),
    /// `label!=`
    NotLabel(String, Option<String>),
    /// `before=IMAGE`: built earlier.
    Before(String),
    /// `since=IMAGE` or `after=IMAGE`: built later.
    Since(String),
    /// `until=TIME`: built before.
    Until(Timestamp),
    /// `id=`: the id begins with it.
    Id(String),
    /// `digest=`: has this manifest digest.
    Digest(String),
    /// `readonly=`: in an additional, read-only store.
    ReadOnly(bool),
    /// `intermediate=`: has no name, and another image was built on it.
    Intermediate(bool),
    /// `containers=`: some container uses it.
    Containers(bool),
    /// `manifest=`: is a list of images.
    Manifest(bool),
}

impl Filter {
    /// Parses one `--filter`.
    pub fn parse(text: &str) -> Result<Filter> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, value),
            None => return Err(usage(format!("`{text}` is not a filter such as `dangling=true`"))),
        };
        let yes_or_no = || match value {
            "true" | "1" | "t" | "T" | "TRUE" | "True" => Ok(true),
            "false" | "0" | "f" | "F" | "FALSE" | "False" => Ok(false),
            _ => Err(usage(format!("filter `{key}` takes `true` or `false`, not `{value}`"))),
        };
        Ok(match key {
            "dangling" => Filter::Dangling(yes_or_no()?),
            "reference" => Filter::Reference(value.to_owned()),
            "reference!" => Filter::NotReference(value.to_owned()),
            "label" => label(value, Filter::Label),
            "label!" => label(value, Filter::NotLabel),
            "before" => Filter::Before(value.to_owned()),
            "since" | "after" => Filter::Since(value.to_owned()),
            "until" => Filter::Until(time::parse_when(value, time::now())?),
            "id" => Filter::Id(value.to_owned()),
            "digest" => Filter::Digest(value.to_owned()),
            "readonly" => Filter::ReadOnly(yes_or_no()?),
            "intermediate" => Filter::Intermediate(yes_or_no()?),
            "containers" if value == "external" => Filter::Containers(false),
            "containers" => Filter::Containers(yes_or_no()?),
            "manifest" => Filter::Manifest(yes_or_no()?),
            _ => return Err(usage(format!("`{key}` is not a filter of images"))),
        })
    }

    fn key(&self) -> std::mem::Discriminant<Filter> {
        std::mem::discriminant(self)
    }
}

fn usage(message: String) -> crate::base::error::Error {
    fail(Kind::Usage, message)
}

fn label(text: &str, make: fn(String, Option<String>) -> Filter) -> Filter {
    match text.split_once('=') {
        Some((key, value)) => make(key.to_owned(), Some(value.to_owned())),
        None => make(text.to_owned(), None),
    }
}

/// Filters with everything looked up that they speak of.
pub(super) struct Judge<'a> {
    filters: Vec<Filter>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    all: &'a [Image],
    usage: Option<&'a Usage>,
}

impl<'a> Judge<'a> {
    /// Resolves the images that filters name.
    pub(super) fn new(
        filters: Vec<Filter>,
        store: &Store,
        all: &'a [Image],
        usage: Option<&'a Usage>,
    ) -> Result<Judge<'a>> {
        let (mut before, mut since) = (None, None);
        for filter in &filters {
            match filter {
                Filter::Before(text) => before = earliest(before, store.resolve(text)?.created),
                Filter::Since(text) => since = latest(since, store.resolve(text)?.created),
                _ => {}
            }
        }
        Ok(Judge { filters, before, since, all, usage })
    }

    /// Whether an image passes.
    pub(super) fn passes(&self, image: &Image) -> bool {
        self.filters.iter().all(|filter| match filter {
            Filter::Label(..) | Filter::NotLabel(..) | Filter::NotReference(_) => self.holds(filter, image),
            _ => {
                let same = self.filters.iter().filter(|other| other.key() == filter.key());
                same.into_iter().any(|filter| self.holds(filter, image))
            }
        })
    }

    fn holds(&self, filter: &Filter, image: &Image) -> bool {
        match filter {
            Filter::Dangling(want) => image.names.is_empty() == *want,
            Filter::Reference(pattern) => image.names.iter().any(|name| name_fits(pattern, name)),
            Filter::NotReference(pattern) => !image.names.iter().any(|name| name_fits(pattern, name)),
            Filter::Label(key, value) => has_label(image, key, value.as_deref()),
            Filter::NotLabel(key, value) => !has_label(image, key, value.as_deref()),
            Filter::Before(_) => self.before.is_some_and(|when| image.created < when),
            Filter::Since(_) => self.since.is_some_and(|when| image.created > when),
            Filter::Until(when) => image.created < *when,
            Filter::Id(start) => image.id.hex().starts_with(start.strip_prefix("sha256:").unwrap_or(start)),
            Filter::Digest(text) => text.parse::<Digest>().is_ok_and(|digest| image.has_digest(&digest)),
            Filter::ReadOnly(want) => image.read_only == *want,
            Filter::Manifest(want) => image.is_list() == *want,
            Filter::Intermediate(want) => {
                (image.names.is_empty() && ancestry::has_children(image, self.all)) == *want
            }
            Filter::Containers(want) => {
                self.usage.is_some_and(|usage| !usage.of(&image.id).is_empty()) == *want
            }
        }
    }
}

fn earliest(known: Option<Timestamp>, when: Timestamp) -> Option<Timestamp> {
    Some(known.map_or(when, |known| known.min(when)))
}

fn latest(known: Option<Timestamp>, when: Timestamp) -> Option<Timestamp> {
    Some(known.map_or(when, |known| known.max(when)))
}

fn has_label(image: &Image, key: &str, value: Option<&str>) -> bool {
    let Ok(config) = image.config() else { return false };
    match config.config.labels.get(key) {
        Some(found) => value.is_none_or(|value| value == found),
        None => false,
    }
}

/// Whether a pattern fits a name of an image: whole, without its tag, as Docker shortens it, or its last parts.
pub fn name_fits(pattern: &str, name: &str) -> bool {
    let bare = |text: &str| {
        let path = text.rfind('/').map_or(0, |slash| slash + 1);
        let end = text[path..].find([':', '@']).map_or(text.len(), |at| at + path);
        text[..end].to_owned()
    };
    let familiar = Reference::parse(name).map_or_else(|_| name.to_owned(), |name| name.familiar());
    let mut spellings = vec![name.to_owned(), familiar];
    let tails = name.match_indices('/').map(|(slash, _)| name[slash + 1..].to_owned());
    spellings.extend(tails);
    spellings.iter().any(|spelling| glob(pattern, spelling) || glob(pattern, &bare(spelling)))
}

/// Go's `path.Match`: `*` and `?` do not cross `/`; `[a-z]`, `[^a]`, `\x`.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // Places from which the last `*` can be tried again; no recursion, so that no pattern is slow.
    let (mut p, mut t, mut again) = (0, 0, None);
    loop {
        if p < pattern.len() && pattern[p] == '*' {
            again = Some((p, t));
            p += 1;
            continue;
        }
        if p == pattern.len() && t == text.len() {
            return true;
        }
        let step = if p < pattern.len() && t < text.len() { one(&pattern[p..], text[t]) } else { None };
        match (step, again) {
            (Some(used), _) => (p, t) = (p + used, t + 1),
            (None, Some((star, from))) if from < text.len() && text[from] != '/' => {
                again = Some((star, from + 1));
                (p, t) = (star + 1, from + 1);
            }
            _ => return false,
        }
    }
}

/// How many characters of the pattern take this one; `None` when they do not.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern[0] {
        '?' => (c != '/').then_some(1),
        '\\' if pattern.len() > 1 => (pattern[1] == c).then_some(2),
        '[' => class(pattern, c),
        plain => (plain == c).then_some(1),
    }
}

fn class(pattern: &[char], c: char) -> Option<usize> {
    let negated = matches!(pattern.get(1), Some('^' | '!'));
    let (mut at, mut hit) = (1 + usize::from(negated), false);
    let start = at;
    while at < pattern.len() && (pattern[at] != ']' || at == start) {
        let low = pattern[at];
        let range = pattern.get(at + 1) == Some(&'-') && pattern.get(at + 2).is_some_and(|c| *c != ']');
        let high = if range { pattern[at + 2] } else { low };
        hit |= low <= c && c <= high;
        at += if range { 3 } else { 1 };
    }
    (at < pattern.len() && hit != negated && c != '/').then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_do_not_cross_slashes() {
        let yes =
            [("*", "a"), ("a*c", "abbc"), ("a?c", "abc"), ("[a-c]x", "bx"), ("[^a]", "b"), ("*:1*", "x:12")];
        let no = [
            ("*", "a/b"),
            ("a?c", "a/c"),
            ("[a-c]x", "dx"),
            ("a", "ab"),
            ("", "a"),
            ("[", "a"),
            ("[^a]", "a"),
        ];
        for (pattern, text) in yes {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in no {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
        assert!(!glob(&"*a".repeat(60), &"a".repeat(50)));
    }

    #[test]
    fn a_reference_fits_in_every_usual_spelling() {
        let name = "docker.io/library/ubuntu:16.04";
        for yes in [
            "ubuntu",
            "ubuntu:16.04",
            "ubuntu:*",
            "*:16.04",
            "docker.io/library/ubuntu",
            "library/ubuntu",
            "u*",
        ] {
            assert!(name_fits(yes, name), "{yes}");
        }
        for no in ["*:latest", "ubunt", "quay.io/*/*", "debian"] {
            assert!(!name_fits(no, name), "{no}");
        }
        assert!(name_fits("127.0.0.1:5000/x", "127.0.0.1:5000/x:latest"));
    }

    #[test]
    fn filters_are_read_strictly() {
        assert_eq!(Filter::parse("dangling=true").unwrap(), Filter::Dangling(true));
        assert_eq!(Filter::parse("label=a=b=c").unwrap(), Filter::Label("a".into(), Some("b=c".into())));
        assert_eq!(Filter::parse("label!=a").unwrap(), Filter::NotLabel("a".into(), None));
        for bad in ["dangling", "dangling=perhaps", "nonsense=1", "", "until=x"] {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
    }
}
