//! Progress of long work: bars on a terminal, a line a piece elsewhere, nothing with `-q`.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::printer;
use crate::base::text::printable;
use crate::ops::progress::{Progress, Silent, Task};

/// Bars redrawn so often in a second at most.
const REDRAWS: u8 = 10;

/// Chooses how progress is shown on stderr.
pub fn choose(quiet: bool) -> Box<dyn Progress> {
    match (quiet, printer::stderr_is_terminal()) {
        (true, _) => Box::new(Silent),
        (false, true) => Box::new(Bars::new()),
        (false, false) => Box::new(Lines),
    }
}

/// Progress in lines, on a terminal too.
pub fn plain() -> Box<dyn Progress> {
    Box::new(Lines)
}

/// A bar for each piece of work.
struct Bars(MultiProgress);

impl Bars {
    fn new() -> Bars {
        Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS)))
    }
}

impl Progress for Bars {
    fn message(&self, text: &str) {
        let text = printable(text).into_owned();
        self.0.suspend(|| printer::talk(&text));
    }

    fn start(&self, what: &str, total: Option<u64>) -> Box<dyn Task> {
        let bar = match total {
            Some(total) => ProgressBar::new(total)
                .with_style(style("{msg} [{bar:30}] {decimal_bytes} / {decimal_total_bytes}")),
            None => ProgressBar::no_length().with_style(style("{msg} {decimal_bytes}")),
        };
        let bar = self.0.add(bar.with_message(printable(what).into_owned()));
        bar.tick(); // shown before its first byte comes
        Box::new(Bar(bar))
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

struct Bar(ProgressBar);

impl Task for Bar {
    fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn done(&self, outcome: &str) {
        self.0.set_style(style("{msg}"));
        self.0.finish_with_message(format!("{} {}", self.0.message(), printable(outcome)));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if !self.0.is_finished() {
            self.0.abandon(); // the bar stays where the work stopped; the error says why
        }
    }
}

/// A line when a piece is done.
struct Lines;

struct Line(String);

impl Progress for Lines {
    fn message(&self, text: &str) {
        printer::talk(&printable(text));
    }

    fn start(&self, what: &str, _: Option<u64>) -> Box<dyn Task> {
        Box::new(Line(printable(what).into_owned()))
    }
}

impl Task for Line {
    fn advance(&self, _: u64) {}

    fn done(&self, outcome: &str) {
        printer::talk(&format!("{} {}", self.0, printable(outcome)));
    }
}
