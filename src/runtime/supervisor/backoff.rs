//! How long to wait before a container is started again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
/// A life this long counts as a success: the next wait is short again.
const HEALTHY: Duration = Duration::from_secs(10);

/// Doubles from 100 ms to a minute while a container keeps dying young.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The wait after a life of this length.
    pub(super) fn after(&mut self, life: Duration) -> Duration {
        let wait = match self.last {
            Some(last) if life < HEALTHY => (last * 2).min(LONGEST),
            _ => FIRST,
        };
        self.last = Some(wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_a_minute_and_forgets_after_a_healthy_life() {
        let mut backoff = Backoff::default();
        let short = Duration::from_secs(1);
        let waits: Vec<u64> =
            (0..12).map(|_| u64::try_from(backoff.after(short).as_millis()).unwrap()).collect();
        assert_eq!(waits[..4], [100, 200, 400, 800]);
        assert_eq!(waits[9..], [51_200, 60_000, 60_000]);
        assert_eq!(backoff.after(Duration::from_secs(10)), FIRST);
    }
}
