//! `--pid`, `--ipc`, `--uts`, `--cgroupns`.

use super::usage;
use crate::base::error::{Explain, Result};
use crate::container::record::Namespace;

/// Parses the mode of the namespace `kind` (`pid`, `ipc`, `uts`, `cgroup`). A container is left as typed; whoever
/// has the store turns it into an id. `None` for the empty text: the default.
pub fn parse(kind: &str, text: &str) -> Result<Option<Namespace>> {
    let (mode, rest) = text.split_once(':').map_or((text, None), |(mode, rest)| (mode, Some(rest)));
    Ok(Some(match (mode, rest) {
        ("", None) => return Ok(None),
        ("private", None) => Namespace::Private,
        ("host", None) => Namespace::Host,
        ("shareable", None) if kind == "ipc" => Namespace::Shareable,
        ("none", None) if kind == "ipc" => Namespace::None,
        ("container", Some(id)) if !id.is_empty() => Namespace::Container(id.into()),
        ("ns", Some(path)) if path.starts_with('/') && !path.contains('\0') => Namespace::Path(path.into()),
        ("pod", _) => return Err(usage(format!("`{text}`: pods are not supported yet"))),
        _ => {
            let more = if kind == "ipc" { ", shareable, none" } else { "" };
            return Err(usage(format!("unknown {kind} namespace mode `{text}`"))
                .hint(format!("private, host, container:ID, ns:PATH{more}")));
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read() {
        assert_eq!(parse("pid", "").unwrap(), None);
        assert_eq!(parse("pid", "host").unwrap(), Some(Namespace::Host));
        assert_eq!(parse("ipc", "none").unwrap(), Some(Namespace::None));
        assert_eq!(parse("uts", "container:web").unwrap(), Some(Namespace::Container("web".into())));
        assert_eq!(
            parse("pid", "ns:/proc/1/ns/pid").unwrap(),
            Some(Namespace::Path("/proc/1/ns/pid".into()))
        );
        for (kind, bad) in [
            ("pid", "none"),
            ("uts", "shareable"),
            ("pid", "container:"),
            ("pid", "ns:x"),
            ("pid", "x"),
            ("ipc", "pod"),
        ] {
            assert!(parse(kind, bad).is_err(), "{kind} {bad}");
        }
    }
}
