//! `volume create`.

use clap::Args;

use crate::base::error::{Explain, Kind, Result, fail};
use crate::cli::session::Session;
use crate::cli::values::key_value;
use crate::ops::volumes::{CreateVolume, create};

/// Make a volume
#[derive(Debug, Args)]
pub struct VolumeCreateArgs {
    /// Driver; the only one is `local`
    #[arg(short, long, default_value = "local", hide_default_value = true)]
    driver: String,
    /// One that exists is fine
    #[arg(long)]
    ignore: bool,
    /// Label: KEY=VALUE
    #[arg(short, long, value_parser = key_value)]
    label: Vec<(String, String)>,
    /// Option of the driver: type=, device= or o=
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = key_value)]
    opt: Vec<(String, String)>,
    /// Name; a made-up one otherwise
    name: Option<String>,
}

impl VolumeCreateArgs {
    /// Makes it and prints its name.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.driver != "local" {
            return Err(fail(Kind::Usage, format!("there is no volume driver `{}`", self.driver))
                .hint("the only driver is `local`"));
        }
        let wanted = CreateVolume {
            name: self.name.unwrap_or_default(),
            labels: self.label.into_iter().collect(),
            options: self.opt.into_iter().collect(),
            ignore: self.ignore,
        };
        let ops = session.ops()?;
        ops.enter_stage()?;
        session.out.line(&create(ops, &wanted)?)
    }
}
