//! `port`: which ports of a container are published where.

use crate::base::error::{Context, Kind, Result, fail};
use crate::container::record::PortMapping;
use crate::container::store::Container;

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// In the container.
    pub port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// `0.0.0.0` when bound to all.
    pub host_ip: String,
    /// On the host.
    pub host_port: u16,
}

/// The published ports, of which `wanted` (`80` or `80/udp`) chooses some.
pub fn ports(container: &Container, wanted: Option<&str>) -> Result<Vec<Published>> {
    let state = &container.state.ports;
    let all: Vec<Published> = if state.is_empty() { &container.config.network.ports } else { state }
        .iter()
        .flat_map(spread)
        .collect();
    let Some(wanted) = wanted else { return Ok(all) };
    let (port, protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
    let port: u16 =
        port.parse().ok().with_context(|| format!("`{wanted}` is not a port such as `80` or `53/udp`"))?;
    let found: Vec<Published> =
        all.into_iter().filter(|p| p.port == port && p.protocol == protocol).collect();
    if found.is_empty() {
        let name = &container.config.name;
        return Err(fail(
            Kind::Failed,
            format!("container `{name}` does not publish port `{port}/{protocol}`"),
        ));
    }
    Ok(found)
}

/// A range, one port at a time.
fn spread(mapping: &PortMapping) -> Vec<Published> {
    let host_ip = if mapping.host_ip.is_empty() { "0.0.0.0" } else { &mapping.host_ip };
    let one = |offset: u16| Published {
        port: mapping.container_port + offset,
        protocol: mapping.protocol.clone(),
        host_ip: host_ip.to_owned(),
        host_port: mapping.host_port + offset,
    };
    (0..mapping.range.max(1)).map(one).collect()
}
