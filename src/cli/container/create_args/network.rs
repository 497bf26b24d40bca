//! Network, names, and the other namespaces.

use clap::Args;

use crate::ops::create::CreateOptions;

#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(super) struct NetworkArgs {
    /// none, host, private, container:NAME, ns:PATH, pasta or slirp4netns
    #[arg(long, alias = "net", value_name = "MODE")]
    network: Vec<String>,
    /// Name on the network
    #[arg(long, alias = "net-alias", value_name = "NAME")]
    network_alias: Vec<String>,
    /// IPv4 address on the network
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// IPv6 address on the network
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<String>,
    /// Hardware address on the network
    #[arg(long, value_name = "ADDRESS")]
    mac_address: Option<String>,
    /// Port to publish: [[IP:]HOSTPORT:]PORT[/tcp|udp]
    #[arg(short, long, value_name = "PORT", value_delimiter = ',')]
    publish: Vec<String>,
    /// Publish every exposed port on a free port
    #[arg(short = 'P', long)]
    publish_all: bool,
    /// Port that the container listens on
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    expose: Vec<String>,
    /// Host name in the container
    #[arg(short = 'h', long, value_name = "NAME")]
    hostname: Option<String>,
    /// NIS domain name in the container
    #[arg(long, value_name = "NAME")]
    domainname: Option<String>,
    /// Line of /etc/hosts: NAME[;NAME]:IP, or NAME:host-gateway
    #[arg(long, value_name = "HOST:IP", value_delimiter = ',')]
    add_host: Vec<String>,
    /// Name server; `none` leaves resolv.conf alone
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    dns: Vec<String>,
    /// Option of resolv.conf
    #[arg(long, alias = "dns-opt", value_name = "OPTION", value_delimiter = ',')]
    dns_option: Vec<String>,
    /// Domain to search
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',')]
    dns_search: Vec<String>,
    /// Leave /etc/hosts alone
    #[arg(long)]
    no_hosts: bool,
    /// Leave /etc/hostname alone
    #[arg(long)]
    no_hostname: bool,
    /// File that /etc/hosts starts from: a path, `image` or `none`
    #[arg(long, value_name = "PATH")]
    hosts_file: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Namespaces")]
pub(super) struct NamespaceArgs {
    /// Process ids: private, host, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE")]
    pid: Option<String>,
    /// Shared memory: shareable, private, none, host, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE")]
    ipc: Option<String>,
    /// Host name: private, host, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE")]
    uts: Option<String>,
    /// Control groups: private, host, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE")]
    cgroupns: Option<String>,
    /// Users: host, keep-id[:uid=,gid=], auto[:size=], nomap, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE")]
    userns: Option<String>,
    /// Map of user ids: INSIDE:OUTSIDE:COUNT
    #[arg(long, value_name = "MAP", value_delimiter = ',')]
    uidmap: Vec<String>,
    /// Map of group ids
    #[arg(long, value_name = "MAP", value_delimiter = ',')]
    gidmap: Vec<String>,
    /// User ids from this name's line in /etc/subuid
    #[arg(long, value_name = "NAME")]
    subuidname: Option<String>,
    /// Group ids from this name's line in /etc/subgid
    #[arg(long, value_name = "NAME")]
    subgidname: Option<String>,
}

impl NetworkArgs {
    pub(super) fn fill(self, options: &mut CreateOptions) {
        options.network = self.network;
        options.network_alias = self.network_alias;
        options.ip = self.ip;
        options.ip6 = self.ip6;
        options.mac_address = self.mac_address;
        options.publish = self.publish;
        options.publish_all = self.publish_all;
        options.expose = self.expose;
        options.hostname = self.hostname;
        options.domainname = self.domainname;
        options.add_host = self.add_host;
        options.dns = self.dns;
        options.dns_option = self.dns_option;
        options.dns_search = self.dns_search;
        options.no_hosts = self.no_hosts;
        options.no_hostname = self.no_hostname;
        options.hosts_file = self.hosts_file;
    }
}

impl NamespaceArgs {
    pub(super) fn fill(self, options: &mut CreateOptions) {
        options.pid = self.pid;
        options.ipc = self.ipc;
        options.uts = self.uts;
        options.cgroupns = self.cgroupns;
        options.userns = self.userns;
        options.uidmap = self.uidmap;
        options.gidmap = self.gidmap;
        options.subuidname = self.subuidname;
        options.subgidname = self.subgidname;
    }
}
