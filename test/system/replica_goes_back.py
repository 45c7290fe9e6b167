#!/usr/bin/env python3
"""A source whose disk is set back to an earlier state, and a replica that must follow it there.

    namespace alpha                    namespace between                  namespace beta
      10.77.1.1  ── 10.77.1.0/24 ──  10.77.1.9
      holdfastd (source)               forwarder :4848                      holdfastd (replica) :4848
      directory, store on a disk       10.77.2.9  ── 10.77.2.0/24 ──  10.77.2.1
      of their own (a loop device)

The disk is copied, the directory is written on, and everything arrives. Then the host comes back with the copy, as after a disk
was restored from a backup: the replica is ahead of it, or both have moved on. Each time the replica must go back to where the two histories
part, keep aside what it had beyond, and follow again: rsync finds no difference between the directory and the image, none at a
bookmark from before, and what was never written any more is no longer told of.
"""
import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from disk import Disk
from replicated import Network, Pair, compare, compare_past, run, until
from verdict import check, ended
from writer import Writer

def write(pair, seed, seconds=1.0):
    writer = Writer(pair.tree, seed)
    writer.start()
    time.sleep(seconds)
    writer.finish()
    check("the application noticed nothing", writer.error)


def bookmarks(pair):
    return {entry["name"] for entry in json.loads(pair.beta.holdfast("bookmark", "list", "--volume", pair.replica, "--json"))["bookmarks"]}


def go_back(pair, disk, number, seed, moves_on, kills):
    """The source comes back with an older disk; MOVES_ON: and is written before the replica hears of it."""
    what = ("both moved on" if moves_on else "the replica is ahead") + (", and is killed while it goes back" if kills else "")
    disk.remember()
    write(pair, seed)
    pair.alpha.holdfast("bookmark", "create", f"lost-{number}", "--volume", pair.tree)
    compare(pair, f"{what}: before")
    had = pair.beta.edge()["received"]

    pair.alpha.kill()
    run("umount", pair.tree)
    disk.set_back()
    log_from = Path(pair.beta.log.name).stat().st_size
    if moves_on:
        pair.mount()
        write(pair, seed + 1)
    pair.alpha.start()
    if kills:
        goes = lambda: b"goes back to there" in Path(pair.beta.log.name).read_bytes()[log_from:]
        check(f"{what}: it begins to go back", until("its log says so", goes, 30))
        time.sleep(random.random() * 0.4)
        pair.beta.kill()
        pair.beta.start()
    if not moves_on:
        check(f"{what}: it follows", until("streaming", lambda: pair.beta.edge()["state"] == "streaming", 60) and pair.beta.tail())
        check(f"{what}: it went back", "" if pair.beta.edge()["received"] < had else f"it is still at {pair.beta.edge()}")
        pair.mount()
    write(pair, seed + 2)
    pair.alpha.holdfast("bookmark", "create", f"kept-{number}", "--volume", pair.tree)
    compare(pair, what)
    names = bookmarks(pair)
    check(f"{what}: a bookmark of what was lost is gone", f"{names}" if f"lost-{number}" in names else "")
    check(f"{what}: what it had is kept aside", "" if len(list((pair.replica / "discarded").iterdir())) >= number else "there is nothing")
    for kept in sorted(names):
        compare_past(pair, kept)


def main():
    work = Path(tempfile.mkdtemp(prefix="holdfast-goes-back-"))
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    try:
        with Network() as network, Disk(work, "source", 1024) as disk:
            with Pair(network, work, disk=disk.place, standby=work / "standby") as pair:
                write(pair, seed)
                pair.alpha.holdfast("bookmark", "create", "early", "--volume", pair.tree)
                compare(pair, "at first")
                rounds = [(False, False), (True, False), (False, True), (True, True), (True, True)]
                for number, (moves_on, kills) in enumerate(rounds, 1):
                    go_back(pair, disk, number, seed + 10 * number, moves_on, kills)
                print(pair.beta.holdfast("verify", pair.replica).strip().splitlines()[-1])
            check("the engines end when they are told to", pair.complaints)
            ended(lambda: f"{pair.alpha.tail()}\n---\n{pair.beta.tail()}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
