#!/usr/bin/env python3
"""Real programs on a protected directory: git, tar with at least 10,000 files, a C++ build, SQLite.

After each program the directory is bookmarked and copied aside with rsync. In the end every bookmark, seen through the
mount of the past, must equal its copy (an independent judge: `rsync -naHAX --checksum --delete` prints nothing); then the
tree is rewound to an early bookmark, and that rewind is rewound.
"""
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from volume import Mounts, run

# As many of these, in this order, as are needed for FILES_MIN files.
SOURCES = ["/usr/include", "/usr/share/perl", "/usr/share/zoneinfo", "/usr/lib/python3.11", "/usr/share/doc", "/usr/share/postgresql", "/usr/lib/gcc", "/usr/share"]
FILES_MIN = 10000
COMPILED = 10
BUILD = Path(os.environ.get("HOLDFAST_BUILD_DIR", "build/dev")).resolve()
SOURCE = Path(os.environ.get("HOLDFAST_SOURCE_DIR", Path(__file__).resolve().parents[2])).resolve()


def differences(left, right):
    """What rsync would change to make RIGHT equal to LEFT: content, modes, owners, times, links, ACLs, xattrs. Only the
    image's own mark on each object, its id, is left out."""
    return run("rsync", "-naHAX", "--checksum", "--delete", "--itemize-changes", "--filter=-x trusted.holdfast.*", f"{left}/", f"{right}/").strip()


def sources():
    chosen, count = [], 0
    for source in SOURCES:
        if count < FILES_MIN * 1.1:
            chosen.append(source)
            count += sum(len(files) for _, _, files in os.walk(source))
    return [source for source in chosen if os.path.isdir(source)]


def git_work(live):
    environment = dict(os.environ, GIT_AUTHOR_NAME="t", GIT_AUTHOR_EMAIL="t@example.org", GIT_COMMITTER_NAME="t",
                       GIT_COMMITTER_EMAIL="t@example.org", GIT_CONFIG_GLOBAL="/dev/null")
    git = lambda *words: run("git", "-C", live / "clone", *words, env=environment)
    # The checked-out files as a fresh repository: a clone of a clone must not depend on how deep the first one is.
    origin = live / "origin"
    shutil.copytree(SOURCE / "base", origin / "base")
    run("git", "-C", origin, "init", "-q", env=environment)
    run("git", "-C", origin, "add", "-A", env=environment)
    run("git", "-C", origin, "commit", "-qm", "start", env=environment)
    run("git", "clone", "-q", "--no-hardlinks", origin, live / "clone", env=environment)
    for number in range(30):
        (live / "clone" / f"file{number % 7}").write_text(f"{number}\n" * 1000)
        git("add", "-A")
        git("commit", "-qm", f"change {number}")
    git("gc", "-q", "--prune=now")
    git("fsck", "--strict")
    assert len(git("log", "--oneline").splitlines()) == 31


def unpack(live, archive):
    (live / "tree").mkdir()
    run("tar", "-xf", archive, "-C", live / "tree")
    count = sum(len(files) for _, _, files in os.walk(live / "tree"))
    assert count >= FILES_MIN, f"only {count} files"


def compile_project(live):
    """Some of the project's own base/: more of it would only measure the compiler."""
    shutil.copytree(SOURCE / "base", live / "project/base")
    for more in sorted((live / "project/base").glob("*.cc"))[COMPILED:]:
        more.unlink()
    (live / "project/CMakeLists.txt").write_text(
        re.sub(r"foreach\(folder [a-z ]+\)", "foreach(folder base)", (SOURCE / "CMakeLists.txt").read_text()))
    # Without the compiler cache, which would do the work elsewhere.
    run("cmake", "-G", "Ninja", "-S", live / "project", "-B", live / "project/build", "-DCMAKE_BUILD_TYPE=Debug", "-DCCACHE=")
    run("ninja", "-C", live / "project/build", env=dict(os.environ, CCACHE_DISABLE="1"))
    assert (live / "project/build/base/libholdfast_base.a").stat().st_size > 0


def sqlite_work(live):
    for mode in ("delete", "wal"):
        connection = sqlite3.connect(live / f"{mode}.db", isolation_level=None)
        assert connection.execute(f"pragma journal_mode={mode}").fetchone()[0] == mode
        connection.execute("create table t(k integer primary key, v text)")
        for batch in range(20):
            connection.execute("begin")
            connection.executemany("insert into t(v) values(?)", [(f"{batch} " * 50,) for _ in range(200)])
            connection.execute("commit" if batch % 5 else "rollback")
        connection.execute("delete from t where k % 3 = 0")
        connection.execute("vacuum")
        assert connection.execute("pragma integrity_check").fetchone()[0] == "ok"
        connection.close()


def main():
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        print("skipped: needs root and /dev/fuse")
        return 77
    work = Path(tempfile.mkdtemp(prefix="real-", dir=BUILD)).resolve()
    failures = []
    try:
        archive = work / "tree.tar"
        run("tar", "-cf", archive, *sources())
        with Mounts(work, BUILD, kinds=("protected",)) as mounts:
            live = mounts.directories["protected"]
            steps = [("git", git_work), ("compile", compile_project), ("sqlite", sqlite_work), ("unpack", lambda d: unpack(d, archive)),
                     ("remove", lambda d: shutil.rmtree(d / "tree"))]
            for name, act in steps:
                started = time.monotonic()
                act(live)
                mounts.holdfast("bookmark", "create", name, "--volume", live)
                run("rsync", "-aHAX", "--modify-window=-1", f"{live}/", work / f"copy-{name}")
                print(f"{name}: {time.monotonic() - started:.1f} s", flush=True)
            mounts.settle()
            past = work / "past"
            past.mkdir()
            mounts.holdfast("mount-past", live, past)
            try:
                for name, _ in steps:
                    found = differences(work / f"copy-{name}", past / f"@{name}")
                    print(f"@{name}: {'equal' if not found else found[:2000]}", flush=True)
                    failures += [name] if found else []
            finally:
                mounts.holdfast("umount-past", past)
            print(mounts.holdfast("rewind", live, "--to", "unpack", "--yes"), end="")
            found = differences(work / "copy-unpack", live)
            failures += ["rewind"] if found else []
            print(f"rewound to @unpack: {'equal' if not found else found[:2000]}")
            mounts.holdfast("bookmark", "create", "rewound", "--volume", live)
            print(mounts.holdfast("rewind", live, "--to", "remove", "--yes"), end="")
            found = differences(work / "copy-remove", live)
            failures += ["rewind of the rewind"] if found else []
            print(f"rewound to @remove: {'equal' if not found else found[:2000]}")
            print(mounts.holdfast("verify", live), end="")
            mounts.holdfast("unprotect", live)
            found = differences(live, mounts.store / "image")
            failures += ["image"] if found else []
            print(f"image after unprotect: {'equal' if not found else found[:2000]}")
    finally:
        subprocess.run(["rm", "-rf", work])
    print("all equal" if not failures else f"FAILED: {', '.join(failures)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
