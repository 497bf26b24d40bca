//! `search`: images of the search registries, and the tags of a repository.

use serde::Serialize;

use super::image::{PullOptions, client};
use crate::base::error::{Context as _, Error, Explain, Kind, Result, fail, render};
use crate::registry::reference::is_short_name;
use crate::registry::{Hit, Reference, Registries};

/// What `search` was asked for.
#[derive(Debug, Clone)]
pub struct SearchOptions {
    /// `--limit`, for each registry.
    pub limit: usize,
    /// `--filter`
    pub filters: Vec<Filter>,
    /// How registries are reached.
    pub reach: PullOptions,
}

/// One `--filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// `stars=`: at least so many.
    Stars(u64),
    /// `is-official=`
    Official(bool),
    /// `is-automated=`
    Automated(bool),
}

impl Filter {
    /// Reads `KEY=VALUE`; a bare `is-official` or `is-automated` means true.
    pub fn parse(text: &str) -> Result<Filter> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let yes_or_no = || match value {
            "" | "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(fail(Kind::Usage, format!("filter `{key}` takes `true` or `false`, not `{value}`"))),
        };
        match key {
            "stars" => value
                .parse()
                .map(Filter::Stars)
                .map_err(|_| fail(Kind::Usage, format!("filter `stars` takes a number, not `{value}`"))),
            "is-official" => yes_or_no().map(Filter::Official),
            "is-automated" => yes_or_no().map(Filter::Automated),
            _ => Err(fail(
                Kind::Usage,
                format!("`{key}` is not a filter of a search: stars, is-official or is-automated"),
            )),
        }
    }

    fn passes(self, hit: &Hit) -> bool {
        match self {
            Filter::Stars(least) => hit.star_count >= least,
            Filter::Official(wanted) => hit.is_official == wanted,
            Filter::Automated(wanted) => hit.is_automated == wanted,
        }
    }
}

/// An image that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The registry.
    pub index: String,
    /// What it said.
    pub hit: Hit,
}

impl Found {
    /// The full name.
    pub fn name(&self) -> String {
        let official = self.index == "docker.io" && !self.hit.name.contains('/');
        format!("{}/{}{}", self.index, if official { "library/" } else { "" }, self.hit.name)
    }
}

/// The tags of a repository.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
pub struct Tags {
    /// The repository.
    pub name: String,
    /// Its tags.
    pub tags: Vec<String>,
}

/// Searches. Registries that fail are told as warnings, as long as one answers.
pub fn search(term: &str, options: &SearchOptions) -> Result<(Vec<Found>, Vec<String>)> {
    let registries = Registries::load()?;
    let (places, term) = places(term, &registries);
    let client = client(&options.reach)?;
    let (mut found, mut failures): (Vec<Found>, Vec<Error>) = (Vec::new(), Vec::new());
    for place in &places {
        // Filters first: the limit counts what is shown.
        let asked = if options.filters.is_empty() { options.limit } else { MOST };
        match client.search(place, &term, asked) {
            Ok(hits) => {
                let fitting =
                    hits.into_iter().filter(|hit| options.filters.iter().all(|filter| filter.passes(hit)));
                let here = fitting.take(options.limit).map(|hit| Found { index: place.clone(), hit });
                found.extend(here);
            }
            Err(error) => failures.push(error),
        }
    }
    if failures.len() == places.len()
        && let Some(last) = failures.pop()
    {
        return Err(failures.iter().fold(last, |error, other| error.hint(render(other))));
    }
    Ok((found, failures.iter().map(render).collect()))
}

/// As many as Docker Hub gives at once.
pub const MOST: usize = 100;

/// Where to look, and for what: a term that begins with a registry is looked for there only.
fn places(term: &str, registries: &Registries) -> (Vec<String>, String) {
    if let Some((registry, rest)) = term.split_once('/')
        && !is_short_name(&format!("{registry}/x"))
    {
        let rest = if registry == "docker.io" { rest.strip_prefix("library/").unwrap_or(rest) } else { rest };
        return (vec![registry.to_owned()], rest.to_owned());
    }
    let places = match registries.search.is_empty() {
        true => vec![registries.default_registry().to_owned()],
        false => registries.search.clone(),
    };
    (places, term.to_owned())
}

/// `--list-tags`
pub fn tags(text: &str, options: &SearchOptions) -> Result<Tags> {
    let text = text.strip_prefix("docker://").unwrap_or(text);
    let parsed = Reference::parse(text)?;
    if parsed.tag.is_some() || parsed.digest.is_some() {
        return Err(fail(Kind::Usage, format!("`{text}`: tags are listed of a repository, not of a tag")));
    }
    let candidates = Registries::load()?.candidates(text)?;
    let name = candidates.into_iter().next().with_context(|| format!("`{text}` names no registry"))?;
    let mut tags = client(&options.reach)?.tags(&name)?;
    tags.truncate(options.limit);
    Ok(Tags { name: name.name(), tags })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_say_where_to_look() {
        let mut registries = Registries::default();
        let look = |term: &str, registries: &Registries| places(term, registries);
        assert_eq!(look("alpine", &registries), (vec!["docker.io".into()], "alpine".into()));
        registries.add("unqualified-search-registries = ['q.io', 'h:5000']").unwrap();
        assert_eq!(look("a/b", &registries), (vec!["q.io".into(), "h:5000".into()], "a/b".into()));
        assert_eq!(look("localhost:5000/", &registries), (vec!["localhost:5000".into()], String::new()));
        assert_eq!(look("docker.io/library/x", &registries), (vec!["docker.io".into()], "x".into()));
    }

    #[test]
    fn filters_are_read_strictly() {
        assert_eq!(Filter::parse("stars=3").unwrap(), Filter::Stars(3));
        assert_eq!(Filter::parse("is-official").unwrap(), Filter::Official(true));
        assert_eq!(Filter::parse("is-automated=false").unwrap(), Filter::Automated(false));
        for bad in ["", "stars", "stars=x", "is-official=maybe", "name=x"] {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
    }
}
