#!/usr/bin/env python3
"""Rewind killed in the middle: the store service, which carries it out, or the capture worker beneath it gets SIGKILL at
a random moment, again and again. A rewind that was cut off is simply asked for once more, and must then end exactly where
it should; what stood there before it must be reachable as well.

    rewind_kills.py [--kills 40] [--seed N]
"""
import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from volume import Mounts, control, run

BUILD = Path(os.environ.get("HOLDFAST_BUILD_DIR", "build/dev")).resolve()
ATTEMPTS_MAX = 50


def differences(left, right):
    return run("rsync", "-naHAX", "--modify-window=-1", "--checksum", "--delete", "--itemize-changes", f"{left}/", f"{right}/").strip()


def make_tree(tree, dice):
    for number in range(60):
        place = tree / f"d{number % 6}" / f"e{number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"f{number}").write_bytes(dice.randbytes(dice.randrange(1, 60000)))
        if number % 7 == 0:
            os.link(place / f"f{number}", tree / f"link{number}")
        if number % 9 == 0:
            (place / f"s{number}").symlink_to(f"f{number}")


def damage(tree, dice):
    """Every kind of change that a rewind has to take back."""
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    for path in dice.sample(files, min(len(files), 30)):
        act = dice.randrange(7)
        if act == 0:
            path.write_bytes(dice.randbytes(dice.randrange(1, 60000)))
        elif act == 1:
            path.unlink()
        elif act == 2:
            path.rename(path.with_name(path.name + ".moved"))
        elif act == 3:
            path.chmod(dice.randrange(0o1000))
        elif act == 4:
            os.truncate(path, dice.randrange(20000))
        elif act == 5:
            os.setxattr(path, "user.mark", dice.randbytes(20))
        else:
            (path.parent / f"new{dice.randrange(1000)}").write_bytes(dice.randbytes(3000))
    directories = sorted(path for path in tree.rglob("e*") if path.is_dir())
    victim = dice.choice(directories) if directories else None
    if victim:
        victim.rename(tree / f"moved-{dice.randrange(10 ** 9)}")
    (tree / f"d{dice.randrange(6)}" / f"sub{dice.randrange(10 ** 6)}").mkdir(parents=True, exist_ok=True)


class Killer(threading.Thread):
    """Kills one of the two processes at random moments until stop() is called."""

    def __init__(self, mounts, dice, kills):
        super().__init__()
        self.mounts, self.dice, self.kills, self.done, self.over = mounts, dice, kills, 0, threading.Event()

    def run(self):
        while not self.over.is_set() and self.done < self.kills:
            self.over.wait(self.dice.uniform(0.005, 0.25))
            try:
                victim = control(self.mounts, self.dice.choice(["store.sock", "store.sock", "capture.sock"]), {"verb": "status"})["pid"]
                os.kill(victim, signal.SIGKILL)
                self.done += 1
            except (OSError, ValueError, KeyError, StopIteration):
                continue  # still on its way up from the last time


def rewind_until_done(mounts, live, moment):
    for attempt in range(ATTEMPTS_MAX):
        done = subprocess.run([mounts.build / "tools/holdfast", "rewind", live, "--to", moment, "--yes"], env=mounts.environment,
                              capture_output=True, text=True, timeout=300)
        if done.returncode == 0:
            return attempt
        time.sleep(0.05)
    raise SystemExit(f"rewind to {moment} fails {ATTEMPTS_MAX} times: {done.stderr}")


def bookmark(mounts, live, name):
    for _ in range(ATTEMPTS_MAX):
        done = subprocess.run([mounts.build / "tools/holdfast", "bookmark", "create", name, "--volume", live], env=mounts.environment, capture_output=True, text=True)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    raise SystemExit(f"bookmark {name}: {done.stderr}")


def one_round(mounts, dice, number, kills):
    live = mounts.directories["protected"]
    damage(live, dice)
    damaged = mounts.work / f"damaged{number}"
    run("rsync", "-aHAX", "--modify-window=-1", f"{live}/", damaged)
    bookmark(mounts, live, f"damaged{number}")
    killer = Killer(mounts, dice, kills)
    killer.start()
    try:
        attempts = rewind_until_done(mounts, live, "start")
    finally:
        killer.over.set()
        killer.join()
    failures = []
    if found := differences(mounts.work / "start", live):
        failures.append(f"round {number}: not the tree of @start: {found[:1000]}")
    rewind_until_done(mounts, live, f"damaged{number}")
    if found := differences(damaged, live):
        failures.append(f"round {number}: the rewind of the rewind is not the damaged tree: {found[:1000]}")
    subprocess.run(["rm", "-rf", damaged])
    return killer.done, attempts, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10 ** 9)
    options = parser.parse_args()
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        print("skipped: needs root and /dev/fuse")
        return 77
    print(f"seed {options.seed}", flush=True)
    dice = random.Random(options.seed)
    work = Path(tempfile.mkdtemp(prefix="rewind-kills-", dir=BUILD)).resolve()
    failures, kills, rounds = [], 0, 0
    try:
        with Mounts(work, BUILD, kinds=("protected",)) as mounts:
            live = mounts.directories["protected"]
            make_tree(live, dice)
            run("rsync", "-aHAX", "--modify-window=-1", f"{live}/", work / "start")
            bookmark(mounts, live, "start")
            while kills < options.kills and not failures and rounds < options.kills * 4:
                done, attempts, found = one_round(mounts, dice, rounds, min(6, options.kills - kills))
                kills, rounds = kills + done, rounds + 1
                failures += found
                print(f"round {rounds}: {done} kills, {attempts + 1} attempts", flush=True)
    finally:
        subprocess.run(["rm", "-rf", work])
    for failure in failures:
        print(failure)
    print(f"{kills} kills in {rounds} rounds, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
