#!/usr/bin/env python3
"""The mount of the past under ordinary programs, and the store service's own death.

A tree with everything that a tree can have is bookmarked twice, with much changed in between; rsync keeps a witness of both
states. Then every program that reads trees must find the witness in the past, as a database on an overlay would, and
all of that again after the service was killed.
"""
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from verdict import check, ended
from volume import Mounts, control, run

BUILD = Path(os.environ.get("HOLDFAST_BUILD_DIR", "build/dev")).resolve()
def differences(left, right):
    return run("rsync", "-naHAX", "--modify-window=-1", "--checksum", "--delete", "--itemize-changes", f"{left}/", f"{right}/").strip()


def make_tree(tree, dice):
    for number in range(300):
        place = tree / f"d{number % 12}" / f"e{number % 5}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"f{number}").write_bytes(dice.randbytes(dice.randrange(0, 40000)))
    (tree / "large").write_bytes(dice.randbytes(9 << 20))
    with open(tree / "sparse", "wb") as stream:
        stream.truncate(50 << 20)
        for place in range(0, 50 << 20, 7 << 20):
            stream.seek(place)
            stream.write(dice.randbytes(5000))
    (tree / "onlyhole").touch()
    os.truncate(tree / "onlyhole", 1 << 20)
    os.link(tree / "large", tree / "d1" / "large-again")
    (tree / "link").symlink_to("d1/large-again")
    (tree / "dangling").symlink_to("/nowhere/at/all")
    os.mkfifo(tree / "fifo")
    os.mknod(tree / "device", 0o600 | 0o020000, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "sock"))
    os.setxattr(tree / "large", "user.note", b"\x00binary\xff")
    os.setxattr(tree / "d2", "trusted.mark", b"root only")
    os.chmod(tree / "d3", 0o2750)
    os.chown(tree / "d3", 1234, 4321)
    (tree / "secret").write_text("for root")
    os.chmod(tree / "secret", 0o600)
    (tree / os.fsdecode(b"strange \xff\n name")).write_text("x")
    run("setfacl", "-m", "u:1234:r", tree / "secret")
    run("setfacl", "-d", "-m", "u:1234:rwx", tree / "d4")
    deep = tree / "deep"
    for level in range(60):
        deep = deep / f"level{level}"
    deep.mkdir(parents=True)
    (deep / "bottom").write_text("deep down")


def change_tree(tree, dice):
    for path in sorted(tree.glob("d*/e*/f*"))[::2]:
        with open(path, "r+b") as stream:
            stream.seek(dice.randrange(0, 20000))
            stream.write(dice.randbytes(3000))
    run("rm", "-rf", tree / "d5", tree / "deep")
    (tree / "d6").rename(tree / "moved")
    os.truncate(tree / "large", 1 << 20)
    run("fallocate", "--punch-hole", "-o", 65536, "-l", 131072, tree / "large")
    run("fallocate", "-o", 1 << 20, "-l", 1 << 20, tree / "sparse")
    os.setxattr(tree / "large", "user.note", b"changed")
    os.unlink(tree / "link")
    (tree / "link").write_text("a file now")
    os.chmod(tree / "secret", 0o644)
    os.mkdir(tree / "d5")
    (tree / "d5" / "new").write_text("new")


def digest(directory):
    """Names, types, sizes, times and bytes below a directory in one number, the way a program that walks finds them."""
    sums = hashlib.sha256()
    for place, directories, files in os.walk(directory, followlinks=False):
        directories.sort()
        for name in sorted(files + directories):
            path = os.path.join(place, name)
            status = os.lstat(path)
            sums.update(os.fsencode(os.path.relpath(path, directory)))
            sums.update(f"{status.st_mode} {status.st_uid} {status.st_gid} {status.st_mtime_ns} {status.st_nlink if not os.path.isdir(path) else 0}".encode())
            if os.path.islink(path):
                sums.update(os.fsencode(os.readlink(path)))
            elif os.path.isfile(path):
                with open(path, "rb") as stream:
                    sums.update(hashlib.file_digest(stream, "sha256").digest() if hasattr(hashlib, "file_digest") else hashlib.sha256(stream.read()).digest())
    return sums.hexdigest()


def programs(past, name, witness, work):
    """Each of them reads the moment in its own way and must find the witness."""
    moment = past / f"@{name}"
    check(f"rsync --checksum of @{name}", differences(witness, moment))
    check(f"walking @{name}", digest(moment) != digest(witness) and "another digest than the witness")
    found = subprocess.run(["diff", "-r", "--no-dereference", moment / "d1", witness / "d1"], capture_output=True, text=True)
    check(f"diff -r of @{name}", found.stdout + found.stderr)
    copy = work / "copy"
    for what, command in (("cp -a", f'cp -a "{moment}/." "{copy}"'), ("tar", f'tar -C "{moment}" --xattrs --xattrs-include="*" --acls -Scf - . | tar -C "{copy}" --xattrs --xattrs-include="*" --acls -xpf -')):
        copy.mkdir()
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
        # tar does not archive sockets, and says so.
        (copy / "sock").unlink(missing_ok=True)
        (copy / "sock").touch()
        listed = [line for line in differences(witness, copy).splitlines() if not line.endswith((" sock", " ./"))]
        check(f"{what} of @{name}", [line for line in done.stderr.splitlines() if "socket ignored" not in line] + listed)
        # A preallocated megabyte may look like data once it was read: ext4 goes by the page cache there.
        spare = 64 + (2048 if name == "two" else 0)
        check(f"{what} keeps the holes of @{name}", os.stat(copy / "sparse").st_blocks > os.stat(witness / "sparse").st_blocks + spare and "the copy is larger")
        run("rm", "-rf", copy)
    listed = run("find", moment, "-printf", "%i %y %n %P\\0", errors="surrogateescape").split("\0")[:-1]
    numbers = {}
    for line in listed:
        number, kind, links, path = (line.split(" ", 3) + [""])[:4]
        numbers.setdefault(number, []).append((kind, links, path))
    clash = [entries for entries in numbers.values() if len(entries) > 1 and len(entries) != int(entries[0][1])]
    check(f"find: inode numbers of @{name}", clash)


def permissions(past):
    def as_user(*command):
        return subprocess.run(["setpriv", "--reuid", "1234", "--regid", "1234", "--clear-groups", *map(str, command)], capture_output=True, text=True)

    def as_other(*command):
        return subprocess.run(["setpriv", "--reuid", "1235", "--regid", "1235", "--clear-groups", *map(str, command)], capture_output=True, text=True)

    check("another user is let in by the ACL of the moment", as_user("cat", past / "@one/secret").stderr)
    check("another user is kept out by the mode of the moment", as_other("cat", past / "@one/secret").returncode == 0 and "it was read")
    check("another user reads what was opened later", as_other("cat", past / "@two/secret").stderr)
    check("trusted names are root's", "trusted" in as_other("getfattr", "-m", "-", past / "@one/d2").stdout and "listed")


def overlay(past, witness, work):
    place = work / "overlay"
    for part in ("upper", "work", "merged"):
        (place / part).mkdir(parents=True)
    run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={past}/@one,upperdir={place}/upper,workdir={place}/work", place / "merged")
    try:
        merged = place / "merged"
        check("an overlay shows the moment", digest(merged) != digest(witness) and "another digest than the witness")
        with open(merged / "large", "r+b") as stream:
            stream.write(b"changed")
        (merged / "d1" / "large-again").unlink()
        run("rm", "-rf", merged / "d2")
        (merged / "d2").mkdir()
        check("an overlay can be written", sorted(os.listdir(merged / "d2")))
        check("what was written lies above", open(merged / "large", "rb").read(7) != b"changed" and "it is lost")
    finally:
        run("umount", place / "merged")
        run("rm", "-rf", place)
    check("the moment beneath an overlay stays as it is", differences(witness, past / "@one"))


def wait_for(what, condition, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return check(what, None)
        except (OSError, ValueError, KeyError, SystemExit):
            pass
        time.sleep(0.05)
    check(what, f"not within {seconds} s")


def kill_service(mounts):
    pid = control(mounts, "store.sock", {"verb": "status"})["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_for("the service comes back", lambda: control(mounts, "store.sock", {"verb": "status"})["pid"] != pid)


def death(mounts, past, second, witness):
    live = mounts.directories["protected"]
    mounts.holdfast("mount-past", live, second)
    held = os.open(past / "@one" / "large", os.O_RDONLY)
    kill_service(mounts)
    wait_for("the past is mounted again where it was", lambda: digest(past / "@one") == digest(witness))
    wait_for("at every place", lambda: "@one" in os.listdir(second))
    try:
        os.pread(held, 1, 8 << 20)
        os.pread(held, 1, 0)
    except OSError:
        pass  # what the dead mount had open is dead, or comes from the page cache
    os.close(held)
    run("umount", second)
    wait_for("an unmounted place is forgotten", lambda: control(mounts, "store.sock", {"verb": "status"})["past_mounts"] == 1)
    kill_service(mounts)
    wait_for("it is mounted again", lambda: "@two" in os.listdir(past))
    check("a place that was unmounted stays so", os.listdir(second))


def refusals(mounts, past, work):
    live = mounts.directories["protected"]
    (work / "file").touch()
    for what, place, sentence in (("inside the volume", live / "d1", "protected directory"), ("inside the store", mounts.store / "image", "store"),
                                  ("a file", work / "file", "no directory"), ("nothing", work / "nothing", "nothing"), ("twice", past, "already")):
        done = subprocess.run([mounts.build / "tools/holdfast", "mount-past", live, place], env=mounts.environment, capture_output=True, text=True)
        check(f"mount-past {what} is refused with a sentence", (done.returncode == 0 or sentence not in done.stderr + done.stdout) and f"{done.returncode} {done.stderr}")
    for name in ("@never", "@lsn:999999999999999", "@2001-01-01", "one"):
        check(f"{name} is not there", os.path.exists(past / name) and "it is")
    try:
        (past / "@one" / "x").touch()
        check("the past cannot be written", "it was")
    except OSError as error:
        check("the past cannot be written", error.errno != 30 and error)


def main():
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        print("skipped: needs root and /dev/fuse")
        sys.exit(77)
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else time.time_ns() % 10 ** 9
    print(f"seed {seed}", flush=True)
    dice = random.Random(seed)
    work = Path(tempfile.mkdtemp(prefix="past-", dir=BUILD)).resolve()
    os.chmod(work, 0o755)
    try:
        with Mounts(work, BUILD, kinds=("protected",)) as mounts:
            live = mounts.directories["protected"]
            make_tree(live, dice)
            mounts.holdfast("bookmark", "create", "one", "--volume", live)
            run("rsync", "-aHAXS", "--modify-window=-1", f"{live}/", work / "one")
            change_tree(live, dice)
            mounts.holdfast("bookmark", "create", "two", "--volume", live)
            run("rsync", "-aHAXS", "--modify-window=-1", f"{live}/", work / "two")
            run("rm", "-rf", live / "d7", live / "sparse")
            past, second = work / "past", work / "second"
            past.mkdir()
            second.mkdir()
            mounts.holdfast("mount-past", live, past)
            try:
                check("the bookmarks are listed", sorted(os.listdir(past)) != ["@one", "@two"] and os.listdir(past))
                for name in ("one", "two"):
                    programs(past, name, work / name, work)
                permissions(past)
                overlay(past, work / "one", work)
                refusals(mounts, past, work)
                mounts.holdfast("bookmark", "rename", "two", "zwei", "--volume", live)
                wait_for("a renamed bookmark is seen", lambda: sorted(os.listdir(past)) == ["@one", "@zwei"] and not os.path.exists(past / "@two"))
                mounts.holdfast("bookmark", "rename", "zwei", "two", "--volume", live)
                death(mounts, past, second, work / "one")
            finally:
                for place in (past, second):
                    if os.path.ismount(place):
                        run("umount", "-l", place)
    finally:
        subprocess.run(["rm", "-rf", work])
    ended()


if __name__ == "__main__":
    main()
