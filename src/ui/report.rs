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
    out.text(&(template.render(record)? + template.line_end()))
}

/// Prints one document by a template.
pub fn one_document(out: &Printer, format: &str, document: &serde_json::Value) -> Result<()> {
    let template = Template::parse(format)?;
    out.text(&(template.render_json(document)? + template.line_end()))
}

/// Prints documents as `inspect` does: a JSON list, or each by the template.
pub fn documents(out: &Printer, format: Option<&str>, documents: &[serde_json::Value]) -> Result<()> {
    match format {
        None | Some("json") => json::print(out, documents),
        Some(format) => {
            let template = Template::parse(format)?;
            let end = template.line_end();
            documents.iter().try_for_each(|document| out.text(&(template.render_json(document)? + end)))
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
            Some(columns) => tabular(out, &tabbed(columns.trim()), heading, rows),
            // As with Podman, who ranges over the rows decides everything between them.
            None if ranges_itself(format) => out.text(&Template::parse(format)?.render(rows)?),
            None => {
                let template = Template::parse(format)?;
                rows.iter().try_for_each(|row| out.text(&(template.render(row)? + template.line_end())))
            }
        },
    }
}

fn ranges_itself(format: &str) -> bool {
    let inside = format.strip_prefix("{{").map(|rest| rest.trim_start_matches(['-', ' ']));
    inside.is_some_and(|rest| rest.starts_with("range .}}") || rest.starts_with("range . "))
}

/// Blanks between the columns of a table are tabs; those inside of `{{…}}` stay.
fn tabbed(columns: &str) -> String {
    let mut inside = false;
    let mut before = ' ';
    let swap = |letter: char| {
        inside = match (before, letter) {
            ('{', '{') => true,
            ('}', '}') => false,
            _ => inside,
        };
        before = letter;
        if letter == ' ' && !inside { '\t' } else { letter }
    };
    columns.chars().map(swap).collect()
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
    fn blanks_between_columns_are_tabs() {
        assert_eq!(tabbed("{{.A}} {{pad .B 1 2}}\t{{.C}}"), "{{.A}}\t{{pad .B 1 2}}\t{{.C}}");
        assert!(ranges_itself("{{range .}}{{.ID}}{{end}}") && ranges_itself("{{- range . -}}x{{end}}"));
        assert!(!ranges_itself("{{range .Names}}{{.}}{{end}}"));
    }

    #[test]
    fn a_control_character_cannot_break_a_row() {
        let mut text = String::new();
        push_row(&mut text, "a\tb\nc\x1b[0m");
        assert_eq!(text, "a\tb\\nc\\u{1b}[0m\n");
    }
}
