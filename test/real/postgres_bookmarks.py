#!/usr/bin/env python3
"""PostgreSQL under pgbench with a bookmark every second; then PostgreSQL starts on every bookmark.

    postgres_bookmarks.py [--seconds 15] [--scale 5]

Each bookmark is a crash image: a writable overlay of the past mount on which PostgreSQL must recover, and in which
pgbench's invariant must hold: the sums of account, teller and branch balances each equal the sum of all history deltas.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from volume import Mounts, run

BIN = Path("/usr/lib/postgresql/15/bin")
BUILD = Path(os.environ.get("HOLDFAST_BUILD_DIR", "build/dev")).resolve()
PORT = 54330
SUMS = ("select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers), "
        "(select sum(bbalance) from pgbench_branches), (select coalesce(sum(delta), 0) from pgbench_history), "
        "(select count(*) from pgbench_history)")


class Server:
    """A PostgreSQL on DATA, its socket in SOCKETS."""

    def __init__(self, data, sockets):
        self.data, self.sockets = data, sockets

    def as_postgres(self, *command):
        return run("runuser", "-u", "postgres", "--", *command, cwd="/tmp")

    def __enter__(self):
        options = f"-p {PORT} -c listen_addresses= -c unix_socket_directories={self.sockets}"
        self.as_postgres(BIN / "pg_ctl", "-D", self.data, "-o", options, "-l", self.data / "log", "-w", "-t", "120", "start")
        return self

    def __exit__(self, *_):
        self.as_postgres(BIN / "pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")

    def psql(self, query):
        return self.as_postgres("psql", "-h", self.sockets, "-p", str(PORT), "-XAtq", "-c", query, "postgres").strip()

    def pgbench(self, *arguments):
        return ["runuser", "-u", "postgres", "--", "pgbench", "-h", str(self.sockets), "-p", str(PORT), *arguments, "postgres"]


def check_sums(row):
    accounts, tellers, branches, history, count = (int(field) for field in row.split("|"))
    return accounts == tellers == branches == history, count


def load(mounts, data, sockets, seconds, scale):
    """Runs pgbench with a bookmark every second; returns the bookmarks and the transactions that were done at each."""
    bookmarks = []
    with Server(data, sockets) as server:
        run(*server.pgbench("-q", "-i", "-s", str(scale)), cwd="/tmp")
        bench = subprocess.Popen(server.pgbench("-n", "-c", "4", "-j", "1", "-T", str(seconds)), cwd="/tmp", stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        started = time.monotonic()
        while bench.poll() is None and time.monotonic() - started < seconds + 60:
            time.sleep(1)
            # Committed before the cut, so it must be in it; what commits meanwhile may be.
            floor = int(server.psql("select count(*) from pgbench_history"))
            name = f"second{len(bookmarks)}"
            mounts.holdfast("bookmark", "create", name, "--volume", mounts.directories["protected"])
            bookmarks.append((name, floor))
        output = bench.communicate(timeout=60)[0]
        print(next((line for line in output.splitlines() if line.startswith("tps")), output), flush=True)
        bookmarks.append(("end", int(server.psql("select count(*) from pgbench_history"))))
    mounts.holdfast("bookmark", "create", "end", "--volume", mounts.directories["protected"])
    return bookmarks


def unmount(place, seconds=20):
    """pg_ctl is done when PostgreSQL has removed its file, and that is a moment before the process is gone."""
    end = time.monotonic() + seconds
    while subprocess.run(["umount", place], stderr=subprocess.DEVNULL).returncode != 0:
        if time.monotonic() > end:
            run("umount", place)
        time.sleep(0.1)


def judge(past, work, sockets, name, floor):
    place = work / f"overlay-{name}"
    for part in ("upper", "work", "merged"):
        (place / part).mkdir(parents=True)
    os.chmod(place, 0o755)
    lower = past / f"@{name}"
    run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lower},upperdir={place / 'upper'},workdir={place / 'work'}", place / "merged")
    try:
        data = place / "merged" / "pg"
        (data / "postmaster.pid").unlink(missing_ok=True)
        with Server(data, sockets) as server:
            equal, count = check_sums(server.psql(SUMS))
        problem = "" if equal else "the sums differ"
        if count < floor:
            problem += f"{count} transactions, but {floor} were committed before the cut"
        return problem, count
    except SystemExit as error:
        log = place / "merged/pg/log"
        return f"{error} {log.read_text()[-1500:] if log.exists() else ''}", 0
    finally:
        unmount(place / "merged")
        shutil.rmtree(place, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--scale", type=int, default=5)
    options = parser.parse_args()
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse") or not BIN.exists():
        print("skipped: needs root, /dev/fuse and PostgreSQL 15")
        return 77
    work = Path(tempfile.mkdtemp(prefix="postgres-", dir=BUILD)).resolve()
    sockets = Path(tempfile.mkdtemp(prefix="hf-pg-"))
    shutil.chown(sockets, "postgres", "postgres")
    reachable = [directory for directory in (work, *work.parents) if not directory.stat().st_mode & 0o001]
    failures = 0
    try:
        if any(directory != work for directory in reachable):
            print(f"skipped: user postgres cannot enter {reachable[-1]}")
            return 77
        os.chmod(work, 0o755)
        with Mounts(work, BUILD, kinds=("protected",)) as mounts:
            live = mounts.directories["protected"]
            data = live / "pg"
            data.mkdir()
            shutil.chown(data, "postgres", "postgres")
            run("runuser", "-u", "postgres", "--", BIN / "initdb", "-D", data, "-A", "trust", cwd="/tmp")
            bookmarks = load(mounts, data, sockets, options.seconds, options.scale)
            mounts.settle()
            past = work / "past"
            past.mkdir()
            mounts.holdfast("mount-past", live, past)
            try:
                for name, floor in bookmarks:
                    problem, count = judge(past, work, sockets, name, floor)
                    failures += bool(problem)
                    print(f"@{name}: {count} transactions, {'recovered, sums equal' if not problem else problem}", flush=True)
            finally:
                mounts.holdfast("umount-past", past)
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
        subprocess.run(["rm", "-rf", work])
    print(f"{len(bookmarks)} bookmarks, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
