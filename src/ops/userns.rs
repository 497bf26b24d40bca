//! User namespaces of containers: `--userns`, `--uidmap`, `--gidmap`, `--subuidname`, `--subgidname`.
//!
//! Ids "outside" are the host's for root. For users they are those of the stage (see `sys::userns`), in which
//! 0 is the caller and 1 to N are the sub-ids.

use super::create::{Context, CreateOptions};
use crate::base::error::{Explain, Kind, Result, bail, fail};
use crate::container::parse::idmap::{Map, UserNsArg};
use crate::container::record::{IdRange, UserNs};
use crate::sys::userns::{self, IdMap};

/// The annotation that remembers the mode, as Podman keeps it.
pub const ANNOTATION: &str = "io.podman.annotations.userns";

/// How many ids `--userns=auto` gives when nobody says.
const AUTO_SIZE: u32 = 65_536;

/// What was decided.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decided {
    /// The namespace.
    pub namespace: UserNs,
    /// The user to run as when no flag says otherwise (`keep-id`).
    pub user: Option<String>,
    /// Value of [`ANNOTATION`].
    pub annotation: Option<String>,
}

/// Ids that the caller may map: users and groups.
struct Space {
    uids: u32,
    gids: u32,
}

/// Turns the parsed mode and the maps into a namespace.
pub fn decide(context: &Context<'_>, options: &CreateOptions, mode: &UserNsArg) -> Result<Decided> {
    let space = space(context);
    let plain = |namespace| Ok(Decided { namespace, ..Decided::default() });
    match mode {
        UserNsArg::Default | UserNsArg::Host => plain(UserNs::Host),
        UserNsArg::Path(path) => plain(UserNs::Path(path.clone())),
        UserNsArg::Container(id) => plain(UserNs::Container(id.clone())),
        UserNsArg::Private => plain(from_flags(context, options, &space)?),
        UserNsArg::KeepId { uid, gid, size } => keep_id(context, *uid, *gid, *size, &space),
        UserNsArg::NoMap => no_map(context, &space),
        UserNsArg::Auto { size, uids, gids } => auto(context, size.unwrap_or(0), uids, gids, &space),
    }
}

fn space(context: &Context<'_>) -> Space {
    let count = |map: &[IdMap]| map.iter().fold(0u32, |sum, run| sum.saturating_add(run.count));
    match context.stage {
        Some(stage) => Space { uids: count(&stage.uids), gids: count(&stage.gids) },
        None => Space { uids: u32::MAX, gids: u32::MAX },
    }
}

fn rootless_only(context: &Context<'_>, mode: &str) -> Result<()> {
    if context.rootless() {
        return Ok(());
    }
    Err(fail(Kind::Usage, format!("--userns={mode} is for ordinary users, not for root")))
}

fn keep_id(
    context: &Context<'_>,
    uid: Option<u32>,
    gid: Option<u32>,
    size: Option<u32>,
    space: &Space,
) -> Result<Decided> {
    let (uid, gid) = (uid.unwrap_or(context.caller.uid), gid.unwrap_or(context.caller.gid));
    if !context.rootless() {
        // Root's id is kept by having no namespace at all, as Podman does.
        return Ok(Decided { user: Some(format!("{uid}:{gid}")), ..Decided::default() });
    }
    let uids = kept(uid, size.unwrap_or(space.uids).min(space.uids));
    let gids = kept(gid, size.unwrap_or(space.gids).min(space.gids));
    Ok(Decided {
        namespace: UserNs::Mapped { uids, gids },
        user: Some(format!("{uid}:{gid}")),
        annotation: Some("keep-id".into()),
    })
}

/// The caller (0 outside) becomes `own`; the sub-ids fill the ids around it in order.
fn kept(own: u32, size: u32) -> Vec<IdRange> {
    let sub_ids = size.saturating_sub(1);
    let below = own.min(sub_ids);
    let mut map = Vec::new();
    if below > 0 {
        map.push(IdRange { container: 0, host: 1, size: below });
    }
    map.push(IdRange { container: own, host: 0, size: 1 });
    if sub_ids > below {
        map.push(IdRange { container: own + 1, host: below + 1, size: sub_ids - below });
    }
    map
}

fn no_map(context: &Context<'_>, space: &Space) -> Result<Decided> {
    rootless_only(context, "nomap")?;
    let all_but_caller = |count: u32| vec![IdRange { container: 0, host: 1, size: count - 1 }];
    if space.uids < 2 || space.gids < 2 {
        return Err(no_sub_ids("--userns=nomap"));
    }
    let namespace = UserNs::Mapped { uids: all_but_caller(space.uids), gids: all_but_caller(space.gids) };
    Ok(Decided { namespace, annotation: Some("nomap".into()), ..Decided::default() })
}

fn no_sub_ids(what: &str) -> crate::base::error::Error {
    fail(Kind::Failed, format!("{what} needs sub-ids, and the caller has none"))
        .hint("as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER")
}

/// Finds ids that no other `auto` container uses.
fn auto(context: &Context<'_>, size: u32, uids: &[Map], gids: &[Map], space: &Space) -> Result<Decided> {
    let (uid_pool, gid_pool) = pools(context, space)?;
    let taken = taken_by_others(context)?;
    let wanted = if size > 0 { size } else { AUTO_SIZE.min(longest(&uid_pool)).min(longest(&gid_pool)) };
    // The default shrinks until it fits beside the others; a size that was asked for does not.
    let mut try_size = wanted;
    loop {
        let uid_at = first_free(&uid_pool, &taken.0, try_size);
        let gid_at = first_free(&gid_pool, &taken.1, try_size);
        if let (Some(uid_at), Some(gid_at)) = (uid_at, gid_at) {
            let uids =
                overlay(vec![IdRange { container: 0, host: uid_at, size: try_size }], uids, context, true)?;
            let gids =
                overlay(vec![IdRange { container: 0, host: gid_at, size: try_size }], gids, context, false)?;
            let namespace = UserNs::Mapped { uids, gids };
            return Ok(Decided { namespace, annotation: Some("auto".into()), ..Decided::default() });
        }
        if size > 0 || try_size <= 1024 {
            return Err(fail(Kind::Failed, format!("no {wanted} unused sub-ids are left for --userns=auto"))
                .hint("remove containers, ask for fewer with auto:size=N, or add sub-ids"));
        }
        try_size /= 2;
    }
}

/// Where `auto` may take ids: the caller's sub-ids, or for root those of the user `containers`.
fn pools(context: &Context<'_>, space: &Space) -> Result<(Vec<IdRange>, Vec<IdRange>)> {
    if context.rootless() {
        if space.uids < 2 || space.gids < 2 {
            return Err(no_sub_ids("--userns=auto"));
        }
        let pool = |count: u32| vec![IdRange { container: 0, host: 1, size: count - 1 }];
        return Ok((pool(space.uids), pool(space.gids)));
    }
    named_ranges("containers", "containers")
}

fn named_ranges(uid_name: &str, gid_name: &str) -> Result<(Vec<IdRange>, Vec<IdRange>)> {
    let uids = ranges(userns::subuids(u32::MAX, Some(uid_name)));
    let gids = ranges(userns::subgids(u32::MAX, Some(gid_name)));
    if uids.is_empty() || gids.is_empty() {
        return Err(fail(Kind::Failed, format!("`{uid_name}` has no ranges in /etc/subuid and /etc/subgid"))
            .hint(format!("add a line such as {uid_name}:2147483647:2147483648 to both")));
    }
    Ok((uids, gids))
}

/// The ranges one after the other from id 0 in the container.
fn ranges(found: Vec<userns::IdRange>) -> Vec<IdRange> {
    let mut next = 0u32;
    found
        .into_iter()
        .filter_map(|range| {
            let start = next;
            next = next.checked_add(range.count)?;
            Some(IdRange { container: start, host: range.first, size: range.count })
        })
        .collect()
}

fn longest(pool: &[IdRange]) -> u32 {
    pool.iter().map(|range| range.size).max().unwrap_or(0)
}

type Taken = (Vec<IdRange>, Vec<IdRange>);

fn taken_by_others(context: &Context<'_>) -> Result<Taken> {
    let mut taken = Taken::default();
    for container in context.containers.list()? {
        let is_auto = container.config.annotations.get(ANNOTATION).is_some_and(|mode| mode == "auto");
        if let (true, UserNs::Mapped { uids, gids }) = (is_auto, &container.config.namespaces.user) {
            taken.0.extend(uids);
            taken.1.extend(gids);
        }
    }
    Ok(taken)
}

/// The lowest place in the pool where `size` ids are free.
fn first_free(pool: &[IdRange], taken: &[IdRange], size: u32) -> Option<u32> {
    for run in pool {
        let (mut at, end) = (u64::from(run.host), u64::from(run.host) + u64::from(run.size));
        while at + u64::from(size) <= end {
            let clash = taken.iter().find(|other| {
                u64::from(other.host) < at + u64::from(size)
                    && at < u64::from(other.host) + u64::from(other.size)
            });
            match clash {
                Some(other) => at = u64::from(other.host) + u64::from(other.size),
                None => return u32::try_from(at).ok(),
            }
        }
    }
    None
}

fn from_flags(context: &Context<'_>, options: &CreateOptions, space: &Space) -> Result<UserNs> {
    use crate::container::parse::idmap::parse_map;
    let read = |texts: &[String]| texts.iter().map(|text| parse_map(text)).collect::<Result<Vec<_>>>();
    let (uid_maps, gid_maps) = (read(&options.uidmap)?, read(&options.gidmap)?);
    if let Some(name) = options.subuidname.as_deref().or(options.subgidname.as_deref()) {
        if !uid_maps.is_empty() || !gid_maps.is_empty() {
            return Err(fail(Kind::Usage, "--subuidname and --subgidname exclude --uidmap and --gidmap"));
        }
        if context.rootless() {
            return Err(fail(
                Kind::Usage,
                "--subuidname and --subgidname are for root: your own sub-ids are used",
            )
            .hint("use --userns=auto or --uidmap and --gidmap to choose among them"));
        }
        let gid_name = options.subgidname.as_deref().unwrap_or(name);
        let (uids, gids) = named_ranges(name, gid_name)?;
        return Ok(UserNs::Mapped { uids, gids });
    }
    if uid_maps.is_empty() && gid_maps.is_empty() {
        return all_ids(context, space);
    }
    // One kind of map alone holds for the other kind as well.
    let users: Vec<Map> = if uid_maps.is_empty() { gid_maps.clone() } else { pick(&uid_maps, |m| m.users) };
    let groups: Vec<Map> =
        if gid_maps.is_empty() { pick(&uid_maps, |m| m.groups) } else { pick(&gid_maps, |m| m.groups) };
    let uids = build(&users, context, space.uids, true)?;
    let gids = build(&groups, context, space.gids, false)?;
    Ok(UserNs::Mapped { uids, gids })
}

fn pick(maps: &[Map], wanted: fn(&Map) -> bool) -> Vec<Map> {
    maps.iter().copied().filter(wanted).collect()
}

/// `--userns=private` without maps: all the caller's ids in order, or for root those of `containers`.
fn all_ids(context: &Context<'_>, space: &Space) -> Result<UserNs> {
    if context.rootless() {
        let all = |count: u32| vec![IdRange { container: 0, host: 0, size: count }];
        return Ok(UserNs::Mapped { uids: all(space.uids), gids: all(space.gids) });
    }
    let (uids, gids) = named_ranges("containers", "containers")?;
    Ok(UserNs::Mapped { uids, gids })
}

fn build(maps: &[Map], context: &Context<'_>, space: u32, users: bool) -> Result<Vec<IdRange>> {
    let extends = maps.iter().any(|map| map.extend);
    let base = match extends {
        true if !context.rootless() => {
            bail!("`+` in an id map extends the caller's own map, which root has not")
        }
        true => vec![IdRange { container: 0, host: 0, size: space }],
        false => Vec::new(),
    };
    let map = overlay(base, maps, context, users)?;
    for range in &map {
        let end = u64::from(range.host) + u64::from(range.size);
        if end > u64::from(space) {
            let message = format!("the id map goes up to {}, but the caller has {space} ids", end - 1);
            return Err(fail(Kind::Usage, message).hint("add sub-ids to /etc/subuid and /etc/subgid"));
        }
    }
    Ok(map)
}

/// Lays maps over a base, which gives way on both sides; the maps themselves must not overlap.
fn overlay(mut base: Vec<IdRange>, maps: &[Map], context: &Context<'_>, users: bool) -> Result<Vec<IdRange>> {
    let mut wanted: Vec<IdRange> = Vec::new();
    for map in maps {
        let host = if map.of_host { to_stage(context, map.from, map.size, users)? } else { map.from };
        let range = IdRange { container: map.container, host, size: map.size };
        if wanted.iter().any(|other| crosses(other.container, other.size, range.container, range.size)) {
            return Err(fail(Kind::Usage, format!("two id maps give container id {}", range.container)));
        }
        if wanted.iter().any(|other| crosses(other.host, other.size, range.host, range.size)) {
            return Err(fail(Kind::Usage, format!("two id maps take id {}", range.host)));
        }
        base = cut(base, range);
        wanted.push(range);
    }
    base.extend(wanted);
    base.sort_by_key(|range| range.container);
    Ok(base)
}

fn crosses(a: u32, a_size: u32, b: u32, b_size: u32) -> bool {
    u64::from(a) < u64::from(b) + u64::from(b_size) && u64::from(b) < u64::from(a) + u64::from(a_size)
}

/// Takes out of the ranges what `new` covers, inside or outside.
fn cut(ranges: Vec<IdRange>, new: IdRange) -> Vec<IdRange> {
    let holes = |range: &IdRange| {
        let hole = |start: u32, other: u32| {
            let from = other.max(start) - start;
            let to = (u64::from(other) + u64::from(new.size)).saturating_sub(u64::from(start));
            (from, u32::try_from(to).unwrap_or(u32::MAX))
        };
        [hole(range.container, new.container), hole(range.host, new.host)]
    };
    let mut out = Vec::new();
    for range in ranges {
        let mut pieces = vec![(0u32, range.size)];
        for (from, to) in holes(&range) {
            pieces = pieces
                .into_iter()
                .flat_map(|(a, b)| [(a, b.min(from)), (a.max(to), b)])
                .filter(|(a, b)| a < b)
                .collect();
        }
        pieces.dedup();
        out.extend(pieces.into_iter().map(|(a, b)| IdRange {
            container: range.container + a,
            host: range.host + a,
            size: b - a,
        }));
    }
    out
}

/// `@ID`: an id of the host as the stage sees it.
fn to_stage(context: &Context<'_>, id: u32, size: u32, users: bool) -> Result<u32> {
    let Some(stage) = context.stage else { return Ok(id) };
    let map = if users { &stage.uids } else { &stage.gids };
    map.iter()
        .find(|run| {
            run.outside <= id
                && u64::from(id) + u64::from(size) <= u64::from(run.outside) + u64::from(run.count)
        })
        .map(|run| run.inside + (id - run.outside))
        .ok_or_else(|| fail(Kind::Usage, format!("host id {id} is not among the caller's ids")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(container: u32, host: u32, size: u32) -> IdRange {
        IdRange { container, host, size }
    }

    #[test]
    fn keep_id_puts_the_caller_among_the_sub_ids() {
        assert_eq!(kept(1000, 65_537), [range(0, 1, 1000), range(1000, 0, 1), range(1001, 1001, 64_536)]);
        assert_eq!(kept(0, 65_537), [range(0, 0, 1), range(1, 1, 65_536)]);
        assert_eq!(kept(1000, 1), [range(1000, 0, 1)]);
        assert_eq!(kept(100_000, 65_537), [range(0, 1, 65_536), range(100_000, 0, 1)]);
    }

    #[test]
    fn auto_finds_the_lowest_gap() {
        let pool = [range(0, 1, 1000)];
        assert_eq!(first_free(&pool, &[], 100), Some(1));
        assert_eq!(first_free(&pool, &[range(0, 1, 100), range(0, 150, 100)], 100), Some(250));
        assert_eq!(first_free(&pool, &[range(0, 1, 100), range(0, 150, 100)], 49), Some(101));
        assert_eq!(first_free(&pool, &[range(0, 500, 1)], 600), None);
    }

    #[test]
    fn an_extending_map_makes_room_on_both_sides() {
        let base = vec![range(0, 0, 100)];
        assert_eq!(
            cut(base.clone(), range(10, 50, 1)),
            [range(0, 0, 10), range(11, 11, 39), range(51, 51, 49)]
        );
        assert_eq!(cut(base.clone(), range(1000, 0, 1)), [range(1, 1, 99)]);
        assert_eq!(cut(base.clone(), range(0, 0, 100)), []);
        assert_eq!(cut(base, range(1000, 1000, 5)), [range(0, 0, 100)]);
    }
}
