use oci_spec::runtime::{Capabilities, Capability, LinuxSeccomp};

use super::default::{LISTS, for_tests};
use super::interpret::run;
use super::syscalls::SYSCALLS;
use super::*;

const ALLOW: u32 = action::ALLOW;
const EPERM: u32 = action::ERRNO | 1;
const EINVAL: u32 = action::ERRNO | 22;
const ENOSYS: u32 = action::ERRNO | 38;
const X64: u32 = 0xc000_003e;
const X86: u32 = 0x4000_0003;

fn number(name: &str, arch: Arch) -> u32 {
    SYSCALLS.iter().find(|call| call.name == name).and_then(|call| call.number(arch)).unwrap()
}

fn defaults() -> Capabilities {
    crate::runtime::defaults::CAPABILITIES.into_iter().collect()
}

fn on_x64(program: &[Instruction], name: &str, args: &[u64]) -> u32 {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    run(program, X64, number(name, Arch::X86_64), all).0
}

#[test]
fn numbers_agree_with_libc_and_are_sorted() {
    assert!(SYSCALLS.is_sorted_by_key(|call| call.name));
    #[cfg(target_arch = "x86_64")]
    for (name, there) in [
        ("read", libc::SYS_read),
        ("clone3", libc::SYS_clone3),
        ("openat2", libc::SYS_openat2),
        ("socket", libc::SYS_socket),
        ("mseal", libc::SYS_mseal),
    ] {
        assert_eq!(i64::from(number(name, Arch::X86_64)), there, "{name}");
    }
    assert_eq!(number("read", Arch::X86), 3);
    assert_eq!(number("read", Arch::Aarch64), 63);
    assert_eq!(number("read", Arch::X32), 0x4000_0000);
    assert_eq!(number("set_tls", Arch::Arm), 0xf0005);
}

/// Every call that exists, on every architecture of the three families, against the lists.
#[test]
fn the_default_profile_answers_every_call() {
    for native in [Arch::X86_64, Arch::Aarch64, Arch::Riscv64] {
        let program = for_tests(&defaults(), native.family());
        let mut deepest = 0;
        for arch in native.family() {
            for call in SYSCALLS {
                let Some(number) = call.number(*arch) else { continue };
                let (got, steps) = run(&program, arch.audit(), number, [1, 0, 0, 0, 0, 0]);
                let wanted = match call.name {
                    "personality" => ENOSYS,
                    "socket" | "chroot" => ALLOW,
                    name if LISTS.0.contains(&name) => ALLOW,
                    name if LISTS.1.contains(&name) => EPERM,
                    "open_by_handle_at" | "lookup_dcookie" | "quotactl" | "quotactl_fd" | "setdomainname"
                    | "sethostname" | "setns" | "bpf" | "perf_event_open" | "delete_module"
                    | "finit_module" | "init_module" | "query_module" | "acct" | "kcmp"
                    | "process_madvise" | "ioperm" | "iopl" | "clock_settime" | "clock_settime64"
                    | "settimeofday" | "stime" | "vhangup" => EPERM,
                    _ => ENOSYS,
                };
                assert_eq!(got, wanted, "{} on {arch:?}", call.name);
                if !matches!(call.name, "personality" | "socket") {
                    deepest = deepest.max(steps);
                }
            }
        }
        println!("{native:?}: {} instructions, {deepest} steps at most", program.len());
        assert!(deepest <= 14, "{native:?}: {deepest} steps");
        assert!(program.len() < 700, "{native:?}: {} instructions", program.len());
    }
}

#[test]
fn unknown_numbers_and_foreign_architectures_do_not_pass() {
    let program = for_tests(&defaults(), Arch::X86_64.family());
    for number in [470, 511, 600, 100_000, 0x3fff_ffff, 0x4000_ffff, u32::MAX] {
        assert_eq!(run(&program, X64, number, [0; 6]).0, ENOSYS, "{number}");
    }
    assert_eq!(run(&program, Arch::Aarch64.audit(), 0, [0; 6]).0, action::KILL_PROCESS);
    let alone = for_tests(&defaults(), &[Arch::X86_64]);
    assert_eq!(run(&alone, X86, 3, [0; 6]).0, action::KILL_PROCESS, "int 0x80");
    assert_eq!(run(&alone, X64, 0x4000_0000, [0; 6]).0, action::KILL_PROCESS, "x32");
    assert_eq!(run(&alone, X64, u32::MAX, [0; 6]).0, ENOSYS, "a call that a tracer skipped");
    // A number means another call over int 0x80.
    assert_eq!(run(&program, X86, number("uselib", Arch::X86), [0; 6]).0, EPERM);
    assert_eq!(run(&program, X86, 11, [0; 6]).0, ALLOW);
}

#[test]
fn capabilities_open_their_calls() {
    let with = |capability| {
        let mut granted = defaults();
        granted.insert(capability);
        for_tests(&granted, Arch::X86_64.family())
    };
    for (capability, name) in [
        (Capability::SysAdmin, "setns"),
        (Capability::SysAdmin, "bpf"),
        (Capability::Bpf, "bpf"),
        (Capability::Perfmon, "perf_event_open"),
        (Capability::SysModule, "init_module"),
        (Capability::SysTime, "clock_settime"),
        (Capability::DacReadSearch, "open_by_handle_at"),
        (Capability::SysPtrace, "kcmp"),
    ] {
        assert_eq!(on_x64(&with(capability), name, &[]), ALLOW, "{name}");
        assert_eq!(on_x64(&for_tests(&defaults(), Arch::X86_64.family()), name, &[]), EPERM, "{name}");
    }
    let mut fewer = defaults();
    fewer.remove(&Capability::SysChroot);
    assert_eq!(on_x64(&for_tests(&fewer, Arch::X86_64.family()), "chroot", &[]), EPERM);
}

#[test]
fn sockets_and_personalities_are_looked_at() {
    let program = for_tests(&defaults(), Arch::X86_64.family());
    let mut granted = defaults();
    granted.insert(Capability::AuditWrite);
    let audit = for_tests(&granted, Arch::X86_64.family());
    for (args, without, with) in [
        ([2, 1, 0], ALLOW, ALLOW),
        ([16, 3, 0], ALLOW, ALLOW),
        ([16, 3, 9], EINVAL, ALLOW),
        ([2, 1, 9], ALLOW, ALLOW),
        ([40, 1, 0], EPERM, EPERM),
        ([0x1_0000_0028, 1, 0], EPERM, EPERM), // the kernel looks at 32 bits, so must we
        ([0x7_0000_0010, 3, 0x7_0000_0009], EINVAL, ALLOW),
    ] {
        assert_eq!(on_x64(&program, "socket", &args), without, "{args:x?}");
        assert_eq!(on_x64(&audit, "socket", &args), with, "{args:x?}");
    }
    for (value, wanted) in
        [(0, ALLOW), (8, ALLOW), (0x20000, ALLOW), (0x20008, ALLOW), (0xffff_ffff, ALLOW), (0x40000, ENOSYS)]
    {
        assert_eq!(on_x64(&program, "personality", &[value]), wanted, "{value:x}");
    }
}

#[test]
fn the_oci_form_of_the_default_compiles_to_the_same_answers() {
    let spec = default_spec(&defaults());
    let text = serde_json::to_string(&spec).unwrap();
    let spec: LinuxSeccomp = serde_json::from_str(&text).unwrap();
    let filter = compile(&spec).unwrap();
    let native = Arch::NATIVE;
    let table = for_tests(&defaults(), native.family());
    for call in SYSCALLS {
        for args in [[0; 6], [40, 0, 0, 0, 0, 0], [16, 0, 9, 0, 0, 0]] {
            let Some(number) = call.number(native) else { continue };
            let there = run(&filter.program, native.audit(), number, args).0;
            assert_eq!(there, run(&table, native.audit(), number, args).0, "{}", call.name);
        }
    }
}

fn one_rule(args: &str) -> Vec<Instruction> {
    let text = format!(
        r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["ioctl"],"action":"SCMP_ACT_ALLOW","args":[{args}]}}]}}"#
    );
    let spec = Profile::parse(&text).unwrap().resolve(&defaults()).unwrap();
    profile::compile_for(&spec, Arch::X86_64).unwrap().program
}

#[test]
fn arguments_compare_as_64_bits() {
    const V: u64 = 0x5_0000_0007;
    let around = [0, 7, V - 1, V, V + 1, 0x4_ffff_ffff, 0x6_0000_0000, 0x6_0000_0007, u64::MAX];
    type Model = fn(u64) -> bool;
    let table: [(&str, Model); 6] = [
        ("EQ", |x| x == V),
        ("NE", |x| x != V),
        ("LT", |x| x < V),
        ("LE", |x| x <= V),
        ("GT", |x| x > V),
        ("GE", |x| x >= V),
    ];
    for (op, model) in table {
        let program = one_rule(&format!(r#"{{"index":1,"value":{V},"op":"SCMP_CMP_{op}"}}"#));
        for x in around {
            let wanted = if model(x) { ALLOW } else { EPERM };
            assert_eq!(on_x64(&program, "ioctl", &[0, x]), wanted, "{op} {x:x}");
        }
    }
    let masked =
        one_rule(r#"{"index":1,"value":1095216660735,"valueTwo":4294967298,"op":"SCMP_CMP_MASKED_EQ"}"#);
    // mask 0xff_0000_00ff, wanted 0x1_0000_0002
    for (x, wanted) in [(0x1_0000_0002, ALLOW), (0x1_ffff_ff02, ALLOW), (2, EPERM), (0x1_0000_0003, EPERM)] {
        assert_eq!(on_x64(&masked, "ioctl", &[0, x]), wanted, "{x:x}");
    }
}

#[test]
fn conditions_on_different_arguments_are_joined_and_on_one_are_alternatives() {
    let both =
        one_rule(r#"{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":1,"value":2,"op":"SCMP_CMP_EQ"}"#);
    let either =
        one_rule(r#"{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":0,"value":2,"op":"SCMP_CMP_EQ"}"#);
    for (args, joined, alternatives) in
        [([1, 2], ALLOW, ALLOW), ([1, 3], EPERM, ALLOW), ([2, 2], EPERM, ALLOW), ([3, 2], EPERM, EPERM)]
    {
        assert_eq!(on_x64(&both, "ioctl", &args), joined, "{args:?}");
        assert_eq!(on_x64(&either, "ioctl", &args), alternatives, "{args:?}");
    }
}

#[test]
fn all_actions_reach_the_kernel_but_notify() {
    for (name, wanted) in [
        ("KILL", 0),
        ("KILL_THREAD", 0),
        ("KILL_PROCESS", 0x8000_0000),
        ("TRAP", 0x0003_0000),
        ("ERRNO", 0x0005_0007),
        ("TRACE", 0x7ff0_0007),
        ("LOG", 0x7ffc_0000),
        ("ALLOW", 0x7fff_0000),
    ] {
        let text = format!(
            r#"{{"defaultAction":"SCMP_ACT_LOG","syscalls":[{{"name":"read","action":"SCMP_ACT_{name}","errnoRet":7}}]}}"#
        );
        let spec = Profile::parse(&text).unwrap().resolve(&defaults()).unwrap();
        let filter = profile::compile_for(&spec, Arch::X86_64).unwrap();
        assert_eq!(on_x64(&filter.program, "read", &[]), wanted, "{name}");
    }
    let text =
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"read","action":"SCMP_ACT_NOTIFY"}]}"#;
    let spec = Profile::parse(text).unwrap().resolve(&defaults()).unwrap();
    let error = crate::base::error::render(&compile(&spec).err().unwrap());
    assert!(error.contains("SCMP_ACT_NOTIFY"), "{error}");
}

#[test]
fn long_chains_jump_far() {
    let rule = |i: u64| {
        format!(
            r#"{{"names":["ioctl"],"action":"SCMP_ACT_ALLOW","args":[{{"index":1,"value":{},"op":"SCMP_CMP_EQ"}}]}}"#,
            i << 32 | i
        )
    };
    let rules: Vec<String> = (1..=300).map(rule).collect();
    let text = format!(
        r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{},{{"names":["read"],"action":"SCMP_ACT_LOG"}}]}}"#,
        rules.join(",")
    );
    let spec = Profile::parse(&text).unwrap().resolve(&defaults()).unwrap();
    let program = profile::compile_for(&spec, Arch::X86_64).unwrap().program;
    for i in [1u64, 2, 150, 299, 300] {
        assert_eq!(on_x64(&program, "ioctl", &[0, i << 32 | i]), ALLOW, "{i}");
    }
    assert_eq!(on_x64(&program, "ioctl", &[0, 301 << 32 | 301]), EPERM);
    assert_eq!(on_x64(&program, "read", &[]), action::LOG);
    let rules: Vec<String> = (1..=1500).map(rule).collect();
    let text = format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{}]}}"#, rules.join(","));
    let spec = Profile::parse(&text).unwrap().resolve(&defaults()).unwrap();
    assert!(profile::compile_for(&spec, Arch::X86_64).is_err(), "more than the kernel takes");
}

#[test]
fn conditions_of_a_rule_are_honoured() {
    let text = r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"ENOSYS","archMap":[
        {"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]},
        {"architecture":"SCMP_ARCH_AARCH64","subArchitectures":["SCMP_ARCH_ARM"]}],
      "syscalls":[
        {"names":["read","no_such_call"],"action":"SCMP_ACT_ALLOW","args":null,"includes":{"caps":["CAP_SYS_ADMIN"]}},
        {"names":["write"],"action":"SCMP_ACT_ALLOW","excludes":{"caps":["CAP_CHOWN"]}},
        {"names":["open"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["s390x"]}},
        {"names":["close"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"3.1"}},
        {"names":["lseek"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"99.1"}},
        {"names":["ioctl"],"action":"SCMP_ACT_ERRNO","errno":"EINVAL"}]}"#;
    let profile = Profile::parse(text).unwrap();
    let spec = profile.resolve(&defaults()).unwrap();
    let names: Vec<&String> =
        spec.syscalls().as_ref().unwrap().iter().flat_map(|call| call.names()).collect();
    assert_eq!(names, ["close", "ioctl"]);
    assert_eq!(spec.default_errno_ret(), Some(38));
    assert_eq!(spec.syscalls().as_ref().unwrap()[1].errno_ret(), Some(22));
    assert_eq!(spec.architectures().as_ref().unwrap().len(), 2);
    let more: Capabilities = [Capability::SysAdmin].into_iter().collect();
    assert_eq!(profile.resolve(&more).unwrap().syscalls().as_ref().unwrap().len(), 4);
}

#[test]
fn wrong_profiles_are_refused() {
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"defaultAction":"SCMP_ACT_SLEEP"}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86"}]}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ALLOW"}]}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"}]}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/run/x"}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_XX"}]}]}"#,
    ] {
        assert!(Profile::parse(bad).is_err(), "{bad}");
    }
    let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"read","action":"SCMP_ACT_TRAP","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}"#;
    assert!(compile(&Profile::parse(text).unwrap().resolve(&defaults()).unwrap()).is_err());
}

/// The profile that Debian's package installs, where it is installed.
#[test]
fn an_installed_profile_gives_what_its_text_says() {
    let path = std::path::Path::new("/usr/share/containers/seccomp.json");
    if !path.exists() {
        return;
    }
    let spec = Profile::read(path).unwrap().resolve(&defaults()).unwrap();
    let program = profile::compile_for(&spec, Arch::X86_64).unwrap().program;
    for (name, args, wanted) in [
        ("read", [0u64; 3], ALLOW),
        ("kexec_load", [0; 3], EPERM),
        ("acct", [0; 3], EPERM),
        ("io_uring_setup", [0; 3], ENOSYS),
        ("socket", [16, 0, 9], EINVAL),
        ("socket", [2, 0, 9], ALLOW),
        ("personality", [8, 0, 0], ALLOW),
    ] {
        assert_eq!(on_x64(&program, name, &args), wanted, "{name}");
    }
}

/// The default must be compiled at each `run`: keep it far below what the kernel charges for it.
#[test]
fn the_default_compiles_in_no_time() {
    let granted = defaults();
    let start = crate::base::time::thread_time();
    for _ in 0..20 {
        assert!(default_filter(&granted).len() > 100);
    }
    let each = (crate::base::time::thread_time() - start) / 20;
    println!("default filter: {} instructions, {each:?} each (this build)", default_filter(&granted).len());
    assert!(each.as_millis() < 5);
}

/// In a child of its own, since a filter stays.
#[test]
fn the_kernel_takes_the_filter() {
    let filter = default_filter(&defaults());
    let status = crate::sys::bpf::in_child(|| {
        if nix::sys::prctl::set_no_new_privs().is_err() || filter.load().is_err() {
            return 1;
        }
        let refused = |result: std::io::Result<()>, errno| {
            result.is_err_and(|error| error.raw_os_error() == Some(errno))
        };
        let vsock =
            rustix::net::socket(rustix::net::AddressFamily::VSOCK, rustix::net::SocketType::STREAM, None);
        if !refused(vsock.map(drop).map_err(Into::into), libc::EPERM) {
            return 2;
        }
        let inet =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
        if inet.is_err() { 3 } else { 0 }
    });
    assert_eq!(status, 0);
}
