//! `--change`: Dockerfile instructions that alter an image's configuration (`commit`, `import`).

use serde_json::json;

use crate::base::error::{Context as _, Kind, Result, fail};
use crate::image::config::Settings;

/// Applies one instruction, such as `CMD ["sh"]`, `ENV A=b` or `EXPOSE 80`.
pub(super) fn apply(settings: &mut Settings, text: &str) -> Result<()> {
    let (word, rest) =
        text.trim().split_once(|c: char| c == '=' || c.is_whitespace()).unwrap_or((text.trim(), ""));
    let rest = rest.trim();
    match word.to_ascii_uppercase().as_str() {
        "CMD" => settings.cmd = command(rest)?,
        "ENTRYPOINT" => settings.entrypoint = command(rest)?,
        "ENV" => {
            for (name, value) in pairs(rest)? {
                settings.env.retain(|line| line.split('=').next() != Some(name.as_str()));
                settings.env.push(format!("{name}={value}"));
            }
        }
        "LABEL" => settings.labels.extend(pairs(rest)?),
        "EXPOSE" => {
            for port in rest.split_whitespace() {
                for one in crate::container::parse::publish::parse_expose(port)? {
                    settings.exposed_ports.insert(one, json!({}));
                }
            }
        }
        "VOLUME" => {
            let paths = list(rest)?.unwrap_or_else(|| rest.split_whitespace().map(str::to_owned).collect());
            settings.volumes.extend(paths.into_iter().map(|path| (path, json!({}))));
        }
        "WORKDIR" => {
            settings.working_dir =
                crate::container::parse::path::join("/", &join(&settings.working_dir, rest))
        }
        "USER" => settings.user = rest.to_owned(),
        "STOPSIGNAL" => settings.stop_signal = rest.to_owned(),
        "ONBUILD" => settings.on_build.push(rest.to_owned()),
        "SHELL" => {
            let shell = list(rest)?.with_context(|| format!("`SHELL {rest}`: the JSON form is needed"))?;
            settings.shell = shell;
        }
        other => {
            let known =
                "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, SHELL, STOPSIGNAL, USER, VOLUME, WORKDIR";
            return Err(fail(Kind::Usage, format!("`{other}` cannot be used with --change: {known}")));
        }
    }
    Ok(())
}

/// Lets a configuration from a file (`commit --config`) win where it says something: lists and words replace, variables,
/// labels, ports and volumes are added.
pub(super) fn merge(settings: &mut Settings, from: Settings) {
    let words = [
        (&mut settings.entrypoint, from.entrypoint),
        (&mut settings.cmd, from.cmd),
        (&mut settings.shell, from.shell),
        (&mut settings.on_build, from.on_build),
    ];
    for (old, new) in words {
        if !new.is_empty() {
            *old = new;
        }
    }
    let texts = [
        (&mut settings.user, from.user),
        (&mut settings.working_dir, from.working_dir),
        (&mut settings.stop_signal, from.stop_signal),
    ];
    for (old, new) in texts {
        if !new.is_empty() {
            *old = new;
        }
    }
    for line in from.env {
        let name = line.split('=').next().unwrap_or_default().to_owned();
        settings.env.retain(|old| old.split('=').next() != Some(name.as_str()));
        settings.env.push(line);
    }
    settings.labels.extend(from.labels);
    settings.exposed_ports.extend(from.exposed_ports);
    settings.volumes.extend(from.volumes);
    if from.healthcheck.is_some() {
        settings.healthcheck = from.healthcheck;
    }
}

fn join(base: &str, path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{base}/{path}") }
}

/// A JSON array of strings, if it begins like one.
fn list(text: &str) -> Result<Option<Vec<String>>> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    serde_json::from_str(text).map(Some).with_context(|| format!("read `{text}` as a JSON array of strings"))
}

/// The exec form, or a line for the shell.
fn command(text: &str) -> Result<Vec<String>> {
    Ok(match list(text)? {
        Some(words) => words,
        None if text.is_empty() => Vec::new(),
        None => ["/bin/sh", "-c", text].map(str::to_owned).to_vec(),
    })
}

/// `A=b C="d e"`, or the old form `A b c`.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let words = words(text)?;
    let Some(first) = words.first() else { return Err(fail(Kind::Usage, "a name is needed")) };
    if !first.contains('=') {
        let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
    }
    words
        .iter()
        .map(|word| {
            let pair = word.split_once('=').filter(|(name, _)| !name.is_empty());
            let pair =
                pair.ok_or_else(|| fail(Kind::Usage, format!("`{word}` is not of the form NAME=value")))?;
            Ok((pair.0.to_owned(), pair.1.to_owned()))
        })
        .collect()
}

/// Splits at blanks that are not quoted or escaped.
fn words(text: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, '"' | '\'') => (quote, begun) = (Some(letter), true),
            (Some(open), _) if open == letter => quote = None,
            (None | Some('"'), '\\') => {
                word.extend(letters.next());
                begun = true;
            }
            (None, _) if letter.is_whitespace() => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
            }
            _ => {
                word.push(letter);
                begun = true;
            }
        }
    }
    if quote.is_some() {
        return Err(fail(Kind::Usage, format!("`{text}`: a quote is not closed")));
    }
    if begun {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(changes: &[&str]) -> Settings {
        let mut settings = Settings::default();
        changes.iter().for_each(|change| apply(&mut settings, change).unwrap());
        settings
    }

    #[test]
    fn instructions_change_the_configuration() {
        let settings = after(&[
            r#"CMD ["a", "b c"]"#,
            "ENTRYPOINT run it",
            r#"ENV A=b C="d e" F=g\ h"#,
            "ENV OLD form here",
            "LABEL x=1",
            "EXPOSE 80 53/udp",
            r#"VOLUME ["/a"]"#,
            "WORKDIR /w",
            "WORKDIR sub",
            "USER alice",
            "STOPSIGNAL=INT",
        ]);
        assert_eq!(settings.cmd, ["a", "b c"]);
        assert_eq!(settings.entrypoint, ["/bin/sh", "-c", "run it"]);
        assert_eq!(settings.env, ["A=b", "C=d e", "F=g h", "OLD=form here"]);
        assert_eq!(settings.exposed_ports.keys().collect::<Vec<_>>(), ["53/udp", "80/tcp"]);
        assert_eq!((settings.working_dir.as_str(), settings.stop_signal.as_str()), ("/w/sub", "INT"));
        assert!(settings.volumes.contains_key("/a") && settings.labels["x"] == "1");
    }

    #[test]
    fn a_configuration_from_a_file_wins_where_it_says_something() {
        let mut settings = after(&["CMD one", "ENV A=1 B=2", "LABEL x=1", "USER alice"]);
        let from = r#"{"Cmd":["two"],"Env":["B=3","C=4"],"Labels":{"y":"2"},"User":""}"#;
        merge(&mut settings, serde_json::from_str(from).unwrap());
        assert_eq!((settings.cmd, settings.user.as_str()), (vec!["two".to_owned()], "alice"));
        assert_eq!(settings.env, ["A=1", "B=3", "C=4"]);
        assert_eq!(settings.labels.len(), 2);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in ["RUN x", "FROM y", "", "CMD [1]", "ENV", "SHELL sh", r#"LABEL a="b"#] {
            assert!(apply(&mut Settings::default(), bad).is_err(), "{bad}");
        }
    }
}
