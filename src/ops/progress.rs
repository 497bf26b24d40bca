//! How long work tells how far it is: `ops` calls, `ui` shows (bars on a terminal, lines elsewhere).

/// Somebody who is told about progress; called from several threads at once.
pub trait Progress: Sync {
    /// A line of talk: `Trying to pull docker.io/library/alpine:latest...`.
    fn message(&self, text: &str);

    /// A piece of work begins: `what` is short (`blob 3f8a0c1b2d4e`), `total` its bytes where they are known.
    fn start(&self, what: &str, total: Option<u64>) -> Box<dyn Task>;
}

/// One piece of work under way; dropping it without [`Task::done`] means that it failed.
pub trait Task: Send + Sync {
    /// So many more bytes are done.
    fn advance(&self, bytes: u64);

    /// It is finished: `done`, `skipped: already exists`.
    fn done(&self, outcome: &str);
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn message(&self, _: &str) {}
    fn start(&self, _: &str, _: Option<u64>) -> Box<dyn Task> {
        Box::new(Silent)
    }
}

impl Task for Silent {
    fn advance(&self, _: u64) {}
    fn done(&self, _: &str) {}
}
