//! `import`.

use std::io::IsTerminal;

use clap::Args;

use crate::base::error::{Kind, Result, fail};
use crate::cli::session::Session;
use crate::ops::image::{About, ImportSource, import, own_name};
use crate::registry::Platform;

/// Make an image of one layer from the archive of a file system
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Apply a Dockerfile instruction to the image
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Message for the history
    #[arg(short, long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    message: String,
    /// Architecture of the image, instead of this machine's
    #[arg(long)]
    arch: Option<String>,
    /// Operating system of the image, instead of linux
    #[arg(long)]
    os: Option<String>,
    /// Variant of the architecture
    #[arg(long)]
    variant: Option<String>,
    /// Only print the id
    #[arg(short, long)]
    quiet: bool,
    /// Archive, compressed or not: a file, an http or https URL, or `-` for standard input
    #[arg(value_name = "PATH")]
    path: String,
    /// Name for the image
    #[arg(value_name = "IMAGE")]
    image: Option<String>,
}

impl ImportArgs {
    /// Makes it and prints its id.
    pub fn run(self, session: &Session) -> Result<()> {
        let source = match self.path.as_str() {
            "-" if std::io::stdin().is_terminal() => {
                return Err(fail(Kind::Usage, "cannot import from a terminal: name a file or use a pipe"));
            }
            "-" => ImportSource::Stdin,
            url if url.starts_with("http://") || url.starts_with("https://") => {
                ImportSource::Url(url.to_owned())
            }
            path => ImportSource::Path(path.into()),
        };
        let platform = Platform::host_with(self.os.as_deref(), self.arch.as_deref(), self.variant.as_deref());
        let names = self.image.as_deref().map(own_name).transpose()?.into_iter().collect();
        let message = if self.message.is_empty() { "imported from tarball".to_owned() } else { self.message };
        let about = About { message, changes: self.change, names, ..About::default() };
        let id = import(session.ops()?, &source, &platform, &about)?;
        session.out.line(id.as_str())
    }
}
