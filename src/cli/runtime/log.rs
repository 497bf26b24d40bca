//! `--log` and `--log-format`: where and how the runtime face tells what went wrong, as other runtimes do.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::base::error::{Context, Error, Result, hints_of, render};
use crate::ui::printer;

/// How a message is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// `time="…" level=error msg="…"`
    #[default]
    Text,
    /// An object a line.
    Json,
}

/// The flags about messages.
#[derive(Debug, Args)]
pub(super) struct Log {
    /// Append messages to a file as well
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How messages in the log are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: Format,
    /// Log what is done, too
    #[arg(long)]
    debug: bool,
}

impl Log {
    /// Fails early when messages could not be written later.
    pub(super) fn check(&self) -> Result<()> {
        match &self.log {
            Some(path) => open(path).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Logs an error, and shows it on stderr.
    pub(super) fn error(&self, error: &Error) {
        if self.log.is_some() || self.log_format == Format::Json {
            self.write("error", &render(error));
        }
        if self.log.is_some() || self.log_format == Format::Text {
            printer::error(error);
        }
    }

    /// Logs what is odd but not fatal; without a log it is shown on stderr.
    pub(super) fn warning(&self, error: &Error) {
        let hints = hints_of(error).join("; ");
        let text = if hints.is_empty() { render(error) } else { format!("{} ({hints})", render(error)) };
        match self.log.is_some() || self.log_format == Format::Json {
            true => self.write("warning", &text),
            false => printer::warn(&text),
        }
    }

    /// Logs what is done, when `--debug` asked for it.
    pub(super) fn debug(&self, text: &str) {
        if self.debug {
            self.write("debug", text);
        }
    }

    fn write(&self, level: &str, message: &str) {
        let line = line(self.log_format, &jiff::Timestamp::now().to_string(), level, message);
        let written = self.log.as_ref().map(|path| {
            open(path).and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()).context("write"))
        });
        if !matches!(written, Some(Ok(()))) {
            printer::talk(&line);
        }
    }
}

fn open(path: &PathBuf) -> Result<std::fs::File> {
    let file = OpenOptions::new().create(true).append(true).mode(0o644).open(path);
    file.with_context(|| format!("open log `{}`", path.display()))
}

fn line(format: Format, time: &str, level: &str, message: &str) -> String {
    match format {
        Format::Json => json!({"level": level, "msg": message, "time": time}).to_string(),
        Format::Text => format!("time=\"{time}\" level={level} msg={}", serde_json::Value::from(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_other_runtimes() {
        assert_eq!(line(Format::Text, "T", "error", "no \"x\""), r#"time="T" level=error msg="no \"x\"""#);
        assert_eq!(line(Format::Json, "T", "error", "a\nb"), r#"{"level":"error","msg":"a\nb","time":"T"}"#);
    }
}
