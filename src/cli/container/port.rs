//! `port`.

use clap::Args;

use super::select::{newest, one_name};
use crate::base::error::Result;
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::container::port::{Published, ports};

/// Show the published ports of a container
#[derive(Debug, Args)]
pub struct PortArgs {
    /// Of all containers
    #[arg(short, long)]
    all: bool,
    /// Of the container made last
    #[arg(short, long)]
    latest: bool,
    /// Name or id
    #[arg(add = names::containers())]
    container: Option<String>,
    /// Only this port of the container: PORT[/PROTOCOL]
    #[arg(value_name = "PORT")]
    port: Option<String>,
}

impl PortArgs {
    /// Shows them.
    pub fn run(self, session: &Session) -> Result<()> {
        let ops = session.ops()?;
        if self.all {
            return show_all(session, self.container.as_deref());
        }
        // With --latest the only word is the port.
        let (name, port) = match self.latest {
            true => (newest(ops)?, self.container.as_deref()),
            false => (one_name(ops, self.container.clone(), false)?, self.port.as_deref()),
        };
        let container = ops.containers()?.resolve(&name)?;
        for published in ports(&container, port)? {
            let line = host(&published);
            session.out.line(&if port.is_some() {
                line
            } else {
                format!("{} -> {line}", inner(&published))
            })?;
        }
        Ok(())
    }
}

fn show_all(session: &Session, port: Option<&str>) -> Result<()> {
    for container in session.ops()?.containers()?.list()?.iter().filter(|container| container.is_alive()) {
        for published in ports(container, port).unwrap_or_default() {
            let id = crate::base::id::short(&container.config.id);
            session.out.line(&format!("{id}\t{} -> {}", inner(&published), host(&published)))?;
        }
    }
    Ok(())
}

fn inner(published: &Published) -> String {
    format!("{}/{}", published.port, published.protocol)
}

fn host(published: &Published) -> String {
    match published.host_ip.contains(':') {
        true => format!("[{}]:{}", published.host_ip, published.host_port),
        false => format!("{}:{}", published.host_ip, published.host_port),
    }
}
