//! The flags of `build`, in themed groups; together they fill one [`BuildOptions`](crate::ops::build::BuildOptions).

mod how;
mod result;
mod run;
mod what;

pub(super) use how::HowArgs;
pub(super) use result::ResultArgs;
pub(super) use run::RunArgs;
pub(super) use what::WhatArgs;

use crate::base::error::{Kind, Result, fail};

/// `NAME=VALUE`, or `NAME` with the value of the caller's environment; `None` where it has none.
fn looked_up(flag: &str, text: &str) -> Result<Option<(String, String)>> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, std::env::var(text).ok()),
    };
    match name {
        "" => Err(fail(Kind::Usage, format!("`{flag} {text}` has no name"))),
        _ => Ok(value.map(|value| (name.to_owned(), value))),
    }
}
