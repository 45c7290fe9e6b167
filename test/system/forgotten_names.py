#!/usr/bin/env python3
"""A replica's store whose kernel forgets names: while it runs, and before it is started again after a kill in the middle of a batch.

A confined store service opens by handle only what the kernel knows the way to (docs/confinement.md). Here it never does for long: directories that
stand deep, files that move into directories which the same batch makes, links, pipes and symbolic links, all of it changed while the
service is dead, and the service killed again and again while it takes that in, with the kernel's cache of names dropped before each start.
Then the cache is dropped all the time beside a load. In the end the image equals the directory.
"""
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from replica_store import BUILD, Carriers, Host, Load, differences, lasting_differences, wait_until
from verdict import check, ended, failures
from volume import run

ROUNDS = 2
KILLS_PER_ROUND = 5
CHANGES = 3000
DEPTH = 6


def forget_names():
    Path("/proc/sys/vm/drop_caches").write_text("2")


class Forgetting(threading.Thread):
    """Memory is short, all the time."""

    def __init__(self):
        super().__init__()
        self.over, self.times = False, 0

    def run(self):
        while not self.over:
            forget_names()
            self.times += 1
            time.sleep(0.05)


def make_tree(live):
    """In an empty directory that is protected, so that the journal tells all of it."""
    os.chmod(live, 0o755)
    for branch in range(20):
        place = live / f"b{branch}" / "/".join(f"level{level}" for level in range(DEPTH))
        place.mkdir(parents=True)
        for number in range(40):
            (place / f"file{number}").write_bytes(b"%d " % number * 50)
        (place / "link").symlink_to("nowhere")
        os.mkfifo(place / "pipe")


class Changes:
    """More than a service has open at once, every kind that moves or removes a name."""

    def __init__(self, live, dice):
        self.live, self.dice, self.made = live, dice, 0
        self.places = [path for path in live.rglob("*") if path.is_dir()]

    def new_place(self):
        self.made += 1
        place = self.dice.choice(self.places) / f"new{self.made}"
        place.mkdir()
        self.places.append(place)
        return place

    def step(self):
        dice = self.dice
        place = dice.choice(self.places)
        names = [name for name in os.listdir(place) if not (place / name).is_dir() or (place / name).is_symlink()]
        if not names:
            return
        path = place / dice.choice(names)
        choice = dice.randrange(10)
        self.made += 1
        to = (self.new_place() if dice.random() < 0.1 else dice.choice(self.places)) / f"n{self.made}"
        if choice < 4:
            path.rename(to)
            self.touch(to)
        elif choice == 4:
            os.link(path, to, follow_symlinks=False)
            self.touch(path)
        elif choice == 5:
            path.unlink()
        elif choice == 6:
            to.write_bytes(dice.randbytes(100))
        elif choice == 7:
            to.symlink_to("elsewhere")
            self.touch(to)
        elif choice == 8 and place.name.startswith("new") and len(self.places) > 100:
            self.move_place(place)
        else:
            self.touch(path)

    def touch(self, path):
        """What is changed must be opened, or reached in another way, where it lies by now."""
        os.utime(path, ns=(self.made, self.made), follow_symlinks=False)
        if path.is_file() and not path.is_symlink():
            with open(path, "ab") as stream:
                stream.write(b"more")

    def move_place(self, place):
        self.made += 1
        target = self.live / f"b{self.dice.randrange(20)}" / f"moved{self.made}"
        place.rename(target)
        old = str(place)
        self.places = [Path(str(target) + str(each)[len(old):]) if each == place or old + "/" in str(each) else each for each in self.places]


def applied_at(replica):
    status = replica.status()
    return status.get("applied", 0) if status["state"] != "not following" else 0


def killed_in_the_middle(changes, source, replica, carriers, dice, round_number):
    live = changes.live
    for _ in range(CHANGES):
        changes.step()
    source.holdfast("wait", live)
    time.sleep(0.5)  # the shipper goes on alone
    for _ in range(KILLS_PER_ROUND):
        forget_names()
        carriers.serve()
        time.sleep(0.02 + dice.random() * 0.5)
        carriers.kill("service")
    forget_names()
    carriers.serve()
    published = source.status()["published"]
    check(f"round {round_number}: the service goes on", not wait_until(lambda: applied_at(replica) == published, 60) and replica.status())
    check(f"round {round_number}: the image equals the directory", lasting_differences(live, replica.store / "image"))
    carriers.kill("service")


def beside_a_load(live, source, replica, work, carriers, seed):
    carriers.serve()
    check("the service answers", not wait_until(carriers.answers) and "it does not")
    forgetting, load = Forgetting(), Load(live, seed)
    pasts = {place: (host, volume) for place, host, volume in ((work / "past-source", source, live), (work / "past-replica", replica, replica.store))}
    forgetting.start()
    load.start()
    try:
        source.holdfast("bookmark", "create", "middle", "--volume", live)
        time.sleep(4)
        wait_until(lambda: "middle" in replica.bookmarks(), 30)
        for place, (host, volume) in pasts.items():
            place.mkdir()
            host.holdfast("mount-past", volume, place)
        here, there = (place / "@middle" for place in pasts)
        check("the past is readable meanwhile, and the same on both", differences(here, there))
    finally:
        load.over = True
        load.join()
        forgetting.over = True
        forgetting.join()
        for place in pasts:
            if os.path.ismount(place):
                run("umount", "-l", place)
    print(f"     {load.count} operations, names forgotten {forgetting.times} times", flush=True)
    check("the load met no error", load.failure)
    published = source.status()["published"]
    check("the service has gone on", not wait_until(lambda: applied_at(replica) == published, 60) and replica.status())
    check("the image equals the directory", lasting_differences(live, replica.store / "image"))
    check("the store verifies", (lambda done: done.returncode and done.stdout + done.stderr)(replica.tried(BUILD / "tools/holdfast", "verify", replica.store)))


def what_the_log_says(log):
    text = open(log.name, errors="surrogateescape").read()
    replays = text.count("were applied again")
    print(f"     records were applied again at {replays} starts; {text.count('looked through')} searches", flush=True)
    check("services were killed in the middle of a batch", not replays and "none was")
    check("nothing kept the store from going on", [line for line in text.splitlines() if " error " in line])


def main():
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        print("skipped: needs root and /dev/fuse")
        sys.exit(77)
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else time.time_ns() % 10 ** 9
    print(f"seed {seed}", flush=True)
    dice = random.Random(seed)
    work = Path(tempfile.mkdtemp(prefix="forgotten-", dir=BUILD)).resolve()
    live = work / "live"
    live.mkdir()
    source, replica = Host(work, "source", work / "source"), Host(work, "replica", work / "replica")
    carriers = Carriers(work, source, replica, dice)
    try:
        source.holdfast("protect", live, "--store", source.store, "--journal-max", "128M")
        carriers.ship("--only-make")
        make_tree(live)
        carriers.ship()
        changes = Changes(live, dice)
        for number in range(ROUNDS):
            killed_in_the_middle(changes, source, replica, carriers, dice, number)
        beside_a_load(live, source, replica, work, carriers, seed)
        what_the_log_says(carriers.log)
    finally:
        carriers.end()
        if os.path.ismount(live):
            source.holdfast("unprotect", live)
        if failures:
            print(open(carriers.log.name, errors="surrogateescape").read()[-4000:])
        shutil.rmtree(work, ignore_errors=True)
    ended()


if __name__ == "__main__":
    main()
