//! `search`.

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::pull_source::{Reach, Source};
use super::session::Session;
use crate::base::error::{Kind, Result, fail};
use crate::ops::search::{Filter, Found, MOST, SearchOptions, search, tags};
use crate::ui::report::Row;
use crate::ui::{json, report};

/// What podman-search(1) shows when nothing else is asked for.
const DEFAULT: usize = 25;
/// Letters of a description.
const DESCRIPTION: usize = 44;

/// Search registries for images
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Show stars too, and which images are official or automated
    #[arg(long)]
    compatible: bool,
    /// Only images that fit: stars=NUMBER, is-official=BOOL, is-automated=BOOL
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// `json`, or a Go template such as `{{.Name}}`
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// How many of each registry; tags are all shown unless it is given
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// List the tags of a repository
    #[arg(long)]
    list_tags: bool,
    /// Show descriptions in full
    #[arg(long)]
    no_trunc: bool,
    #[command(flatten)]
    reach: Reach,
    /// What to look for; with a registry in front, only there
    #[arg(value_name = "TERM")]
    term: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct HitRow {
    index: String,
    name: String,
    description: String,
    stars: u64,
    official: String,
    automated: String,
    tag: String,
}

impl Row for HitRow {
    const HEADINGS: &'static [(&'static str, &'static str)] = &[
        ("Index", "INDEX"),
        ("Name", "NAME"),
        ("Description", "DESCRIPTION"),
        ("Stars", "STARS"),
        ("Official", "OFFICIAL"),
        ("Automated", "AUTOMATED"),
        ("Tag", "TAG"),
    ];
}

impl SearchArgs {
    /// Searches.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.limit.is_some_and(|limit| !self.list_tags && limit > MOST) {
            return Err(fail(Kind::Usage, format!("`--limit` is at most {MOST}")));
        }
        if self.list_tags && !self.filter.is_empty() {
            return Err(fail(Kind::Usage, "filters are not for `--list-tags`"));
        }
        let reach = Source { reach: self.reach.clone(), ..Source::default() }.options(session)?;
        let filters = self.filter.iter().map(|text| Filter::parse(text)).collect::<Result<_>>()?;
        let all = if self.list_tags { usize::MAX } else { DEFAULT };
        let limit = self.limit.filter(|limit| *limit > 0).unwrap_or(all);
        let options = SearchOptions { limit, filters, reach };
        if self.list_tags {
            return self.show_tags(session, &options);
        }
        let (found, warnings) = search(&self.term, &options)?;
        warnings.iter().for_each(|warning| session.warn(warning));
        let rows: Vec<HitRow> = found.iter().map(|one| self.row(one)).collect();
        let columns = match self.compatible {
            true => "{{.Name}}\t{{.Description}}\t{{.Stars}}\t{{.Official}}\t{{.Automated}}",
            false => "{{.Name}}\t{{.Description}}",
        };
        match self.format.as_deref() {
            Some("json") => json::print(&session.out, &rows),
            format if rows.is_empty() && format.is_none() => Ok(()),
            format => report::listing(&session.out, format, columns, true, &rows),
        }
    }

    fn row(&self, found: &Found) -> HitRow {
        let mark = |yes: bool| if yes { "[OK]".to_owned() } else { String::new() };
        let whole = found.hit.description.replace(['\n', '\r'], " ");
        let cut = |text: String| match text.char_indices().nth(DESCRIPTION) {
            Some((at, _)) => format!("{}...", &text[..at]),
            None => text,
        };
        let json = self.format.as_deref() == Some("json");
        HitRow {
            index: found.index.clone(),
            name: found.name(),
            description: if self.no_trunc || json { whole } else { cut(whole) },
            stars: found.hit.star_count,
            official: mark(found.hit.is_official),
            automated: mark(found.hit.is_automated),
            tag: String::new(),
        }
    }

    fn show_tags(&self, session: &Session, options: &SearchOptions) -> Result<()> {
        let listed = tags(&self.term, options)?;
        if self.format.as_deref() == Some("json") {
            return json::print(&session.out, &json!([listed]));
        }
        let row = |tag: &String| HitRow {
            index: String::new(),
            name: listed.name.clone(),
            description: String::new(),
            stars: 0,
            official: String::new(),
            automated: String::new(),
            tag: tag.clone(),
        };
        let rows: Vec<HitRow> = listed.tags.iter().map(row).collect();
        report::listing(&session.out, self.format.as_deref(), "{{.Name}}\t{{.Tag}}", true, &rows)
    }
}
