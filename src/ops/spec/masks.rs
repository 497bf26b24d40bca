//! Which paths are hidden, and which are read-only.

use crate::container::record::Security;
use crate::ops::create::matches_pattern;
use crate::runtime::defaults;

/// The masked and the read-only paths. `--privileged` and `unmask=ALL` leave none of the defaults.
pub(super) fn paths(security: &Security) -> (Vec<String>, Vec<String>) {
    let all = security.privileged || security.unmask.iter().any(|pattern| pattern == "ALL");
    let kept = |paths: Vec<String>| -> Vec<String> {
        if all {
            return Vec::new();
        }
        paths
            .into_iter()
            .filter(|path| !security.unmask.iter().any(|pattern| covers(pattern, path)))
            .collect()
    };
    let mut masked = kept(defaults::masked_paths());
    masked.extend(security.mask.iter().cloned());
    (masked, kept(defaults::readonly_paths()))
}

/// Whether a pattern such as `/proc/*` means the path: as many components, each matching.
fn covers(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(&path).all(|(pattern, part)| matches_pattern(pattern, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_unmasked_by_pattern() {
        let with = |unmask: &[&str], mask: &[&str]| {
            let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            paths(&Security { unmask: list(unmask), mask: list(mask), ..Security::default() })
        };
        let (masked, read_only) = with(&["/proc/*"], &["/etc/shadow"]);
        assert!(
            masked.iter().all(|path| !path.starts_with("/proc/")) && masked.contains(&"/sys/firmware".into())
        );
        assert!(masked.contains(&"/etc/shadow".into()) && read_only.is_empty());
        assert_eq!(with(&["ALL"], &[]), (Vec::new(), Vec::new()));
        assert!(!with(&["/proc/kcore"], &[]).0.contains(&"/proc/kcore".into()));
        assert_eq!(with(&[], &[]).1.len(), 6);
    }
}
