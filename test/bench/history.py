"""What history costs and how fast it answers: the figures of one protected volume."""
import json
import os
import shutil
import signal
import statistics
import time

from volume import control, cpu_seconds, run

MIB = 1 << 20


def timed(act):
    start = time.monotonic()
    act()
    return time.monotonic() - start


def workload(binary, name, directory, count):
    return json.loads(run(binary, name, directory, count))


def cpu_per_write(mounts, binary, live):
    workload(binary, "sequential-write", live, 64)
    mounts.settle()
    pid = control(mounts, "capture.sock", {"verb": "status"})["pid"]
    before = cpu_seconds(pid)
    done = workload(binary, "random-write", live, 20000)
    capture = cpu_seconds(pid) - before
    bare = workload(binary, "sequential-write", mounts.directories["bare"], 64)
    bare = workload(binary, "random-write", mounts.directories["bare"], 20000)
    return {"cpu_us_per_4k_write": (capture + done["user_seconds"]) / done["count"] * 1e6,
            "cpu_us_per_4k_write_bare": bare["user_seconds"] / bare["count"] * 1e6}


def apply_lag(mounts, live):
    """Time from a published record to the store having applied it, sampled under a steady load."""
    lags = []
    with open(live / "lag", "wb", buffering=0) as stream:
        for _ in range(300):
            for _ in range(8):
                stream.write(os.urandom(4096))
            published = control(mounts, "capture.sock", {"verb": "status"})["published"]
            lags.append(timed(lambda: control(mounts, "store.sock", {"verb": "wait", "lsn": published, "timeout_ms": 10000})) * 1000)
            time.sleep(0.005)
    lags.sort()
    return {"apply_lag_p50_ms": lags[len(lags) // 2], "apply_lag_p99_ms": lags[len(lags) * 99 // 100]}


def apply_rate(mounts, binary, live):
    """The same overwrites: landed on the bare file system with a sync at the end, and applied from the journal."""
    ratios = []
    for _ in range(3):
        for directory in (live, mounts.directories["bare"]):
            workload(binary, "sequential-write", directory, 256)
        mounts.settle()
        bare = timed(lambda: [workload(binary, "sequential-write", mounts.directories["bare"], 256),
                              workload(binary, "random-write-sync", mounts.directories["bare"], 20000)])
        store = control(mounts, "store.sock", {"verb": "status"})["pid"]
        os.kill(store, signal.SIGSTOP)
        try:
            workload(binary, "sequential-write", live, 256)
            workload(binary, "random-write", live, 20000)
            os.sync()
        finally:
            os.kill(store, signal.SIGCONT)
        ratios.append(bare / timed(lambda: mounts.holdfast("wait", live)))
    return {"apply_rate_to_bare": statistics.median(ratios)}


def sizes(mounts, binary, live):
    workload(binary, "sequential-write", live, 128)
    mounts.settle()
    start = mounts_status(mounts)
    workload(binary, "random-write", live, 32768)
    mounts.settle()
    middle = mounts_status(mounts)
    for name in ("x", "y"):
        (live / name).write_bytes(os.urandom(32 * MIB))
    mounts.settle()
    end = mounts_status(mounts)
    compacted = control(mounts, "store.sock", {"verb": "compact"})
    return {"undo_bytes_per_overwritten_byte": (middle["undo_bytes"] - start["undo_bytes"]) / (32768 * 4096),
            "undo_bytes_per_appended_byte": (end["undo_bytes"] - middle["undo_bytes"]) / (64 * MIB),
            "index_bytes_per_record": compacted["index_bytes"] / compacted["records"]}


def mounts_status(mounts):
    return control(mounts, "store.sock", {"verb": "status"})


def first_byte(mounts, binary, live):
    moments = []
    workload(binary, "sequential-write", live, 64)
    for number in range(21):
        mounts.holdfast("bookmark", "create", f"m{number}", "--volume", live)
        workload(binary, "random-write", live, 2000)
    mounts.settle()
    past = control(mounts, "store.sock", {"verb": "past"})["directory"]
    figures = {}
    for name, number in (("near", 20), ("middle", 10), ("far", 0)):
        path = f"{past}/@m{number}/sequential"
        os.stat(path)
        samples = []
        for offset in range(0, 60 * MIB, 3 * MIB):
            def read_one():
                with open(path, "rb", buffering=0) as stream:
                    stream.seek(offset)
                    stream.read(1)
            samples.append(timed(read_one) * 1000)
        figures[f"first_byte_{name}_ms"] = statistics.median(samples)
    return figures


def rewind(mounts, binary, live):
    """Rewinds one file and a tree, against a plain synced copy of as many bytes."""
    workload(binary, "sequential-write", live, 128)
    shutil.rmtree(live / "tree", ignore_errors=True)
    for number in range(400):
        place = live / "tree" / str(number % 20)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"f{number}").write_bytes(os.urandom(256 * 1024))
    mounts.holdfast("bookmark", "create", "before-damage", "--volume", live)
    workload(binary, "sequential-write", live, 64)
    for number in range(400):
        (live / "tree" / str(number % 20) / f"f{number}").write_bytes(os.urandom(256 * 1024))
    mounts.settle()
    copies = live.parent / "bare" / "copy"
    shutil.copytree(live / "tree", copies / "warm")
    copy = timed(lambda: [shutil.copytree(live / "tree", copies / "timed"), os.sync()])
    shutil.rmtree(copies)
    one_file = timed(lambda: mounts.holdfast("rewind", live / "sequential", "--to", "before-damage", "--yes"))
    tree = timed(lambda: [mounts.holdfast("rewind", live / "tree", "--to", "before-damage", "--yes"), os.sync()])
    return {"rewind_file_mib_per_second": 64 / one_file, "rewind_tree_mib_per_second": 100 / tree, "copy_tree_mib_per_second": 100 / copy,
            "rewind_tree_to_copy": copy / tree}


GOALS = [  # figure, title, goal, whether it is reached
    ("cpu_us_per_4k_write", "CPU per 4 KiB write, writer and capture (us)", "", None),
    ("cpu_us_per_4k_write_bare", "CPU per 4 KiB write, bare (us)", "", None),
    ("apply_lag_p50_ms", "apply lag p50 (ms)", "", None),
    ("apply_lag_p99_ms", "apply lag p99 (ms)", "", None),
    ("apply_rate_to_bare", "apply rate / landing the same writes bare with a sync", "at least 0.5", lambda v: v >= 0.5),
    ("undo_bytes_per_overwritten_byte", "undo bytes per overwritten byte", "at most 1.05", lambda v: v <= 1.05),
    ("undo_bytes_per_appended_byte", "undo bytes per appended byte", "0 of data", lambda v: v <= 0.01),
    ("index_bytes_per_record", "index bytes per record, compacted", "at most 40", lambda v: v <= 40),
    ("first_byte_near_ms", "first byte, near moment, warm (ms)", "under 5", lambda v: v < 5),
    ("first_byte_middle_ms", "first byte, middle moment, warm (ms)", "under 5", lambda v: v < 5),
    ("first_byte_far_ms", "first byte, far moment, warm (ms)", "under 5", lambda v: v < 5),
    ("rewind_file_mib_per_second", "rewind of one file (MiB/s of changed bytes)", "", None),
    ("rewind_tree_mib_per_second", "rewind of a tree (MiB/s of changed bytes)", "", None),
    ("rewind_tree_to_copy", "rewind of a tree / plain synced copy", "at least 0.5", lambda v: v >= 0.5),
]


def measure(mounts, binary, progress):
    live = mounts.directories["protected"]
    figures = {}
    for part in (lambda: cpu_per_write(mounts, binary, live), lambda: apply_lag(mounts, live), lambda: apply_rate(mounts, binary, live),
                 lambda: sizes(mounts, binary, live), lambda: first_byte(mounts, binary, live), lambda: rewind(mounts, binary, live)):
        figures.update(part())
        progress(json.dumps(figures))
    return figures


def table(figures):
    lines = ["| figure | measured | goal |", "| --- | --- | --- |"]
    for name, title, goal, reached in GOALS:
        verdict = "" if reached is None else (" reached" if reached(figures[name]) else " MISSED")
        lines.append(f"| {title} | {figures[name]:.3g} | {goal}{verdict} |")
    return "\n".join(lines)
