//! The process: its streams, its environment, its user.

use std::path::PathBuf;

use clap::Args;

use crate::cli::values::go_bool;
use crate::ops::create::CreateOptions;

#[derive(Debug, Args)]
#[command(next_help_heading = "Process")]
pub(super) struct ProcessArgs {
    /// Keep stdin open
    #[arg(short, long)]
    interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// Connect only these: stdin, stdout, stderr
    #[arg(short, long, value_name = "STREAM", value_delimiter = ',')]
    attach: Vec<String>,
    /// Program in place of the image's entrypoint (a JSON array for more words; empty for none)
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    entrypoint: Option<String>,
    /// Environment: NAME=VALUE; NAME or PRE* takes the caller's
    #[arg(short, long)]
    env: Vec<String>,
    /// File of environment variables
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    env_file: Vec<PathBuf>,
    /// Pass the caller's whole environment
    #[arg(long)]
    env_host: bool,
    /// Environment made of the image's: NAME=${NAME}-more
    #[arg(long, value_name = "NAME=VALUE")]
    env_merge: Vec<String>,
    /// Take a default variable away
    #[arg(long, value_name = "NAME")]
    unsetenv: Vec<String>,
    /// Take all default variables away
    #[arg(long)]
    unsetenv_all: bool,
    /// Pass the caller's proxy variables (default true)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    http_proxy: Option<bool>,
    /// Working directory in the container
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// User, and group: NAME|UID[:GROUP|GID]
    #[arg(short, long)]
    user: Option<String>,
    /// Further groups; `keep-groups` keeps the caller's
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    group_add: Vec<String>,
    /// Mask of file permissions, octal
    #[arg(long)]
    umask: Option<String>,
    /// Put a small init in front, that passes signals on and reaps
    #[arg(long)]
    init: bool,
    /// Another init program; the built-in one serves otherwise
    #[arg(long, value_name = "PATH", hide = true)]
    init_path: Option<String>,
    /// Set up for systemd inside: true, false or always
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    systemd: Option<String>,
    /// Resource limit: NAME=SOFT[:HARD], or `host`
    #[arg(long, value_name = "LIMIT", value_delimiter = ',')]
    ulimit: Vec<String>,
    /// How readily the kernel kills it for memory: -1000 to 1000
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    oom_score_adj: Option<i32>,
    /// Time zone, or `local` for the host's
    #[arg(long, value_name = "ZONE", alias = "timezone")]
    tz: Option<String>,
    /// Line of /etc/passwd for the user
    #[arg(long, value_name = "ENTRY")]
    passwd_entry: Option<String>,
    /// Line of /etc/group for the group
    #[arg(long, value_name = "ENTRY")]
    group_entry: Option<String>,
    /// Users of the host to know inside
    #[arg(long, value_name = "USER")]
    hostuser: Vec<String>,
    /// Execution domain: LINUX or LINUX32
    #[arg(long, value_name = "DOMAIN")]
    personality: Option<String>,
    /// Keys that detach: a sequence such as ctrl-p,ctrl-q
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
}

impl ProcessArgs {
    pub(super) fn fill(self, options: &mut CreateOptions) {
        options.interactive = self.interactive;
        options.tty = self.tty;
        options.attach = self.attach;
        options.entrypoint = self.entrypoint;
        options.env = self.env;
        options.env_file = self.env_file;
        options.env_host = self.env_host;
        options.env_merge = self.env_merge;
        options.unsetenv = self.unsetenv;
        options.unsetenv_all = self.unsetenv_all;
        options.http_proxy = self.http_proxy;
        options.workdir = self.workdir;
        options.user = self.user;
        options.group_add = self.group_add;
        options.umask = self.umask;
        options.init = self.init;
        options.init_path = self.init_path;
        options.systemd = self.systemd;
        options.ulimit = self.ulimit;
        options.oom_score_adj = self.oom_score_adj;
        options.tz = self.tz;
        options.passwd_entry = self.passwd_entry;
        options.group_entry = self.group_entry;
        options.hostuser = self.hostuser;
        options.personality = self.personality;
        options.detach_keys = self.detach_keys;
    }
}
