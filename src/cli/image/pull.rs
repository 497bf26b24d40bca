//! `pull`.

use clap::Args;

use crate::base::error::{Collected, Result};
use crate::cli::pull_source::{Reach, Source, Which};
use crate::cli::session::Session;
use crate::ops::image::{lists, pull};
use crate::ui::progress;

/// Pull images from a registry
#[derive(Debug, Args)]
pub struct PullArgs {
    /// All tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// The images for all platforms, and the list of them
    #[arg(long, conflicts_with_all = ["all_tags", "platform", "os", "arch", "variant"])]
    all_platforms: bool,
    /// When to pull: always, missing, newer or never
    #[arg(long, value_name = "POLICY", default_value = "always", hide_default_value = true,
          value_parser = ["always", "missing", "newer", "never"])]
    policy: String,
    /// Only print the id
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    reach: Reach,
    /// Images to pull
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

impl PullArgs {
    /// Pulls them and prints the id of each.
    pub fn run(self, session: &Session) -> Result<()> {
        let source = Source {
            policy: Some(self.policy),
            all_tags: self.all_tags,
            which: self.which,
            reach: self.reach,
        };
        let options = source.options(session)?;
        let progress = progress::choose(self.quiet);
        let ops = session.ops()?;
        ops.enter_stage()?;
        let mut failed = Collected::default();
        for image in &self.images {
            if self.all_platforms {
                if let Some(id) = failed.note(lists::pull_all(ops, image, &options, &*progress)) {
                    session.out.now(id.hex())?;
                }
                continue;
            }
            let Some(pulled) = failed.note(pull(ops, image, &options, &*progress)) else { continue };
            for one in pulled {
                one.warnings.iter().for_each(|warning| session.warn(warning));
                session.out.now(one.id.hex())?;
            }
        }
        failed.finish()
    }
}
