//! `import`.

use std::io::Read;

use clap::Args;

use crate::base::error::{Kind, Result, fail};
use crate::base::fs;
use crate::cli::session::Session;
use crate::ops::image::{About, import, own_name};
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
    /// Archive, compressed or not; `-` is standard input
    #[arg(value_name = "PATH")]
    path: String,
    /// Name for the image
    #[arg(value_name = "IMAGE")]
    image: Option<String>,
}

impl ImportArgs {
    /// Makes it and prints its id.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.path.starts_with("http://") || self.path.starts_with("https://") {
            return Err(fail(
                Kind::Usage,
                format!("import `{}`: downloads are not supported yet", self.path),
            ));
        }
        let archive: Box<dyn Read + Send> = match self.path.as_str() {
            "-" => Box::new(std::io::stdin()),
            path => Box::new(fs::open(std::path::Path::new(path))?),
        };
        let platform = Platform::host_with(self.os.as_deref(), self.arch.as_deref(), self.variant.as_deref());
        let names = self.image.as_deref().map(own_name).transpose()?.into_iter().collect();
        let message = if self.message.is_empty() { "imported from tarball".to_owned() } else { self.message };
        let about = About { message, changes: self.change, names, ..About::default() };
        let id = import(session.ops()?, archive, &platform, &about)?;
        session.out.line(id.as_str())
    }
}
