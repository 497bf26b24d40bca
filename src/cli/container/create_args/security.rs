//! Capabilities and confinement.

use clap::Args;

use crate::ops::create::CreateOptions;

#[derive(Debug, Args)]
#[command(next_help_heading = "Security")]
pub(super) struct SecurityArgs {
    /// All capabilities, all devices, nothing masked
    #[arg(long)]
    privileged: bool,
    /// Capability to add, or `all`
    #[arg(long, value_name = "CAP", value_delimiter = ',')]
    cap_add: Vec<String>,
    /// Capability to drop, or `all`
    #[arg(long, value_name = "CAP", value_delimiter = ',')]
    cap_drop: Vec<String>,
    /// seccomp=…, no-new-privileges, label=…, apparmor=…, mask=…, unmask=…, proc-opts=…, systempaths=unconfined
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
    /// Where the seccomp profile comes from: default or image
    #[arg(long, value_name = "POLICY", hide = true)]
    seccomp_policy: Option<String>,
    /// Kernel parameter: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    sysctl: Vec<String>,
}

impl SecurityArgs {
    pub(super) fn fill(self, options: &mut CreateOptions) {
        options.privileged = self.privileged;
        options.cap_add = self.cap_add;
        options.cap_drop = self.cap_drop;
        options.security_opt = self.security_opt;
        options.seccomp_policy = self.seccomp_policy;
        options.sysctl = self.sysctl;
    }
}
