#!/usr/bin/env python3
"""The benchmark: one command, one run, ratios against a baseline from the same run.

    test/bench/run.py [--build build/dev] [--rounds 3] [--json FILE] [--markdown FILE] [--skip-postgres]

Three directories on one file system, taken in turn in every round: bare, under the null filter (the same file system
code, recording nothing) and protected. Figures are medians of the rounds. Then, on the protected one: CPU per write, lag
and rate of apply, sizes of undo log and index, first byte of a past file, time of a rewind.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import history
import postgres
from volume import Mounts, run

WORKLOADS = [  # name, what it is called in the table, prepared by
    ("sequential-write", "sequential write 1 MiB"),
    ("read", "warm read 1 MiB"),
    ("cold-read", "cold read 1 MiB"),
    ("random-write", "random write 4 KiB"),
    ("synced-write", "write 4 KiB + fsync"),
    ("create", "create 10,000 files"),
    ("unpack", "unpack 10,000 files"),
]
GOALS = {  # row -> (against null, against bare); throughputs at least
    "sequential-write": (0.80, 0.40), "read": (0.80, 0.90), "cold-read": (0.80, None), "random-write": (0.80, None),
    "synced-write": (0.80, 1 / 1.5), "create": (0.80, None), "unpack": (0.80, None), "pgbench": (0.80, 0.80),
}


def drop_caches():
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3\n")


def measure(workload, directory, binary, archive):
    """Operations per second of one workload in one directory."""
    if workload == "sequential-write":
        (directory / "sequential").unlink(missing_ok=True)
    if workload in ("create", "unpack"):
        shutil.rmtree(directory / "many", ignore_errors=True)
    os.sync()
    if workload == "unpack":
        (directory / "many").mkdir()
        start = time.monotonic()
        run("tar", "-xf", archive, "-C", directory / "many")
        return 10000 / (time.monotonic() - start)
    if workload == "read":
        run(binary, "read", directory)  # warms the cache
    if workload == "cold-read":
        drop_caches()
    outcome = json.loads(run(binary, "read" if workload == "cold-read" else workload, directory))
    if "p50_us" in outcome:
        return 1e6 / outcome["p50_us"]
    return outcome["count"] / outcome["seconds"]


def side_by_side(mounts, rounds, binary, archive, progress):
    speeds = {name: {kind: [] for kind in mounts.directories} for name, _ in WORKLOADS}
    for number in range(rounds):
        for name, _ in WORKLOADS:
            kinds = list(mounts.directories.items())
            for kind, directory in kinds[number % 3:] + kinds[:number % 3]:
                speeds[name][kind].append(measure(name, directory, binary, archive))
                mounts.settle()
            progress(f"round {number + 1}, {name}: " + ", ".join(f"{k} {v[-1]:.0f}/s" for k, v in speeds[name].items()))
    return {name: {kind: statistics.median(values) for kind, values in by.items()} for name, by in speeds.items()}


def make_archive(work):
    tree = work / "tree"
    for number in range(10000):
        place = tree / str(number // 500)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"file{number}.c").write_bytes(os.urandom(200) * (1 + number % 40))
    archive = work / "tree.tar"
    run("tar", "-cf", archive, "-C", tree, ".")
    shutil.rmtree(tree)
    return archive


def table(speeds, titles):
    lines = ["| workload | bare /s | null filter /s | protected /s | protected / null | goal | protected / bare | goal |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for name, by in speeds.items():
        null, bare = GOALS[name]
        to_null, to_bare = by["protected"] / by["null"], by["protected"] / by["bare"]
        mark = lambda ratio, goal: "" if goal is None else f"{goal:.2f} {'reached' if ratio >= goal else 'MISSED'}"
        lines.append(f"| {titles.get(name, name)} | {by['bare']:.0f} | {by['null']:.0f} | {by['protected']:.0f} | "
                     f"{to_null:.2f} | {mark(to_null, null)} | {to_bare:.2f} | {mark(to_bare, bare)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/dev")
    parser.add_argument("--work", default="build", help="a directory on the disk to measure")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    parser.add_argument("--skip-postgres", action="store_true")
    options = parser.parse_args()
    build = Path(options.build).resolve()
    work = Path(tempfile.mkdtemp(prefix="bench-", dir=options.work)).resolve()
    progress = lambda text: print(text, file=sys.stderr, flush=True)
    binary = build / "test/bench/workload"
    try:
        archive = make_archive(work)
        with Mounts(work, build) as mounts:
            speeds = side_by_side(mounts, options.rounds, binary, archive, progress)
            if not options.skip_postgres:
                speeds["pgbench"] = postgres.side_by_side(mounts, options.rounds, progress)
        with Mounts(work, build, kinds=("bare", "protected")) as mounts:
            figures = history.measure(mounts, binary, progress)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    load = os.getloadavg()
    text = table(speeds, dict(WORKLOADS)) + "\n\n" + history.table(figures)
    print(f"{os.cpu_count()} cores, kernel {os.uname().release}, load {load[0]:.1f}, medians of {options.rounds} rounds\n\n{text}")
    if options.markdown:
        Path(options.markdown).write_text(text + "\n")
    if options.json:
        Path(options.json).write_text(json.dumps({"side_by_side": speeds, "history": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
