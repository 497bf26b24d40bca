//! `image trust`: the policy of where images may come from.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::base::error::Result;
use crate::cli::session::Session;
use crate::ops::image::trust;
use crate::registry::policy::{Policy, Requirement};
use crate::ui::report::Row;
use crate::ui::{json, report};

/// Show or change where images may come from
#[derive(Debug, Subcommand)]
pub enum ImageTrustCommand {
    /// Say of a registry, or of a name in one, that its images are accepted or rejected
    Set(ImageTrustSetArgs),
    /// Show the policy
    Show(ImageTrustShowArgs),
}

impl ImageTrustCommand {
    /// Does it.
    pub fn run(self, session: &Session) -> Result<()> {
        match self {
            ImageTrustCommand::Set(args) => args.run(),
            ImageTrustCommand::Show(args) => args.run(session),
        }
    }
}

/// Say of a registry, or of a name in one, that its images are accepted or rejected
#[derive(Debug, Args)]
pub struct ImageTrustSetArgs {
    /// accept or reject; signedBy, which podman-image-trust(1) has for the default, is not supported yet
    #[arg(
        short = 't',
        long = "type",
        value_name = "TYPE",
        default_value = "signedBy",
        hide_default_value = true
    )]
    kind: String,
    /// The file to change, in place of the user's or the system's
    #[arg(long, value_name = "PATH", visible_alias = "policypath")]
    signature_policy: Option<PathBuf>,
    /// Registry, name in a registry, or `default`
    #[arg(value_name = "REGISTRY")]
    scope: String,
}

impl ImageTrustSetArgs {
    fn run(self) -> Result<()> {
        trust::set(self.signature_policy.as_deref(), &self.scope, &self.kind)
    }
}

/// Show the policy
#[derive(Debug, Args)]
pub struct ImageTrustShowArgs {
    /// As JSON
    #[arg(short, long)]
    json: bool,
    /// No line of headings
    #[arg(short, long)]
    noheading: bool,
    /// The file as it is
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// The file to show, in place of the user's or the system's
    #[arg(long, value_name = "PATH", visible_alias = "policypath")]
    signature_policy: Option<PathBuf>,
    /// Only what is said of this
    #[arg(value_name = "REGISTRY")]
    scope: Option<String>,
}

#[derive(Debug, Serialize)]
struct TrustRow {
    transport: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    repo_name: String,
    r#type: String,
}

impl Row for TrustRow {
    const HEADINGS: &'static [(&'static str, &'static str)] =
        &[("transport", "TRANSPORT"), ("name", "NAME"), ("repo_name", "NAME"), ("type", "TYPE")];
}

impl ImageTrustShowArgs {
    fn run(self, session: &Session) -> Result<()> {
        let (_, policy) = trust::load(self.signature_policy.as_deref())?;
        if self.raw {
            return json::print(&session.out, &policy);
        }
        let rows: Vec<TrustRow> = rows(&policy)
            .into_iter()
            .filter(|row| self.scope.as_ref().is_none_or(|scope| *scope == row.repo_name))
            .collect();
        if self.json {
            return json::print(&session.out, &rows);
        }
        let columns = "{{.transport}}\t{{.repo_name}}\t{{.type}}";
        report::listing(&session.out, None, columns, !self.noheading, &rows)
    }
}

fn rows(policy: &Policy) -> Vec<TrustRow> {
    let row = |transport: &str, (name, repo_name): (&str, &str), requirements: &[Requirement]| TrustRow {
        transport: transport.to_owned(),
        name: name.to_owned(),
        repo_name: repo_name.to_owned(),
        r#type: requirements.iter().map(|one| name_of(&one.kind)).collect::<Vec<_>>().join(","),
    };
    let mut rows = vec![row("all", ("* (default)", "default"), &policy.default)];
    for (transport, scopes) in &policy.transports {
        let shown = if transport == "docker" { "repository" } else { transport };
        rows.extend(scopes.iter().map(|(scope, all)| row(shown, (scope, scope), all)));
    }
    rows
}

/// Podman's words for the kinds.
fn name_of(kind: &str) -> &str {
    match kind {
        "insecureAcceptAnything" => "accept",
        "signedBy" => "signed",
        other => other,
    }
}
