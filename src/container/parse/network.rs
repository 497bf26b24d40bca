//! `--network`.

use super::usage;
use crate::base::error::{Explain, Result};
use crate::container::record::NetworkMode;

/// Parses the `--network` flags. A container is left as typed; `None` for the default.
pub fn parse(texts: &[String]) -> Result<Option<NetworkMode>> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    match texts[..] {
        [] | ["default"] => Ok(None),
        [one] => mode(one).map(Some),
        _ => Err(usage("more than one --network is not supported yet")
            .hint("connecting to networks needs bridges")),
    }
}

fn mode(text: &str) -> Result<NetworkMode> {
    let (word, rest) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
    let options =
        || rest.unwrap_or_default().split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect();
    Ok(match (word, rest) {
        ("none", None) => NetworkMode::None,
        ("host", None) => NetworkMode::Host,
        ("private", None) => NetworkMode::Private,
        ("pasta", _) => NetworkMode::Pasta(options()),
        ("slirp4netns", _) => NetworkMode::Slirp4netns(options()),
        ("container", Some(id)) if !id.is_empty() => NetworkMode::Container(id.into()),
        ("ns", Some(path)) if path.starts_with('/') && !path.contains('\0') => NetworkMode::Path(path.into()),
        ("container" | "ns" | "none" | "host" | "private", _) => {
            return Err(usage(format!("`{text}` is not a network mode"))
                .hint("none, host, private, container:ID, ns:PATH, pasta, slirp4netns"));
        }
        _ => {
            return Err(usage(format!("network `{text}`: bridge and named networks are not supported yet"))
                .hint("none, host, private, container:ID, ns:PATH, pasta, slirp4netns"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read() {
        let one = |text: &str| parse(&[text.to_owned()]);
        assert_eq!(one("").unwrap(), None);
        assert_eq!(one("none").unwrap(), Some(NetworkMode::None));
        assert_eq!(one("pasta:-t,80").unwrap(), Some(NetworkMode::Pasta(vec!["-t".into(), "80".into()])));
        assert_eq!(one("container:web").unwrap(), Some(NetworkMode::Container("web".into())));
        for bad in ["bridge", "mynet", "container:", "ns:x", "none:x", "host:", "bridge:ip=1.2.3.4"] {
            assert!(one(bad).is_err(), "{bad}");
        }
        assert!(parse(&["none".into(), "host".into()]).is_err());
    }
}
