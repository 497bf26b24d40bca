//! The environment of a container, from its many sources.

use super::{Context, CreateOptions, ImageFacts};
use crate::base::error::{Context as _, Result};
use crate::base::fs;
use crate::container::parse::env::{self, Entry};
use crate::runtime::defaults;

/// The variables that tell programs about proxies; passed on unless `--http-proxy=false`.
const PROXIES: &[&str] = &[
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
];

/// An environment that keeps the order in which names first appeared.
#[derive(Debug, Default, Clone)]
pub(super) struct Environment(Vec<(String, String)>);

impl Environment {
    fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn set_line(&mut self, line: &str) {
        // An image may hold `NAME` alone, which means empty; a line without a name is nobody's variable.
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        if !name.is_empty() && !line.contains('\0') {
            self.set(name, value);
        }
    }

    fn apply(&mut self, entry: &Entry, context: &Context<'_>) {
        let host = &context.caller.env;
        match entry {
            Entry::Set(name, value) => self.set(name, value),
            Entry::FromHost(name) => {
                if let Some(value) = host.get(name) {
                    self.set(name, value);
                }
            }
            Entry::Prefix(prefix) => {
                host.iter().filter(|(name, _)| name.starts_with(prefix)).for_each(|(n, v)| self.set(n, v));
            }
        }
    }

    fn into_lines(self) -> Vec<String> {
        self.0.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}

/// Merges: defaults, the caller's (`--env-host`), proxies, the image's, files, flags; a later one wins.
pub(super) fn resolve(
    context: &Context<'_>,
    options: &CreateOptions,
    image: &ImageFacts,
) -> Result<Vec<String>> {
    let mut environment = Environment::default();
    if !options.unsetenv_all {
        defaults::env(options.tty).iter().for_each(|line| environment.set_line(line));
        context.defaults.env.iter().for_each(|line| environment.set_line(line));
    }
    if options.env_host || context.defaults.env_host {
        context.caller.env.iter().for_each(|(name, value)| environment.set(name, value));
    }
    if options.http_proxy.unwrap_or(context.defaults.http_proxy) {
        let given = PROXIES.iter().filter_map(|name| Some((*name, context.caller.env.get(*name)?)));
        given.for_each(|(name, value)| environment.set(name, value));
    }
    if !options.unsetenv_all {
        image.env.iter().for_each(|line| environment.set_line(line));
    }
    environment.0.retain(|(name, _)| !options.unsetenv.contains(name));
    for path in &options.env_file {
        let text = fs::read_to_string(&context.caller.cwd.join(path))?;
        let entries = env::parse_file(&text).with_context(|| format!("read `{}`", path.display()))?;
        entries.iter().for_each(|entry| environment.apply(entry, context));
    }
    for text in &options.env_merge {
        let (name, value) = env::parse_pair("--env-merge", text)?;
        let expanded = expand(&value, &environment);
        environment.set(&name, &expanded);
    }
    for text in &options.env {
        environment.apply(&env::parse(text)?, context);
    }
    Ok(environment.into_lines())
}

/// Replaces `$NAME` and `${NAME}`; what is not set becomes empty.
fn expand(text: &str, environment: &Environment) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (name, after) = match rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, after)) => (name, after),
            None => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                rest.split_at(end)
            }
        };
        if name.is_empty() {
            out.push('$');
        } else {
            out.push_str(environment.get(name).unwrap_or_default());
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_values_see_what_was_there() {
        let mut environment = Environment::default();
        environment.set("PATH", "/bin");
        for (text, want) in [
            ("/x:$PATH", "/x:/bin"),
            ("${PATH}x", "/binx"),
            ("$NONE.", "."),
            ("5$", "5$"),
            ("$", "$"),
            ("${", "${"),
        ] {
            assert_eq!(expand(text, &environment), want, "{text}");
        }
    }
}
