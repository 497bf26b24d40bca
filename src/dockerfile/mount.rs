//! `RUN --mount=type=…,KEY=VALUE,…`

mod fields;

pub(super) use fields::{check, parse};

/// One `--mount` of a `RUN`. Targets may be relative (to `WORKDIR`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// `type=bind`, also without a type.
    Bind(Bind),
    /// `type=cache`
    Cache(Cache),
    /// `type=tmpfs`
    Tmpfs {
        /// Where.
        target: String,
        /// Bytes.
        size: Option<u64>,
    },
    /// `type=secret`
    Secret(Secret),
    /// `type=ssh`
    Ssh(Ssh),
}

/// A directory or file of the context, a stage, an image or a build context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Where.
    pub target: String,
    /// Out of what, for [`graph::origin`](super::graph::origin); `None` is the build's context.
    pub from: Option<String>,
    /// The path in it; `/` by default.
    pub source: String,
    /// Writes are allowed, and thrown away.
    pub writable: bool,
    /// `z` or `Z`: relabel the source for SELinux, shared or private.
    pub relabel: Option<char>,
}

/// A directory that is kept between builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Where.
    pub target: String,
    /// Its name; the target by default.
    pub id: String,
    /// What a new one is filled from, for [`graph::origin`](super::graph::origin).
    pub from: Option<String>,
    /// The path in `from`, or below the cache.
    pub source: Option<String>,
    /// Who may use it at the same time.
    pub sharing: Sharing,
    /// No writes.
    pub readonly: bool,
    /// Mode of a new one; 0755 by default.
    pub mode: Option<u32>,
    /// Owner of a new one.
    pub uid: u32,
    /// Group of a new one.
    pub gid: u32,
}

/// `sharing=`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// All at once.
    #[default]
    Shared,
    /// Everybody else gets another one.
    Private,
    /// One after the other.
    Locked,
}

/// A secret of the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Which.
    pub id: String,
    /// The file; `None` when it is given in the environment only.
    pub target: Option<String>,
    /// The variable.
    pub env: Option<String>,
    /// Its absence is an error.
    pub required: bool,
    /// 0400 by default.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// The caller's ssh agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// Which; `default` by default.
    pub id: String,
    /// The socket; `None` lets the engine choose (`/run/buildkit/ssh_agent.N`).
    pub target: Option<String>,
    /// Its absence is an error.
    pub required: bool,
    /// 0600 by default.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Mount {
    /// The `from` of a bind or cache mount.
    pub fn from(&self) -> Option<&str> {
        match self {
            Mount::Bind(bind) => bind.from.as_deref(),
            Mount::Cache(cache) => cache.from.as_deref(),
            Mount::Tmpfs { .. } | Mount::Secret(_) | Mount::Ssh(_) => None,
        }
    }
}
