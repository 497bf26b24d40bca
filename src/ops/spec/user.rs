//! Who the process is: names looked up in the container's own /etc/passwd and /etc/group.
//!
//! Those files come from the image. They are opened beneath the root, as regular files only, without blocking
//! and up to a limit (CVE-2024-9676: a link there made Podman read a host file, or without end).

use std::path::Path;

use crate::base::error::{Context, Explain, Kind, Result, fail};
use crate::container::parse::user::{self, Who};
use crate::container::record::Config;
use crate::sys::rootdir::RootDir;

/// The largest file of accounts that is read.
pub const LIMIT: u64 = 4 << 20;

/// The user of a process, resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// User id in the container.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Login name, if the container knows one.
    pub name: String,
    /// Home directory; `/` if unknown.
    pub home: String,
}

/// A line of /etc/passwd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory.
    pub home: String,
}

/// Reads a file of accounts; lines that make no sense are skipped.
pub fn read(root: &RootDir, path: &str) -> Result<Option<String>> {
    let bytes =
        root.read_small(Path::new(path), LIMIT).with_context(|| format!("read the container's `{path}`"))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The lines of a passwd file.
pub fn accounts(text: &str) -> impl Iterator<Item = Account> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = user::id(fields.nth(1)?).ok()?;
        let gid = user::id(fields.next()?).ok()?;
        let home = fields.nth(1).unwrap_or_default();
        Some(Account { name: name.to_owned(), uid, gid, home: home.to_owned() })
    })
}

/// The lines of a group file: name, id, members.
pub fn groups(text: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = user::id(fields.nth(1)?).ok()?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

/// Resolves the user of a record.
pub fn resolve(root: &RootDir, config: &Config) -> Result<Identity> {
    identity(root, &config.process.user, &config.process.groups)
}

/// Resolves `USER[:GROUP]` and further groups. A name that the container does not know is an error; a number
/// that it does not know is that number, in group 0.
pub fn identity(root: &RootDir, text: &str, more: &[String]) -> Result<Identity> {
    let spec = user::parse(text)?;
    let by_number = matches!(spec.user, Who::Id(_));
    let passwd = readable(root, "/etc/passwd", !by_number)?;
    let needs_groups = matches!(spec.group, Some(Who::Name(_))) || more.iter().any(|g| !is_number(g));
    let group_file = readable(root, "/etc/group", needs_groups)?;
    let account = accounts(&passwd).find(|account| match &spec.user {
        Who::Id(uid) => account.uid == *uid,
        Who::Name(name) => account.name == *name,
    });
    let mut identity = match (account, &spec.user) {
        (Some(found), _) => Identity {
            uid: found.uid,
            gid: found.gid,
            groups: Vec::new(),
            name: found.name,
            home: found.home,
        },
        (None, Who::Id(uid)) => Identity { uid: *uid, ..Identity::default() },
        (None, Who::Name(name)) => return Err(unknown("user", name, "/etc/passwd")),
    };
    match &spec.group {
        Some(group) => identity.gid = group_id(&group_file, group)?,
        // Memberships count only where no group was asked for.
        None => identity.groups = memberships(&group_file, &identity.name),
    }
    for name in more.iter().filter(|name| *name != "keep-groups") {
        identity.groups.push(group_id(&group_file, &user::who(name)?)?);
    }
    identity.groups.sort_unstable();
    identity.groups.dedup();
    if !identity.home.starts_with('/') || identity.home.contains('\0') {
        identity.home = "/".into();
    }
    Ok(identity)
}

/// A file that is not needed for the answer may be as broken as it likes.
fn readable(root: &RootDir, path: &str, needed: bool) -> Result<String> {
    match read(root, path) {
        Err(error) if needed => Err(error),
        found => Ok(found.unwrap_or_default().unwrap_or_default()),
    }
}

fn is_number(text: &str) -> bool {
    matches!(user::who(text), Ok(Who::Id(_))) || text == "keep-groups"
}

fn group_id(file: &str, group: &Who) -> Result<u32> {
    match group {
        Who::Id(gid) => Ok(*gid),
        Who::Name(wanted) => groups(file)
            .find(|(name, ..)| name == wanted)
            .map(|(_, gid, _)| gid)
            .ok_or_else(|| unknown("group", wanted, "/etc/group")),
    }
}

fn memberships(file: &str, user: &str) -> Vec<u32> {
    let member = |members: &str| !user.is_empty() && members.split(',').any(|member| member.trim() == user);
    groups(file).filter(|(_, _, members)| member(members)).map(|(_, gid, _)| gid).collect()
}

fn unknown(what: &str, name: &str, file: &str) -> crate::base::error::Error {
    fail(Kind::Failed, format!("the container's `{file}` has no {what} `{name}`"))
        .hint(format!("use a number, or an image that has the {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs;

    struct Root(std::path::PathBuf);

    impl Root {
        fn new(passwd: &str, group: &str) -> Root {
            let dir = std::env::temp_dir().join(format!("dhow-user-{}", crate::base::id::word()));
            fs::create_dir_all(&dir.join("etc")).unwrap();
            fs::write_new(&dir.join("etc/passwd"), passwd.as_bytes(), 0o644, fs::Durability::Volatile)
                .unwrap();
            fs::write_new(&dir.join("etc/group"), group.as_bytes(), 0o644, fs::Durability::Volatile).unwrap();
            Root(dir)
        }

        fn look(&self, text: &str, more: &[&str]) -> Result<Identity> {
            let more: Vec<String> = more.iter().map(|text| (*text).to_owned()).collect();
            identity(&RootDir::open(&self.0).unwrap(), text, &more)
        }
    }

    impl Drop for Root {
        #[expect(clippy::disallowed_methods, reason = "a test's own directory")]
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbad:x:4294967296:0::/:/x\n:x:5:5::/:\nredis:x:999:1000:r:/data:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,redis\nredis:x:1000:\nvideo:x:44:\n";

    #[test]
    fn names_and_numbers_are_looked_up_inside() {
        let root = Root::new(PASSWD, GROUP);
        let redis = root.look("redis", &["video", "7"]).unwrap();
        assert_eq!((redis.uid, redis.gid, redis.home.as_str()), (999, 1000, "/data"));
        assert_eq!(redis.groups, [7, 10, 44]);
        assert_eq!(root.look("", &[]).unwrap().home, "/root");
        let stranger = root.look("12345", &[]).unwrap();
        assert_eq!((stranger.uid, stranger.gid, stranger.home.as_str()), (12345, 0, "/"));
        let with_group = root.look("redis:video", &[]).unwrap();
        assert_eq!((with_group.gid, with_group.groups.len()), (44, 0));
        for bad in ["nobody", "redis:none", "bad", "4294967296", "5:x"] {
            assert!(root.look(bad, &[]).is_err(), "{bad}");
        }
        assert!(root.look("0", &["none"]).is_err());
    }

    #[test]
    fn accounts_outside_of_the_root_are_not_read() {
        let root = Root::new("", GROUP);
        fs::remove_file(&root.0.join("etc/passwd")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.0.join("etc/passwd")).unwrap();
        assert!(root.look("root", &[]).is_err());
        fs::remove_file(&root.0.join("etc/passwd")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", root.0.join("etc/passwd")).unwrap();
        assert!(root.look("redis", &[]).is_err());
        assert_eq!(root.look("999", &[]).unwrap().uid, 999);
    }
}
