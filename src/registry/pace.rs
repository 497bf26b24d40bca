//! A body that must move: a server that sends next to nothing is as good as one that sends nothing.

use std::io::{self, Read};
use std::time::{Duration, Instant};

/// Bytes a second below which a transfer counts as broken.
const LEAST: u64 = 1 << 10;

/// A reader whose bytes must keep a pace. Only the time spent waiting for the server counts.
pub(super) struct Paced<R> {
    inner: R,
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl<R: Read> Paced<R> {
    /// In every `window`, enough bytes must come.
    pub(super) fn new(inner: R, window: Duration) -> Paced<R> {
        Paced { inner, window, waited: Duration::ZERO, bytes: 0 }
    }

    /// So many bytes came after such a wait; `false` when they were too few for too long.
    fn holds(&mut self, bytes: usize, waited: Duration) -> bool {
        self.bytes += bytes as u64;
        self.waited += waited;
        if self.waited < self.window {
            return true;
        }
        let fine = self.bytes >= self.waited.as_secs().max(1).saturating_mul(LEAST);
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        fine
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let asked = Instant::now();
        let read = self.inner.read(buffer)?;
        if read > 0 && !self.holds(read, asked.elapsed()) {
            let words = format!("it sends less than {LEAST} bytes a second");
            return Err(io::Error::new(io::ErrorKind::TimedOut, words));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_window_of_next_to_nothing_is_too_slow() {
        let seconds = Duration::from_secs;
        let mut body = Paced::new(io::empty(), seconds(10));
        assert!((0..9).all(|_| body.holds(1, seconds(1))));
        assert!(!body.holds(1, seconds(1)), "10 bytes in 10 seconds");
        assert!((0..100).all(|_| body.holds(1 << 10, seconds(1))), "just fast enough");
        assert!((0..1000).all(|_| body.holds(1, Duration::from_millis(1))));
        assert!(body.holds(1 << 20, seconds(60)), "one pause before much");
    }
}
