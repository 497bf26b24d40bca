//! Trying again: bounded, with growing pauses and jitter, or when the server says.

use std::time::{Duration, SystemTime};

use crate::base::id;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// A server that wants a longer pause than this is taken to mean no.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often and how fast to try again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    /// How many times after the first.
    pub(super) retries: u32,
    /// A fixed pause (`--retry-delay`) instead of a growing one.
    pub(super) delay: Option<Duration>,
}

/// The tries of one action.
pub(super) struct Tries {
    policy: Policy,
    used: u32,
}

impl Policy {
    /// Begins an action.
    pub(super) fn begin(self) -> Tries {
        Tries { policy: self, used: 0 }
    }
}

impl Tries {
    /// Waits before the next try; `false` when there is none. The sleep ends with the process on SIGINT.
    pub(super) fn wait(&mut self, asked: Option<Duration>) -> bool {
        let Some(pause) = self.next(asked) else { return false };
        std::thread::sleep(pause);
        true
    }

    fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        if self.used >= self.policy.retries || asked.is_some_and(|asked| asked > PATIENCE) {
            return None;
        }
        let grown = FIRST.saturating_mul(1 << self.used.min(6)).min(LONGEST);
        self.used += 1;
        let own = self.policy.delay.unwrap_or_else(|| jittered(grown));
        Some(asked.map_or(own, |asked| if self.policy.delay.is_some() { asked } else { asked.max(own / 4) }))
    }

    /// Progress was made: the count begins anew.
    pub(super) fn reset(&mut self) {
        self.used = 0;
    }
}

/// Between three and five quarters, so that many clients do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let [random] = id::bytes::<1>();
    pause.mul_f64(0.75 + f64::from(random) / 512.0)
}

/// `Retry-After`: seconds or an HTTP date.
pub(super) fn retry_after(header: Option<&str>) -> Option<Duration> {
    let text = header?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let when = SystemTime::from(date.timestamp());
    Some(when.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Statuses that another try may change.
pub(super) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let mut tries = Policy { retries: 3, delay: None }.begin();
        let pauses: Vec<_> = std::iter::from_fn(|| tries.next(None)).collect();
        assert_eq!(pauses.len(), 3);
        assert!(pauses[0] < pauses[1] && pauses[1] < pauses[2] && pauses[2] < Duration::from_secs(6));
        let mut fixed = Policy { retries: 1, delay: Some(Duration::from_millis(5)) }.begin();
        assert_eq!(fixed.next(None), Some(Duration::from_millis(5)));
        assert_eq!(fixed.next(None), None);
        fixed.reset();
        assert_eq!(fixed.next(Some(Duration::from_secs(9))), Some(Duration::from_secs(9)));
        fixed.reset();
        assert_eq!(fixed.next(Some(Duration::from_secs(9000))), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(Some("7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(Some("Wed, 21 Oct 2015 07:28:00 GMT")), Some(Duration::ZERO));
        assert_eq!(retry_after(Some("soon")), None);
        assert_eq!(retry_after(None), None);
    }
}
