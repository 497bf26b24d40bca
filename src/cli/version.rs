//! `dhow version`.

use clap::Args;
use serde::Serialize;

use super::session::Session;
use crate::base::error::Result;
use crate::ops::info::go_arch;
use crate::ui::report;

/// Arguments of `version`.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// `json`, or a Go template such as `{{.Client.Version}}`
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Versions {
    client: Engine,
    // There is no server; scripts that ask Docker's for its version get the one that does the work.
    server: Engine,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Engine {
    name: &'static str,
    version: &'static str,
    #[serde(rename = "APIVersion")]
    api_version: &'static str,
    os_arch: String,
    os: &'static str,
    arch: &'static str,
}

impl VersionArgs {
    /// Prints the version.
    pub fn run(self, session: &Session) -> Result<()> {
        let engine = Engine {
            name: "dhow",
            version: env!("CARGO_PKG_VERSION"),
            api_version: env!("CARGO_PKG_VERSION"),
            os_arch: format!("linux/{}", go_arch()),
            os: "linux",
            arch: go_arch(),
        };
        let versions = Versions { client: engine.clone(), server: engine };
        match self.format.as_deref() {
            Some(format) => report::one(&session.out, format, &versions),
            None => session.out.text(&format!(
                "Engine:   {}\nVersion:  {}\nOS/Arch:  {}\n",
                versions.client.name, versions.client.version, versions.client.os_arch
            )),
        }
    }
}
