//! `history`.

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::base::error::{Context, Result};
use crate::base::{id, time, units};
use crate::cli::format::{ago, created_at};
use crate::cli::session::Session;
use crate::cli::values::go_bool;
use crate::cli::{names, refuse};
use crate::ops::image::{HistoryEntry, MISSING, history};
use crate::ui::json;
use crate::ui::report::{self, Row};

/// Show how an image came about, newest step first
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// `json`, or a Go template such as `{{.CreatedBy}}`
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Sizes and times as people read them (default true)
    #[arg(short = 'H', long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true",
          default_missing_value = "true", hide_default_value = true, value_parser = go_bool)]
    human: bool,
    /// Whole ids and instructions
    #[arg(long)]
    no_trunc: bool,
    /// Only the ids
    #[arg(short, long)]
    quiet: bool,
    #[arg(long, hide = true)]
    platform: Option<String>,
    /// Image, by name or id
    #[arg(add = names::images())]
    image: String,
}

/// The fields of a template.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Step {
    #[serde(rename = "ID")]
    id: String,
    created: String,
    created_at: String,
    created_since: String,
    created_by: String,
    size: String,
    comment: String,
    tags: Vec<String>,
}

impl Row for Step {
    const HEADINGS: &'static [(&'static str, &'static str)] = &[
        ("ID", "IMAGE"),
        ("Created", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedSince", "CREATED"),
        ("CreatedBy", "CREATED BY"),
        ("Size", "SIZE"),
        ("Comment", "COMMENT"),
        ("Tags", "TAGS"),
    ];
}

const COLUMNS: &str = "{{.ID}}\t{{.Created}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

/// Docker and Podman both show so much of an instruction.
const INSTRUCTION: usize = 45;

impl HistoryArgs {
    /// Shows it.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.platform.is_some() {
            return Err(refuse::flag_error("--platform", "dhow history"));
        }
        let entries = history(session.ops()?, &self.image)?;
        match self.format.as_deref() {
            Some("json") => {
                json::print(&session.out, &entries.iter().map(document).collect::<Result<Vec<_>>>()?)
            }
            None if self.quiet => {
                entries.iter().try_for_each(|entry| session.out.line(&step_id(entry, self.no_trunc)))
            }
            format => {
                let steps: Vec<Step> = entries.iter().map(|entry| self.step(entry)).collect();
                report::listing(&session.out, format, COLUMNS, true, &steps)
            }
        }
    }

    fn step(&self, entry: &HistoryEntry) -> Step {
        let since = ago(entry.created);
        Step {
            id: step_id(entry, self.no_trunc),
            created: if self.human { since.clone() } else { time::rfc3339(entry.created) },
            created_at: created_at(entry.created),
            created_since: since,
            created_by: instruction(&entry.created_by, self.no_trunc),
            size: if self.human { units::human_short(entry.size) } else { entry.size.to_string() },
            comment: entry.comment.clone(),
            tags: entry.tags.clone(),
        }
    }
}

/// A step as Podman prints it: the time twice, exact and to the second.
fn document(entry: &HistoryEntry) -> Result<Value> {
    let mut document = serde_json::to_value(entry).context("encode the history")?;
    let second = jiff::Timestamp::from_second(entry.created.as_second()).unwrap_or(entry.created);
    document["Created"] = Value::String(time::rfc3339(second));
    Ok(document)
}

fn step_id(entry: &HistoryEntry, whole: bool) -> String {
    let digits = if whole || entry.id == MISSING { &entry.id } else { id::short(&entry.id) };
    digits.to_owned()
}

/// Tabs become blanks: they would make columns.
fn instruction(text: &str, whole: bool) -> String {
    let text = text.replace('\t', " ");
    if whole || text.chars().count() <= INSTRUCTION {
        return text;
    }
    text.chars().take(INSTRUCTION - 3).chain("...".chars()).collect()
}
