//! `info`.

use std::fmt::Write as _;

use clap::Args;
use serde_json::Value;

use super::session::Session;
use crate::base::error::{Context, Result};
use crate::ops::info::info;
use crate::ui::report;

/// Show what dhow found on this machine
#[derive(Debug, Args)]
pub struct InfoArgs {
    /// `json`, or a Go template such as `{{.Store.GraphRoot}}` or `{{.Driver}}`
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Debugging facts too; they are always there
    #[arg(short = 'D', long, hide = true)]
    debug: bool,
}

/// The sections that are printed; the rest says the same in Docker's words.
const SECTIONS: [&str; 4] = ["host", "store", "registries", "version"];

impl InfoArgs {
    /// Shows it.
    pub fn run(self, session: &Session) -> Result<()> {
        let ops = session.ops()?;
        ops.enter_stage()?;
        let manager = session.global.cgroup_manager.as_deref();
        let facts = serde_json::to_value(info(ops, manager)?).context("encode the facts")?;
        match self.format.as_deref() {
            None => session.out.text(&yaml(&facts)),
            Some("json") => crate::ui::json::print(&session.out, &facts),
            Some(format) => report::one_document(&session.out, format, &with_go_names(facts)),
        }
    }
}

/// Indented names and values, as Podman prints them.
fn yaml(facts: &Value) -> String {
    let mut out = String::new();
    for section in SECTIONS {
        if let Some(value) = facts.get(section) {
            push(&mut out, 0, section, value);
        }
    }
    out
}

fn push(out: &mut String, depth: usize, name: &str, value: &Value) {
    let indent = "  ".repeat(depth);
    let _ = match value {
        Value::Object(members) if !members.is_empty() => {
            let _ = writeln!(out, "{indent}{name}:");
            members.iter().for_each(|(name, value)| push(out, depth + 1, name, value));
            Ok(())
        }
        Value::Array(items) if !items.is_empty() => {
            let _ = writeln!(out, "{indent}{name}:");
            items.iter().for_each(|item| push_item(out, depth, item));
            Ok(())
        }
        Value::Object(_) => writeln!(out, "{indent}{name}: {{}}"),
        Value::Array(_) => writeln!(out, "{indent}{name}: []"),
        Value::String(text) => writeln!(out, "{indent}{name}: {}", crate::base::text::printable(text)),
        other => writeln!(out, "{indent}{name}: {other}"),
    }; // writing to a String cannot fail
}

fn push_item(out: &mut String, depth: usize, item: &Value) {
    let indent = "  ".repeat(depth);
    match item {
        Value::Object(members) => {
            for (at, (name, value)) in members.iter().enumerate() {
                let mark = if at == 0 { "- " } else { "  " };
                let _ = writeln!(out, "{indent}{mark}{name}: {value}"); // cannot fail
            }
        }
        Value::String(text) => drop(writeln!(out, "{indent}- {text}")),
        other => drop(writeln!(out, "{indent}- {other}")),
    }
}

/// In templates the names are Go's: `.Host.CgroupVersion` for `host.cgroupVersion`.
fn with_go_names(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members.into_iter().map(|(name, value)| (go_name(&name), with_go_names(value))).collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(with_go_names).collect()),
        other => other,
    }
}

/// `ociRuntime` is `OCIRuntime`, `idMappings` `IDMappings`, `cpus` `CPUs` in Podman's structs.
fn go_name(name: &str) -> String {
    match name {
        "ociRuntime" => "OCIRuntime".into(),
        "idMappings" => "IDMappings".into(),
        "cpus" => "CPUs".into(),
        "os" => "OS".into(),
        "uidmap" => "UIDMap".into(),
        "gidmap" => "GIDMap".into(),
        "apparmorEnabled" => "AppArmorEnabled".into(),
        "selinuxEnabled" => "SELinuxEnabled".into(),
        "seccompEnabled" => "SECCOMPEnabled".into(),
        _ => {
            let mut letters = name.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_print_as_podman_prints_them() {
        let facts = serde_json::json!({
            "host": {"arch": "amd64", "list": ["a", "b"], "none": []}, "version": {"Version": "1"}, "Driver": "overlay",
        });
        assert_eq!(
            yaml(&facts),
            "host:\n  arch: amd64\n  list:\n  - a\n  - b\n  none: []\nversion:\n  Version: 1\n"
        );
        assert_eq!(with_go_names(facts)["Host"]["Arch"], "amd64");
    }
}
