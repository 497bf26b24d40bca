//! `images`, `image ls`.

use clap::Args;

use super::ls_row::{ImageRow, rows};
use crate::base::error::{Result, render};
use crate::cli::session::Session;
use crate::cli::{names, refuse};
use crate::ops::image::{Detail, Filter, ListOptions, Listed, Sort, list};
use crate::ui::{json, report};

/// List images
#[derive(Debug, Args)]
pub struct ImageLsArgs {
    /// The intermediate images of builds too
    #[arg(short, long)]
    all: bool,
    /// Their digests
    #[arg(long)]
    digests: bool,
    /// Only those that fit: dangling=, before=, since=, until=, label=, reference=, id=, containers=, …
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// `json`, or a Go template such as `{{.Repository}}:{{.Tag}}`
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// The names that each had
    #[arg(long)]
    history: bool,
    /// Whole ids
    #[arg(long)]
    no_trunc: bool,
    /// No line of headings
    #[arg(short, long)]
    noheading: bool,
    /// Only the ids
    #[arg(short, long)]
    quiet: bool,
    /// Order: created, id, repository, size or tag
    #[arg(long, value_name = "KEY", default_value = "created", hide_default_value = true)]
    sort: Sort,
    #[arg(long, hide = true)]
    tree: bool,
    /// Only images of this name
    #[arg(value_name = "IMAGE", add = names::images())]
    names: Vec<String>,
}

impl ImageLsArgs {
    /// Lists them.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.tree {
            return Err(refuse::flag_error("--tree", "dhow images"));
        }
        let filters = self.filter.iter().map(|text| Filter::parse(text)).collect::<Result<_>>()?;
        let options = ListOptions {
            all: self.all,
            filters,
            names: self.names.clone(),
            sort: self.sort,
            detail: self.detail(),
        };
        let (listed, damaged) = list(session.ops()?, &options)?;
        for image in &damaged {
            session.warn(&format!("image `{}` is damaged: {}", image.id.hex(), render(&image.error)));
        }
        self.show(session, &listed)
    }

    /// What the format speaks of: the rest need not be looked up.
    fn detail(&self) -> Detail {
        let format = self.format.as_deref().unwrap_or_default();
        if format == "json" || format.contains("json .}}") {
            return Detail::ALL;
        }
        let sizes = ["SharedSize", "UniqueSize"];
        Detail {
            containers: format.contains("Containers"),
            shares: sizes.iter().any(|field| format.contains(field)),
            parents: format.contains("ParentId"),
        }
    }

    fn show(&self, session: &Session, listed: &[Listed]) -> Result<()> {
        match self.format.as_deref() {
            Some("json") => {
                json::print(&session.out, &listed.iter().map(Listed::summary).collect::<Vec<_>>())
            }
            None if self.quiet => self.show_ids(session, listed),
            format => {
                let labels = format.is_some_and(|format| format.contains("Label") || format.contains("json"));
                let mut rows: Vec<ImageRow<'_>> = rows(listed, self.no_trunc, labels);
                match self.sort {
                    // An image has a row a name, and the names are what these two sort.
                    Sort::Repository => rows.sort_by(|a, b| a.name_key().cmp(&b.name_key())),
                    Sort::Tag => rows.sort_by(|a, b| a.tag_key().cmp(&b.tag_key())),
                    Sort::Created | Sort::Id | Sort::Size => {}
                }
                report::listing(&session.out, format, &self.columns(), !self.noheading, &rows)
            }
        }
    }

    fn show_ids(&self, session: &Session, listed: &[Listed]) -> Result<()> {
        listed.iter().try_for_each(|one| {
            let id = &one.image.id;
            session.out.line(if self.no_trunc { id.as_str() } else { crate::base::id::short(id.hex()) })
        })
    }

    fn columns(&self) -> String {
        let digest = if self.digests { "\t{{.Digest}}" } else { "" };
        let history = if self.history { "\t{{.History}}" } else { "" };
        format!(
            "{{{{.Repository}}}}\t{{{{.Tag}}}}{digest}\t{{{{.ID}}}}\t{{{{.CreatedSince}}}}\t{{{{.Size}}}}{history}"
        )
    }
}
