//! One record, many forms: table, `--format json`, `--format table …`, Go templates.

use serde::Serialize;

use super::template::{self, Template};
use super::{Printer, json, table};
use crate::base::error::Result;
use crate::base::text::printable;

/// A line of a listing: every field of its template form, with its column heading.
pub trait Row: Serialize {
    /// Field name in templates and heading of its column.
    const HEADINGS: &'static [(&'static str, &'static str)];
}

/// Prints one record by a format: `json` or a template.
pub fn one<T: Serialize>(out: &Printer, format: &str, record: &T) -> Result<()> {
    if format == "json" {
        return json::print(out, record);
    }
    let template = Template::parse(format)?;
    out.line(&template.render(record)?)
}

/// Prints one document by a template.
pub fn one_document(out: &Printer, format: &str, document: &serde_json::Value) -> Result<()> {
    out.line(&Template::parse(format)?.render_json(document)?)
}

/// Prints documents as `inspect` does: a JSON list, or each by the template.
pub fn documents(out: &Printer, format: Option<&str>, documents: &[serde_json::Value]) -> Result<()> {
    match format {
        None | Some("json") => json::print(out, documents),
        Some(format) => {
            let template = Template::parse(format)?;
            documents.iter().try_for_each(|document| out.line(&template.render_json(document)?))
        }
    }
}

/// Prints a listing: by the user's format when there is one, else by the default columns.
///
/// `columns` is a template of the `table` kind without that word.
pub fn listing<R: Row>(
    out: &Printer,
    format: Option<&str>,
    columns: &str,
    heading: bool,
    rows: &[R],
) -> Result<()> {
    match format.map(str::trim_start) {
        None | Some("" | "table") => tabular(out, columns, heading, rows),
        Some(format) => match format.strip_prefix("table ") {
            Some(columns) => tabular(out, columns.trim_start(), heading, rows),
            None => {
                let template = Template::parse(format)?;
                rows.iter().try_for_each(|row| out.line(&template.render(row)?))
            }
        },
    }
}

fn tabular<R: Row>(out: &Printer, columns: &str, heading: bool, rows: &[R]) -> Result<()> {
    let template = Template::parse(columns)?;
    let mut text = String::new();
    if heading {
        text.push_str(&template::heading(columns, R::HEADINGS)?);
        text.push('\n');
    }
    for row in rows {
        push_row(&mut text, &template.render(row)?);
    }
    out.text(&table::align(&text))
}

/// A row is one line; what an image or a label holds must not make it two.
fn push_row(text: &mut String, row: &str) {
    let cells: Vec<_> = row.split('\t').map(printable).collect();
    text.push_str(&cells.join("\t"));
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Thing {
        #[serde(rename = "ID")]
        id: String,
        #[serde(rename = "Names")]
        names: String,
    }

    impl Row for Thing {
        const HEADINGS: &'static [(&'static str, &'static str)] = &[("ID", "THING ID"), ("Names", "NAMES")];
    }

    #[test]
    fn headings_follow_the_fields_of_the_template() {
        let text = template::heading("{{.Names}}\\t{{json .ID}}", Thing::HEADINGS).unwrap();
        assert_eq!(text, "NAMES\tTHING ID");
    }

    #[test]
    fn a_control_character_cannot_break_a_row() {
        let mut text = String::new();
        push_row(&mut text, "a\tb\nc\x1b[0m");
        assert_eq!(text, "a\tb\\nc\\u{1b}[0m\n");
    }
}
