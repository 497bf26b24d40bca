#!/usr/bin/env bash
# Cgroup v2 for real, on the kernel of Debian stable, in a virtual machine (software emulation, about a minute): limits,
# memory kills, pause, device rules, rootless without sub-ids, delegated and not. Not part of `make test`.
# Needs: qemu-system-x86 cpio busybox-static, and apt to fetch Debian's cloud kernel. Run as root.
set -euo pipefail
cd "$(dirname "$0")/.."

work=${VM_DIR:-$(mktemp -d /tmp/dhow-vm.XXXXXX)}
binary=${1:-target/x86_64-unknown-linux-musl/debug/dhow}
root=$work/root
mkdir -p "$root"/{bin,etc,proc,sys,dev,tmp,run,root,var/tmp,home/u,modules,image/bin,image/etc}

if ! ls "$work"/kernel/boot/vmlinuz-* >/dev/null 2>&1; then
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends/ {print $2; exit}')
    (cd "$work" && apt-get download -q "$package" >/dev/null && dpkg-deb -x "$package"_*.deb kernel)
fi
cp "$work"/kernel/lib/modules/*/kernel/fs/overlayfs/overlay.ko "$root/modules/"
cp /bin/busybox "$root/bin/"
for applet in $(busybox --list | grep -vx busybox); do ln -sf busybox "$root/bin/$applet"; done
cp "$binary" "$root/bin/dhow"

cp /bin/busybox "$root/image/bin/"
for applet in sh cat dd head grep sleep id true; do ln -sf busybox "$root/image/bin/$applet"; done
echo root:x:0:0:root:/:/bin/sh >"$root/image/etc/passwd"
echo root:x:0: >"$root/image/etc/group"
tar -C "$root/image" --owner=0 --group=0 -cf "$root/image.tar" bin etc
rm -r "$root/image"

cat >"$root/init" <<'GUEST'
#!/bin/sh
# The initramfs cannot be pivoted away: the system moves to a tmpfs first.
mkdir -p /new && mount -t tmpfs -o size=1200m,mode=755 tmpfs /new
for part in bin etc proc sys dev tmp run root var home modules main image.tar user.sh; do cp -a /$part /new/; done
exec switch_root /new /main
GUEST
cat >"$root/main" <<'GUEST'
#!/bin/sh
export PATH=/bin HOME=/root
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup; insmod /modules/overlay.ko; ifconfig lo up
mkdir /sys/fs/cgroup/init
for pid in $(cat /sys/fs/cgroup/cgroup.procs); do echo "$pid" >/sys/fs/cgroup/init/cgroup.procs; done 2>/dev/null

check() { # NAME WANTED COMMAND...
    name=$1 wanted=$2; shift 2
    got=$(timeout 60 "$@" 2>&1); got=$(echo "$got" | tr '\n' ' ')
    case "$got" in *"$wanted"*) echo "ok $name";; *) echo "FAILED $name: wanted '$wanted', got '$got'";; esac
}
in="run --rm --network none vm"
check "host is v2" v2 dhow info --format '{{.Host.CgroupVersion}}'
check import sha256 dhow import -c 'ENV PATH=/bin' /image.tar vm
check memory 67108864 dhow run --rm --network none -m 64m vm cat /sys/fs/cgroup/memory.max
check cpus "50000 100000" dhow run --rm --network none --cpus 0.5 vm cat /sys/fs/cgroup/cpu.max
check pids 77 dhow run --rm --network none --pids-limit 77 vm cat /sys/fs/cgroup/pids.max
check "pids by default" 2048 dhow $in cat /sys/fs/cgroup/pids.max
check "cgroup namespace" "0::/ " dhow $in cat /proc/self/cgroup
check "memory kill" Killed dhow run --name oom -m 16m --network none vm sh -c 'head -c 100000000 /dev/zero | grep x'
check "memory kill is told" "true 137" dhow inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' oom
check start "" dhow run -d --name p --network none vm sleep 100
check pause p dhow pause p
check paused paused dhow inspect -f '{{.State.Status}}' p
check unpause p dhow unpause p
check exec "0::/ " dhow exec p cat /proc/self/cgroup
check stop p dhow stop -t 0 p
check "devices are closed" "not permitted" dhow run --rm --network none --cap-add mknod vm sh -c 'busybox mknod /d c 1 11; cat /d'
check "a device rule opens" "" dhow run --rm --network none --cap-add mknod --device-cgroup-rule 'c 1:11 r' vm sh -c 'busybox mknod /d c 1 11; head -c 1 /d >/dev/null'
check "remove" "" dhow rm -fa
check "nothing is left" "" sh -c 'ls -d /sys/fs/cgroup/dhow/*/ 2>/dev/null'

echo 'u:x:1000:1000::/home/u:/bin/sh' >/etc/passwd; echo 'u:x:1000:' >/etc/group
mkdir -p /run/user/1000; chown 1000:1000 /home/u /run/user/1000; chmod 1777 /tmp
wanted="not ours to use" su u -s /bin/sh /user.sh
slice=/sys/fs/cgroup/user
mkdir -p $slice; echo "+memory +pids +cpu" >/sys/fs/cgroup/cgroup.subtree_control
echo "+memory +pids +cpu" >$slice/cgroup.subtree_control
mkdir -p $slice/own/shell; chown -R 1000:1000 $slice/own
wanted=67108864 sh -c 'echo $$ >/sys/fs/cgroup/user/own/shell/cgroup.procs; exec su u -s /bin/sh /user.sh'
echo END; poweroff -f
GUEST
cat >"$root/user.sh" <<'GUEST'
export PATH=/bin HOME=/home/u XDG_RUNTIME_DIR=/run/user/1000
cd /
got=$(dhow run --rm dhow-hello 2>&1)
case "$got" in *"0 -> 1000 (1)"*) echo "ok a user without sub-ids";; *) echo "FAILED a user without sub-ids: $got";; esac
dhow import -c 'ENV PATH=/bin' /image.tar vm >/dev/null 2>&1
got=$(dhow run --rm --network none -m 64m vm cat /sys/fs/cgroup/memory.max 2>&1)
case "$got" in *"$wanted"*) echo "ok rootless limit: $wanted";; *) echo "FAILED rootless limit: $got";; esac
GUEST
chmod +x "$root/init" "$root/main"

(cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initrd.gz"
timeout 300 qemu-system-x86_64 -M q35 -cpu max -m 3000 -nographic -no-reboot -kernel "$work"/kernel/boot/vmlinuz-* \
    -initrd "$work/initrd.gz" -append "console=ttyS0 panic=-1 quiet" </dev/null >"$work/log" 2>&1 || true
tr -d '\r' <"$work/log" | grep -E '^(ok|FAILED|END)' || true
grep -q END "$work/log" || { echo "the machine did not reach its end: $work/log"; exit 1; }
! grep -q FAILED "$work/log"
