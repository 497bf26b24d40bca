//! `save`.

use std::path::PathBuf;

use clap::Args;

use crate::base::error::{Kind, Result, fail};
use crate::cli::session::Session;
use crate::cli::{names, refuse};
use crate::image::archive::Format;
use crate::ops::image::{SaveOptions, save};
use crate::ui::{printer, progress};

/// Save images to an archive
#[derive(Debug, Args)]
pub struct SaveArgs {
    /// docker-archive, oci-archive, oci-dir or docker-dir
    #[arg(long, value_name = "FORMAT", default_value = "docker-archive")]
    format: Format,
    /// File or directory to write; stdout otherwise
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Every name is an image of its own
    #[arg(short, long)]
    multi_image_archive: bool,
    /// Compress the layers of a docker-dir
    #[arg(long)]
    compress: bool,
    /// Leave the layers of the OCI formats uncompressed
    #[arg(long)]
    uncompressed: bool,
    /// Say nothing on the way
    #[arg(short, long)]
    quiet: bool,
    #[arg(long, hide = true)]
    platform: Option<String>,
    /// Images, by name or id; further names are tags of the first where the store does not know them
    #[arg(required = true, value_name = "IMAGE", add = names::images())]
    images: Vec<String>,
}

impl SaveArgs {
    /// Saves them.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.platform.is_some() {
            return Err(refuse::flag_error("--platform", "dhow save"));
        }
        if self.output.is_none() && printer::stdout_is_terminal() {
            return Err(fail(
                Kind::Usage,
                "will not write an archive to a terminal: use `--output` or a pipe",
            ));
        }
        // An archive on stdout comes alone: bars on the terminal are fine, lines would be noise in a pipeline's log.
        let quiet = self.quiet || !printer::stderr_is_terminal();
        let options = SaveOptions {
            format: self.format,
            output: self.output,
            multi: self.multi_image_archive,
            compress: self.compress,
            uncompressed: self.uncompressed,
        };
        let ops = session.ops()?;
        ops.enter_stage()?;
        save(ops, &self.images, &options, &*progress::choose(quiet)).map(drop)
    }
}
