#!/bin/bash
# The life of a mount: mount(8), fstab, umount, umount -l, remount, deaths of every process, refusals. One file system,
# one store; each part leaves the directory unmounted.
. "$(dirname "$0")/harness.sh"
# mount(8) looks for helpers in /sbin only. A mount namespace of our own gets one there without anybody seeing it.
if [ -z "${HOLDFAST_IN_NAMESPACE:-}" ]; then
    trap - EXIT
    rm -rf "$work"
    HOLDFAST_IN_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
fi

new_disk live ext4 1G
new_disk store ext4 1G
live=$work/live/tree store=$work/store/s
mkdir "$live" "$work/upper" "$work/workdir"
mount -t overlay overlay -o "lowerdir=/usr/sbin,upperdir=$work/upper,workdir=$work/workdir" /usr/sbin || skip "no overlay for /usr/sbin"
mounts+=(/usr/sbin)
ln -s "$helper" /usr/sbin/mount.fuse.holdfast
covered+=("$live")
echo before >"$live/before"

has_other_service() { [ -n "$(service_pid)" ] && [ "$(service_pid)" != "$1" ]; }
settled() { await 30 is_gone "$live" && await 60 is_free; }
evidence() { tail -1 "$store/last-recovery.json"; }

check "protect" protect
check "a file is written" sh -c "echo one >'$live/one'"
check "unprotect" unprotect && image_is_equal

check "mount -t" mount -t fuse.holdfast "$store" "$live"
check "the tree is there" grep -q one "$live/one"
check "written through mount(8)" sh -c "echo two >'$live/two'"
check "umount" umount "$live"
settled || fail "the session does not end after umount"
image_is_equal "after mount and umount, the image"

echo "$store $live fuse.holdfast rw,noatime,nofail,x-systemd.device-timeout=5 0 0" >"$work/fstab"
check "mount by fstab" mount -T "$work/fstab" "$live"
check "noatime arrived" grep -q " $live .*noatime.* - fuse.holdfast" /proc/self/mountinfo
check "remount read-only" mount -o remount,ro -t fuse.holdfast "$store" "$live"
refuse "a write while read-only" "Read-only" sh -c "echo no >'$live/no'"
check "remount read-write" mount -o remount,rw -t fuse.holdfast "$store" "$live"
check "a write after that" sh -c "echo yes >'$live/yes'"
refuse "a second mount" "already mounted" "$helper" "$store" "$live"

exec 7<>"$live/one"
refuse "umount while in use" "busy" umount "$live"
check "umount -l" umount -l "$live"
echo appended >>"/proc/self/fd/7" || fail "a file that was open before umount -l cannot be written"
exec 7>&-
settled || fail "the session does not end after umount -l"
image_is_equal "after umount -l, the image"
check "what was written after umount -l is there" grep -q appended "$live/one"

# Changes while the directory is bare are found, repaired in a gap, and then recorded again.
echo bare >"$live/bare" && rm "$live/two" && mv "$live/one" "$live/uno"
check "mount after changes" mount -t fuse.holdfast "$store" "$live"
check "umount again" umount "$live"
settled && image_is_equal "after changes while not mounted, the image"

check "mount for killing" mount -t fuse.holdfast "$store" "$live"
exec 7<>"$live/open-and-deleted" && rm "$live/open-and-deleted"
echo kept >&7
kill -9 "$(worker_pid)"
check "a write after the worker's death" sh -c "echo survived >'$live/survivor'"
[ "$(cat /proc/self/fd/7)" = kept ] || fail "a deleted open file lost its bytes with the worker"
exec 7>&-
# Its store service takes a while to end, with the store open; the next mount waits for that.
supervisor=$(supervisor_pid) service=$(service_pid)
kill -STOP "$service"
kill -9 "$supervisor"
await 10 sh -c "! cat '$live/survivor' >/dev/null 2>&1" || fail "the mount outlives its supervisor"
await 60 is_free || fail "the worker outlives its supervisor"
(sleep 1; kill -CONT "$service") &
check "mount over the dead mount" mount -t fuse.holdfast "$store" "$live"
check "the file is there" grep -q survived "$live/survivor"
evidence | grep -q '"action"' || fail "no evidence: $(evidence)"
kill "$(supervisor_pid)"
settled || fail "SIGTERM to the supervisor of an idle mount does not unmount it"
image_is_equal "after deaths, the image"

# Who dies has not recorded yet when exactly the last second's changes were made, nor those of what is open, which may lie segments back. Its successor does.
check "mount for changes before a death" mount -t fuse.holdfast "$store" "$live"
mkdir "$live/filled" && exec 7>"$live/written" 8>"$live/written-long-ago"
echo bytes >&8
head -c 70M /dev/zero >"$live/much" && sleep 3.5
echo entry >"$live/filled/entry" && rm "$live/yes" && echo bytes >&7
kill -9 "$(worker_pid)"
exec 7>&- 8>&-
umount "$live" && settled && image_is_equal "after a death soon after changes, the image"

# An upgrade replaces the programs under a running mount: what dies is started again from the files of its beginning.
mkdir "$work/version"
cp "$helper" "$HOLDFAST_STORE_BIN" "$work/version"
check "mount with programs that will be replaced" env HOLDFAST_STORE_BIN="$work/version/holdfast-store" "$work/version/mount.fuse.holdfast" "$store" "$live"
for program in "$work"/version/*; do rm "$program" && echo "no program" >"$program" && chmod +x "$program"; done
service=$(service_pid)
kill -9 "$(worker_pid)" "$service"
check "a write after the upgrade" sh -c "echo upgraded >'$live/upgraded'"
await 30 has_other_service "$service" || fail "no store service is started after the upgrade"
umount "$live" && settled && image_is_equal "after the programs were replaced, the image"

exec 7>"$live/held"
refuse "a mount while somebody writes beneath" "open for writing" "$helper" "$store" "$live"
is_mounted "$live" && fail "the refused mount is still there"
check "allow_bypass" "$helper" "$store" "$live" -o allow_bypass
echo unseen >&7
refuse "a bookmark while bypassed" "allow_bypass" "$holdfast" bookmark create b --volume "$live"
exec 7>&-
umount "$live" && settled
check "mount after the bypass" mount -t fuse.holdfast "$store" "$live"
check "a bookmark" "$holdfast" bookmark create b --volume "$live"
umount "$live" && settled && image_is_equal "after a bypass, the image"

# A mount namespace with a copy of the mount, as a container has: who waits for its end is told.
has_copy() { grep -q " $live .* - fuse.holdfast " "/proc/$copy/mountinfo"; }
check "mount to be copied" mount -t fuse.holdfast "$store" "$live"
unshare --mount --propagation private sleep 60 &
copy=$!
await 10 has_copy || fail "there is no copy of the mount"
"$holdfast" unprotect "$live" >"$work/said" 2>&1 &
unprotect=$!
await 20 grep -q "process $copy (sleep) has a copy" "$work/said" || fail "unprotect does not tell of the copy: $(cat "$work/said")"
kill "$copy"
wait "$unprotect" || fail "unprotect fails after a copy: $(cat "$work/said")"
image_is_equal "after a copy went, the image"

# The kernel gives the number of a mount that is gone to the next one, which may be another volume's: a supervisor that comes late to look leaves it alone.
number() { awk -v at="$1" '$5 == at { found = $3 } END { print found }' /proc/self/mountinfo; }
other=$work/live/other
mkdir "$other"
check "protect another" "$holdfast" protect "$other" --store "$work/store/o"
check "unprotect it" "$holdfast" unprotect "$other"
for attempt in 1 2 3 4 5; do
    check "mount once more" mount -t fuse.holdfast "$store" "$live"
    was=$(number "$live")
    supervisor=$(supervisor_pid)
    kill -STOP "$supervisor"
    umount "$live"
    check "mount the other" mount -t fuse.holdfast "$work/store/o" "$other"
    has_it=$([ "$(number "$other")" = "$was" ] && echo yes)
    kill -CONT "$supervisor"
    settled || fail "the session does not end after its supervisor slept"
    is_mounted "$other" || fail "a supervisor took away the mount of another volume"
    umount "$other"
    [ -z "$has_it" ] || break
done
[ -n "$has_it" ] || fail "the other mount never had the number"
await 30 is_gone "$other"

refuse "no such store" "no-store" "$helper" "$work/no-store" "$live"
refuse "no such directory" "nowhere" "$helper" "$store" "$work/nowhere"
refuse "another directory" "belongs to" "$helper" "$store" "$work/store"
refuse "an unknown option" "cache=yes" "$helper" "$store" "$live" -o cache=yes
mkdir "$live/below"
check "only checking" "$helper" -f "$store" "$live"
is_mounted "$live" && fail "-f mounted"
rmdir "$live/below"
finish
