#!/usr/bin/env python3
"""Bad input of every kind: each gets one sentence that says what is wrong and what to do, an exit code, and changes nothing.

    bad_input.py [NAME ...]      only the cases of these names
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = Path(os.environ.get("HOLDFAST_BUILD_DIR", "build/dev")).resolve()
USAGE, NOT_FOUND, REFUSED, DAMAGED, FAILED, UNAVAILABLE = 2, 3, 4, 5, 6, 7


class Place:
    """One case's directories: a tree to protect, a store, and the command with its own state."""

    def __init__(self):
        self.work = Path(tempfile.mkdtemp(prefix="bad-", dir=BUILD)).resolve()
        self.live, self.store = self.work / "live", self.work / "store"
        self.live.mkdir()
        (self.live / "file").write_text("contents\n")
        (self.live / "sub").mkdir()
        self.environment = dict(os.environ, HOLDFAST_STATE_DIR=str(self.work / "state"), HOLDFAST_RUN_DIR=str(self.work / "run"),
                                HOLDFAST_STORE_BIN=str(BUILD / "rewind/holdfast-store"),
                                HOLDFAST_MOUNT_BIN=str(BUILD / "fusefs/mount.fuse.holdfast"))
        self.loops, self.mounted = [], []

    def holdfast(self, *words, prefix=()):
        return subprocess.run([str(w) for w in (*prefix, BUILD / "tools/holdfast", *words)], capture_output=True, text=True, env=self.environment,
                              timeout=180, stdin=subprocess.DEVNULL)

    def protect(self, *more):
        done = self.holdfast("protect", self.live, "--store", self.store, *more)
        assert done.returncode == 0, done.stderr
        return done

    def unprotect(self):
        done = self.holdfast("unprotect", self.live)
        assert done.returncode == 0, done.stderr

    def small_disk(self, mount_point, size_mib, options="rw"):
        image = self.work / f"disk{len(self.loops)}.img"
        mount_point.mkdir(exist_ok=True)
        subprocess.run(["truncate", "-s", f"{size_mib}M", image], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        loop = subprocess.run(["losetup", "-f", "--show", image], check=True, capture_output=True, text=True).stdout.strip()
        self.loops.append(loop)
        subprocess.run(["mount", "-o", options, loop, mount_point], check=True)
        self.mounted.append(mount_point)

    def close(self):
        if os.path.ismount(self.live):
            self.holdfast("unprotect", self.live)
        if os.path.ismount(self.live) and self.live not in self.mounted:
            subprocess.run(["umount", "-l", self.live])
        for mount_point in reversed(self.mounted):
            subprocess.run(["umount", mount_point])
        for loop in self.loops:
            subprocess.run(["losetup", "-d", loop])
        shutil.rmtree(self.work, ignore_errors=True)


def digest(*trees):
    """Names, modes and contents of everything below TREES."""
    sum_of_all = hashlib.sha256()
    for tree in trees:
        for directory, names, files in os.walk(tree):
            names.sort()
            for name in sorted(files) + names:
                path = Path(directory) / name
                info = path.lstat()
                sum_of_all.update(f"{path} {info.st_mode}".encode())
                if path.is_file() and not path.is_symlink():
                    sum_of_all.update(path.read_bytes())
    return sum_of_all.hexdigest()


def refused(place, done, code, *words):
    """One sentence on standard error that has all of WORDS, and the exit code."""
    text = done.stderr.strip()
    assert done.returncode == code, f"exit {done.returncode}, expected {code}: {text} {done.stdout}"
    lines = [line for line in text.splitlines() if line.startswith("holdfast: ")]
    assert len(lines) == 1 and len(lines[0]) > 30, f"not one sentence: {text}"
    for word in words:
        assert word.lower() in text.lower(), f"the sentence does not speak of {word!r}: {text}"
    print(f"    {lines[0]}")


def unchanged(place, act, *trees):
    before = digest(*(trees or (place.live,)))
    act()
    assert digest(*(trees or (place.live,))) == before, "something was changed"


# ---- Protecting ---------------------------------------------------------------------------------------------------


def protect_what_is_not_there(p):
    refused(p, p.holdfast("protect", p.work / "none", "--store", p.store), NOT_FOUND, "none")
    assert not p.store.exists()


def protect_a_file(p):
    refused(p, p.holdfast("protect", p.live / "file", "--store", p.store), USAGE, "not a directory")
    assert not p.store.exists()


def store_inside_the_tree(p):
    unchanged(p, lambda: refused(p, p.holdfast("protect", p.live, "--store", p.live / "sub/store"), USAGE, "inside"))


def tree_inside_the_store(p):
    unchanged(p, lambda: refused(p, p.holdfast("protect", p.live, "--store", p.work), USAGE, "inside"))


def journal_inside_the_tree(p):
    unchanged(p, lambda: refused(p, p.holdfast("protect", p.live, "--store", p.store, "--journal", p.live / "j"), USAGE, "inside"))
    assert not p.store.exists()


def store_that_is_somebody_elses(p):
    p.store.mkdir()
    (p.store / "important").write_text("data")
    unchanged(p, lambda: refused(p, p.holdfast("protect", p.live, "--store", p.store), REFUSED, "empty"), p.live, p.store)


def second_protect(p):
    p.protect()
    other = p.work / "other"
    refused(p, p.holdfast("protect", p.live, "--store", other), REFUSED, "already")
    assert not other.exists()


def nested_protect(p):
    p.protect()
    refused(p, p.holdfast("protect", p.live / "sub", "--store", p.work / "other"), REFUSED, "already protected")
    refused(p, p.holdfast("protect", p.work, "--store", "/var/tmp/hf-none-store"), REFUSED, "protected")
    assert not Path("/var/tmp/hf-none-store").exists()


def store_of_another_directory(p):
    p.protect()
    p.unprotect()
    other = p.work / "other"
    other.mkdir()
    refused(p, p.holdfast("protect", other, "--store", p.store), USAGE, "belongs")


def somebody_has_a_file_open_for_writing(p):
    with open(p.live / "file", "a"):
        refused(p, p.holdfast("protect", p.live, "--store", p.store), REFUSED, "open for writing")
    assert not os.path.ismount(p.live)
    p.protect()


def no_fuse(p):
    script = ("mount -t tmpfs tmpfs /mnt && for d in null zero urandom random tty; do touch /mnt/$d && mount --bind /dev/$d /mnt/$d; done && "
              "mount --move /mnt /dev && exec \"$@\"")
    done = p.holdfast("protect", p.live, "--store", p.store, prefix=("unshare", "-m", "sh", "-c", script, "sh"))
    refused(p, done, REFUSED, "/dev/fuse")
    assert not p.store.exists()


def as_an_ordinary_user(p):
    done = p.holdfast("protect", p.live, "--store", p.store, prefix=("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"))
    refused(p, done, REFUSED, "root")


def store_on_a_read_only_disk(p):
    p.small_disk(p.work / "disk", 16, "ro")
    unchanged(p, lambda: refused(p, p.holdfast("protect", p.live, "--store", p.work / "disk/store"), REFUSED, "read-only"))


def tree_on_a_read_only_disk(p):
    shutil.rmtree(p.live)
    p.small_disk(p.live, 16)
    (p.live / "kept").write_text("kept")
    subprocess.run(["mount", "-o", "remount,ro", p.live], check=True)
    p.protect()
    try:
        (p.live / "new").write_text("x")
        raise AssertionError("a read-only tree was written")
    except OSError as error:
        assert error.errno == 30, error
    assert (p.live / "kept").read_text() == "kept"


def full_store_disk(p):
    (p.live / "big").write_bytes(os.urandom(40 << 20))
    p.small_disk(p.work / "disk", 24)
    unchanged(p, lambda: refused(p, p.holdfast("protect", p.live, "--store", p.work / "disk/store"), FAILED, "space"))
    assert not os.path.ismount(p.live)


# ---- Journal and store --------------------------------------------------------------------------------------------


def protected_and_stopped(p):
    p.protect()
    for number in range(20):
        (p.live / f"n{number}").write_bytes(os.urandom(5000))
    p.unprotect()


def volume_file_damaged(p):
    protected_and_stopped(p)
    (p.store / "volume.toml").write_bytes(b"\x00\xff garbage [[[")
    unchanged(p, lambda: refused(p, p.holdfast("protect", p.live, "--store", p.store), DAMAGED, "volume.toml"), p.live, p.store / "image")


def volume_file_unreadable(p):
    protected_and_stopped(p)
    (p.store / "volume.toml").unlink()
    (p.store / "volume.toml").mkdir()
    done = p.holdfast("protect", p.live, "--store", p.store)
    assert done.returncode in (DAMAGED, FAILED, REFUSED), done
    refused(p, done, done.returncode, "volume.toml")


def flip(path, offset):
    with open(path, "r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)
        stream.seek(offset)
        stream.write(bytes([byte[0] ^ 0x40]))


def journal_middle_damaged(p):
    """Damage in what the journal had promised: told, put into a gap, the rest compared; nothing silent."""
    protected_and_stopped(p)
    segments = sorted((p.store / "journal").glob("*.seg"))
    flip(segments[0], 4096 + 200)
    done = p.holdfast("protect", p.live, "--store", p.store)
    if done.returncode == 0:
        status = json.loads(p.holdfast("status", p.live, "--json").stdout)
        assert status["volumes"][0]["in_gap"] is False
        recovery = (p.store / "last-recovery.json").read_text()
        print(f"    {recovery.strip()[:200]}")
    else:
        refused(p, done, DAMAGED, "journal")


def journal_of_another_volume(p):
    protected_and_stopped(p)
    other = Place()
    try:
        protected_and_stopped(other)
        shutil.rmtree(p.store / "journal")
        shutil.copytree(other.store / "journal", p.store / "journal")
    finally:
        other.close()
    unchanged(p, lambda: refused(p, p.holdfast("protect", p.live, "--store", p.store), DAMAGED, "another volume"), p.live, p.store / "image")


def undo_log_damaged(p):
    protected_and_stopped(p)
    segments = sorted((p.store / "undo").iterdir())
    flip(segments[0], 128 + 100)
    done = p.holdfast("verify", p.live)
    assert done.returncode in (1, DAMAGED), done
    print(f"    {(done.stderr or done.stdout).strip().splitlines()[0]}")


def index_removed(p):
    """The index is derived: without it the store makes a new one from the undo log, or says why not."""
    protected_and_stopped(p)
    shutil.rmtree(p.store / "index")
    (p.store / "index").mkdir()
    done = p.holdfast("protect", p.live, "--store", p.store)
    if done.returncode == 0:
        p.holdfast("wait", p.live)
        assert p.holdfast("cat", p.live / "file", "--at", "now").stdout == "contents\n"
    else:
        refused(p, done, DAMAGED, "index")


# ---- The past -----------------------------------------------------------------------------------------------------


def impossible_moments(p):
    p.protect()
    p.holdfast("bookmark", "create", "good", "--volume", p.live)
    p.holdfast("wait", p.live)
    for moment, code, word in (("nosuch", NOT_FOUND, "bookmark"), ("goood", NOT_FOUND, "did you mean"), ("2001-01-01", NOT_FOUND, "before"),
                               ("2199-01-01", USAGE, "future"), ("lsn:99999999999", USAGE, "future"), ("", USAGE, "moment"), ("9999d", NOT_FOUND, "before")):
        unchanged(p, lambda: refused(p, p.holdfast("rewind", p.live, "--to", moment, "--yes"), code, word))
        target = p.work / "out"
        refused(p, p.holdfast("restore", p.live / "file", "--at", moment, "--to", target), code, word)
        assert not target.exists()


def paths_of_nobody(p):
    p.protect()
    refused(p, p.holdfast("log", "/etc/passwd"), NOT_FOUND, "no protected directory")
    refused(p, p.holdfast("cat", p.live / "nothing", "--at", "now"), NOT_FOUND, "nothing")
    refused(p, p.holdfast("cat", p.live / "sub", "--at", "now"), USAGE, "directory")
    refused(p, p.holdfast("status", p.work / "nowhere"), NOT_FOUND, "neither")


def restore_over_what_exists(p):
    p.protect()
    p.holdfast("wait", p.live)
    target = p.work / "target"
    target.write_text("precious")
    refused(p, p.holdfast("restore", p.live / "file", "--at", "now", "--to", target), REFUSED, "exists")
    assert target.read_text() == "precious"


def restore_without_space(p):
    (p.live / "big").write_bytes(os.urandom(30 << 20))
    p.protect()
    p.holdfast("wait", p.live)
    p.small_disk(p.work / "disk", 16)
    before = digest(p.work / "disk")
    refused(p, p.holdfast("restore", p.live / "big", "--at", "now", "--to", p.work / "disk/big"), FAILED, "left")
    assert digest(p.work / "disk") == before


def bookmark_names(p):
    p.protect()
    p.holdfast("bookmark", "create", "one", "--volume", p.live)
    p.holdfast("wait", p.live)
    for name in ("a/b", "now", "12", "2026-01-01", "5m", "..", "x" * 255, "a\nb"):
        refused(p, p.holdfast("bookmark", "create", name, "--volume", p.live), USAGE, "name")
    refused(p, p.holdfast("bookmark", "rename", "none", "two", "--volume", p.live), NOT_FOUND, "no bookmark")
    refused(p, p.holdfast("bookmark", "delete", "none", "--volume", p.live), NOT_FOUND, "no bookmark")
    listed = json.loads(p.holdfast("bookmark", "list", "--volume", p.live, "--json").stdout)
    assert [b["name"] for b in listed["bookmarks"]] == ["one"], listed


def words_that_mean_nothing(p):
    for words in ((), ("frobnicate",), ("protect",), ("protect", p.live), ("rewind", p.live), ("cat",), ("status", "--frob"),
                  ("protect", p.live, "--store", p.store, "--journal-max", "lots")):
        done = p.holdfast(*words)
        assert done.returncode == USAGE, (words, done)
        assert done.stderr.startswith("holdfast: "), done.stderr
    assert not p.store.exists()


CASES = [protect_what_is_not_there, protect_a_file, store_inside_the_tree, tree_inside_the_store, journal_inside_the_tree,
         store_that_is_somebody_elses, second_protect, nested_protect, store_of_another_directory, somebody_has_a_file_open_for_writing,
         no_fuse, as_an_ordinary_user, store_on_a_read_only_disk, tree_on_a_read_only_disk, full_store_disk, volume_file_damaged,
         volume_file_unreadable, journal_middle_damaged, journal_of_another_volume, undo_log_damaged, index_removed, impossible_moments,
         paths_of_nobody, restore_over_what_exists, restore_without_space, bookmark_names, words_that_mean_nothing]


def main():
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        print("skipped: needs root and /dev/fuse")
        return 77
    failures = []
    chosen = [case for case in CASES if len(sys.argv) == 1 or case.__name__ in sys.argv[1:]]
    for case in chosen:
        print(case.__name__.replace("_", " "), flush=True)
        place = Place()
        try:
            case(place)
        except (AssertionError, subprocess.SubprocessError, OSError, ValueError, KeyError) as error:
            failures.append(case.__name__)
            print(f"    FAILED: {error}", flush=True)
        finally:
            place.close()
    print(f"{len(chosen)} cases, {len(failures)} failures {' '.join(failures)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
