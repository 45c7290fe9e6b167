# What every script here stands on; sourced, not run. It makes file systems on loop devices, protects directories, and
# takes everything back at the end, by its own names and numbers, also when a script is stopped or fails.
#
#   $work/NAME.img  --loop-->  $work/NAME       new_disk NAME KIND SIZE [mount options]
#   $live           the directory that is protected; $store its store
#
# Exit status: 0 good, 1 a difference, 77 skipped with a reason.
set -u

build=${HOLDFAST_BUILD_DIR:?the directory of the build}
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }
[ -e /dev/fuse ] || { echo "skipped: needs /dev/fuse"; exit 77; }

work=$(mktemp -d /tmp/holdfast-system-XXXXXX)
export HOLDFAST_STATE_DIR=$work/state HOLDFAST_RUN_DIR=$work/run
export HOLDFAST_STORE_BIN=$build/rewind/holdfast-store HOLDFAST_MOUNT_BIN=$build/fusefs/mount.fuse.holdfast
holdfast=$build/tools/holdfast
helper=$build/fusefs/mount.fuse.holdfast
live= store=
loops=()      # devices, in the order in which they were made
mounts=()     # mount points of ours that are no protected directories
covered=()    # directories that may be protected
failures=0

fail() { echo "FAILED: $*"; failures=$((failures + 1)); }
skip() { echo "skipped: $*"; exit 77; }
# check WHAT COMMAND...: the command must succeed.
check() {
    local what=$1
    shift
    "$@" >"$work/output" 2>&1 || { fail "$what"; tail -20 "$work/output"; return 1; }
}
# refuse WHAT PATTERN COMMAND...: the command must fail and say what matches PATTERN.
refuse() {
    local what=$1 pattern=$2
    shift 2
    "$@" >"$work/output" 2>&1 && { fail "$what: it succeeded"; return 1; }
    grep -q -- "$pattern" "$work/output" || { fail "$what: it does not say '$pattern' but"; cat "$work/output"; return 1; }
}

# Waits until CONDITION (a command) holds, at most SECONDS.
await() {
    local seconds=$1 tries
    shift
    for ((tries = seconds * 50; tries > 0; --tries)); do
        "$@" && return 0
        sleep 0.02
    done
    return 1
}

make_file_system() { # KIND DEVICE MOUNT-OPTIONS
    case $1 in
        # The quota feature has to be there from the beginning, and not every kernel can mount it.
        ext4) [ "$3" = usrquota ] && mkfs.ext4 -q -F -O quota "$2" || mkfs.ext4 -q -F "$2" ;;
        xfs) mkfs.xfs -q -f "$2" ;;
        btrfs) mkfs.btrfs -q -f "$2" ;;
        *) skip "unknown kind of file system: $1" ;;
    esac
}
new_disk() { # NAME KIND SIZE [OPTIONS]
    local loop
    command -v "mkfs.$2" >/dev/null || skip "no mkfs.$2"
    truncate -s "$3" "$work/$1.img" && mkdir -p "$work/$1" || exit 1
    loop=$(losetup -f --show "$work/$1.img") || skip "no loop device"
    loops+=("$loop")
    make_file_system "$2" "$loop" "${4:-}" >"$work/output" 2>&1 || { cat "$work/output"; skip "mkfs.$2 fails"; }
    mount ${4:+-o "$4"} "$loop" "$work/$1" || skip "$2 cannot be mounted here"
    mounts+=("$work/$1")
}

# Protects $live with $store.
protect() { covered+=("$live"); "$holdfast" protect "$live" --store "$store" "$@" >"$work/output" 2>&1 || { cat "$work/output"; return 1; }; }
unprotect() { "$holdfast" unprotect "$live" >"$work/output" 2>&1 || { cat "$work/output"; return 1; }; }
# The process ids of the supervisor and of the worker of $live.
supervisor_pid() { pgrep -f "mount.fuse.holdfast $store $live( |$)" | head -1; }
worker_pid() { pgrep -P "$(supervisor_pid)" -f -- "--worker" | head -1; }
service_pid() { pgrep -P "$(supervisor_pid)" -f "holdfast-store run" 2>/dev/null | head -1; }
is_mounted() { grep -q " $1 .* - fuse.holdfast " /proc/self/mountinfo; }
is_gone() { ! is_mounted "$1"; }
# Nobody holds the store's lock any more: the session is over, everything is applied.
is_free() { flock -n "$store/lock" true; }

# The image equals the tree, by our own comparison and by rsync.
image_is_equal() {
    "$build/test/system/tree_compare" "$live" "$store/image" >"$work/output" || { fail "${1:-image} differs from the tree"; tail -45 "$work/output"; return 1; }
    # Trees that are deeper than a path can be long are beyond rsync.
    rsync -nai -HAX --modify-window=-1 --checksum --delete --exclude=name.beyond_path_max --filter='-x trusted.holdfast.*' "$live/" "$store/image/" >"$work/output" 2>&1
    [ -s "$work/output" ] && { fail "rsync sees a difference between ${1:-image} and tree"; head -20 "$work/output"; return 1; }
    return 0
}

take_back() {
    local directory
    cd /
    for directory in "${covered[@]}"; do
        is_mounted "$directory" || continue
        umount "$directory" 2>/dev/null || umount -l "$directory"
    done
    [ -n "$store" ] && [ -e "$store/lock" ] && await 60 is_free
    for ((i = ${#mounts[@]} - 1; i >= 0; --i)); do await 5 umount "${mounts[i]}" 2>/dev/null || umount -l "${mounts[i]}"; done
    for directory in "${loops[@]}"; do losetup -d "$directory"; done
    [ "${HOLDFAST_KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"
}
trap take_back EXIT
trap 'exit 1' INT TERM HUP

finish() {
    [ $failures = 0 ] && echo "all good" && exit 0
    echo "$failures failures"
    exit 1
}
