#!/usr/bin/env python3
"""A replica without a place in its source's journal: it is compared with the source, and what differs is repaired.

    namespace alpha                    namespace between                  namespace beta
      10.77.1.1  ── 10.77.1.0/24 ──  10.77.1.9
      holdfastd (source)               forwarder :4848                      holdfastd (replica) :4848
      the protected directory          10.77.2.9  ── 10.77.2.0/24 ──  10.77.2.1

A replica is filled by comparison while the directory is written; it stays away until the journal is full and it is cut off; its disk is emptied; engines and the store are killed
in the middle of it all; its journal is damaged. Each time rsync finds no difference between the directory and the image, the stream goes on, what the replica
had before stays in its past, and the application never notices.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from replicated import BUILD, Network, Pair, compare, compare_past, until
from verdict import check, ended
from writer import Writer

MEBIBYTE = 1 << 20
JOURNAL = 256 * MEBIBYTE


class Application:
    """A writer, and a file without a name that stays open."""

    def __init__(self, pair, seed):
        self.writer = Writer(pair.tree, seed)
        self.place = pair.tree / f"nameless-{seed}"
        self.orphan = open(self.place, "wb")
        self.orphan.write(b"before" * 1000)
        self.orphan.flush()
        os.unlink(self.place)

    def __enter__(self):
        self.writer.start()
        return self

    def __exit__(self, *_):
        # What is written to it after the moment of the comparison, and the name that it gets again, follow in the stream.
        self.orphan.write(b"after" * 1000)
        os.fchmod(self.orphan.fileno(), 0o640)
        self.orphan.flush()
        self.orphan.close()
        self.writer.finish()
        check("the application noticed nothing", self.writer.error)


def repairs(host, code):
    return [event for event in host.events() if event["code"] == code]


def is_repairing(pair):
    return pair.alpha.edge()["state"] == "repairing"


def filled(pair, seed):
    with Application(pair, seed):
        check("filling: it is compared", until("it streams", lambda: pair.alpha.edge()["state"] == "streaming", 60) and pair.alpha.tail())
    compare(pair, "filled")
    check("filling: both sides tell of it", "" if repairs(pair.alpha, "HF-E-105") and repairs(pair.beta, "HF-E-206") else f"{pair.alpha.events()} {pair.beta.events()}")


def cut_off(pair, seed):
    # To the end of a segment, which is where both can say that they have the same history.
    for number in range(72):
        (pair.tree / f"quiet-{number % 24}").write_bytes(os.urandom(MEBIBYTE))
    pair.alpha.holdfast("bookmark", "create", "before", "--volume", pair.tree)
    compare(pair, "before it is cut off")
    last = pair.beta.edge()["applied"]
    pair.forwarder.do("cut")
    block = os.urandom(MEBIBYTE)
    with Application(pair, seed):
        for number in range(2 * JOURNAL // MEBIBYTE):
            with open(pair.tree / f"much-{number % 40}", "wb") as stream:
                stream.write(number.to_bytes(4, "little") + block[4:])
        gone = lambda: not list((pair.store / "journal" / "cursors").glob("replica-*"))
        check("cut off: the journal keeps nothing more for it", until("its cursor is gone", gone, 60))
    status = json.loads(pair.alpha.holdfast("status", pair.tree, "--json"))["volumes"][0]
    check("cut off: the directory stays protected", "" if "gap" not in json.dumps(status).lower() or not status.get("in_gap") else f"{status}")
    before = pair.alpha.edge().get("repair_bytes", 0)
    pair.forwarder.do("open")
    compare(pair, "repaired", 120)
    moved = pair.alpha.edge()["repair_bytes"] - before
    print(f"     {moved / MEBIBYTE:.1f} MiB were said, {2 * JOURNAL / MEBIBYTE:.0f} MiB had been written")
    check("repaired: less moved than was written", "" if 0 < moved < JOURNAL else f"{moved} bytes")
    done = repairs(pair.beta, "HF-E-207")[-1]["sentence"]
    print(f"     {done}")
    check("repaired: what neither side changed since was not looked at", "both have the history up to" not in done and done)
    compare_past(pair, "before")
    inside = subprocess.run([BUILD / "tools/holdfast", "ls", pair.replica, "--at", f"lsn:{last + 4096}"], env=pair.beta.environment, capture_output=True, text=True)
    check("repaired: no moment between is offered", "" if inside.returncode and "captured" in inside.stderr else f"{inside}")


def emptied(pair, seed):
    """And killed twice while it is filled."""
    dice = random.Random(seed)
    send = pair.alpha.config.read_text()
    pair.alpha.configure(send.replace('to = "beta"', 'to = "beta"\nlimit = "24M"'))
    pair.beta.stop()
    shutil.rmtree(pair.replica)
    with Application(pair, seed):
        pair.beta.start()
        for victim in ("engine of the replica", "store of the replica"):
            check("emptied: it is being filled", until("it is being compared", lambda: is_repairing(pair), 30) and pair.alpha.tail())
            time.sleep(0.3 + dice.random())
            check("emptied: it is not full yet", "" if (pair.replica / "first-copy").exists() else "there is no first copy under way")
            kill(pair, victim)
        pair.alpha.configure(send)
        check("emptied: it is filled anew", until("it streams", lambda: pair.alpha.edge()["state"] == "streaming", 60) and pair.beta.tail())
    compare(pair, "emptied")


def killed(pair, seed, rounds):
    """Slow enough to be hit in the middle."""
    dice = random.Random(seed)
    hit = 0
    send = pair.alpha.config.read_text()
    pair.alpha.configure(send.replace('to = "beta"', 'to = "beta"\nlimit = "24M"'))
    pair.alpha.holdfast("bookmark", "create", "unhurt", "--volume", pair.tree)
    compare(pair, "before the kills")
    for number in range(rounds):
        pair.alpha.holdfast("replica", "suspend", pair.tree, "beta")
        with Application(pair, seed + number):
            for name in range(20):
                (pair.tree / f"much-{name}").write_bytes(os.urandom(MEBIBYTE))
            pair.alpha.kill()  # so that nobody saves a cursor any more
            for cursor in (pair.store / "journal" / "cursors").glob("replica-*"):
                cursor.unlink()
            # Two segments, so that the journal forgets where the replica was.
            for name in range(2 * 64 + 8):
                (pair.tree / f"rotation-{name % 8}").write_bytes(os.urandom(MEBIBYTE))
            segments = lambda: len(list((pair.store / "journal").glob("*.seg"))) <= 2
            check("kills: the journal forgets", until("two segments are left", segments, 60))
            pair.alpha.start()
            check("kills: it is compared", until("it is being compared", lambda: is_repairing(pair), 30) and pair.alpha.tail())
            time.sleep(dice.random() * 2.5)
            hit += is_repairing(pair)
            victim = dice.choice(("engine of the replica", "engine of the source", "store of the replica", "link"))
            print(f"     killed: {victim}")
            kill(pair, victim)
        compare(pair, f"{victim} was killed", 120)
    check("kills: most came in the middle", "" if 2 * hit >= rounds else f"{hit} of {rounds}")
    compare_past(pair, "unhurt")
    pair.alpha.configure(send)


def damaged(pair):
    """A segment that the store has not applied yet is lost behind the engine's back: nobody can go on until somebody asks for the repair."""
    keep = pair.beta.config.read_text()
    pair.beta.configure(keep + 'delay = "1h"\n')
    for number in range(3 * 64):
        (pair.tree / f"delayed-{number % 8}").write_bytes(os.urandom(MEBIBYTE))
    published = pair.alpha.edge()["published"]
    check("damaged: it has arrived", until("it is durable on the replica", lambda: (pair.beta.edge().get("durable") or 0) >= published, 60))
    pair.beta.stop()
    os.truncate(sorted((pair.replica / "journal").glob("*.seg"))[-2], 0)
    pair.beta.start()
    is_told = lambda: any("holdfast replica repair" in event["sentence"] for event in repairs(pair.beta, "HF-E-203"))
    check("damaged: it is told, and what to do", until("there is an event", is_told, 20) and pair.beta.tail())
    pair.beta.configure(keep)
    # The stream may break at this very moment, with the replica's opening that fails; then one is told to ask again.
    ask = lambda: subprocess.run([BUILD / "tools/holdfast", "replica", "repair", pair.replica, "alpha"], env=pair.beta.environment, capture_output=True).returncode == 0
    check("damaged: the repair is asked for", until("it is", ask, 30) and pair.beta.tail())
    compare(pair, "damaged and repaired", 120)
    compare_past(pair, "unhurt")


def kill(pair, victim):
    if victim == "link":
        pair.forwarder.do("cut")
        time.sleep(0.3)
        pair.forwarder.do("open")
    elif victim == "store of the replica":
        for name, pid in pair.beta.children():
            if name != "holdfast-engine":
                os.kill(pid, 9)
    else:
        host = pair.beta if "replica" in victim else pair.alpha
        host.kill()
        host.start()


def main():
    work = Path(tempfile.mkdtemp(prefix="holdfast-repair-"))
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    rounds = int(os.environ.get("ROUNDS", "4"))
    print(f"seed {seed}")
    try:
        with Network() as network:
            with Pair(network, work, standby=work / "standby", protect=("--journal-max", str(JOURNAL))) as pair:
                filled(pair, seed)
                cut_off(pair, seed + 1)
                emptied(pair, seed + 2)
                killed(pair, seed + 3, rounds)
                damaged(pair)
                print(pair.beta.holdfast("verify", pair.replica).strip().splitlines()[-1])
            check("the engines end when they are told to", pair.complaints)
            ended(lambda: f"{pair.alpha.tail()}\n---\n{pair.beta.tail()}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
