#!/usr/bin/env python3
"""Replicas that are not kept at once and always: what the configuration can ask for besides.

    namespace alpha                    namespace between                  namespace beta
      10.77.1.1  ── 10.77.1.0/24 ──  10.77.1.9
      holdfastd (source)               forwarder :4848                      holdfastd (replica) :4848
      the protected directory          10.77.2.9  ── 10.77.2.0/24 ──  10.77.2.1

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
from fake_clock import FakeClock, library
from replicated import BUILD, Network, Pair, compare, until
from verdict import check, ended
from writer import Writer


def delayed(network, work, seed):
    """A replica that applies what it has only when it is old enough."""
    delay = 6
    with Pair(network, work) as pair:
        compare(pair, "delayed: before")
        text = pair.beta.config.read_text()
        pair.beta.configure(text + f'delay = "{delay}s"\n')
        check("delayed: it streams", until("streaming", lambda: pair.beta.edge()["state"] == "streaming", 20))
        wrote = time.monotonic()
        (pair.tree / "late").write_text("of which the image must not know yet")
        published = pair.alpha.edge()["published"]
        there = lambda: (pair.replica / "image" / "late").exists()
        check("delayed: it has arrived", until("it is durable on the replica", lambda: pair.beta.edge()["durable"] >= published, 5))
        check("delayed: and is not applied", there() and time.monotonic() < wrote + delay and "it is in the image")
        check("delayed: until it is old enough", until("it is in the image", there, delay + 10))
        check("delayed: not before", "" if time.monotonic() > wrote + delay - 0.2 else f"after {time.monotonic() - wrote:.1f} s")
        writer = Writer(pair.tree, seed)
        writer.start()
        time.sleep(2)
        writer.finish()
        check("delayed: the application noticed nothing", writer.error)
        compare(pair, "delayed, when all is old enough")
        pair.beta.configure(text)
        (pair.tree / "soon").write_text("at once")
        compare(pair, "delayed no more", delay - 2)


def scheduled(network, work, seed):
    """A replica that is sent to in certain hours, on certain days, and once when somebody asks for it."""
    if not library():
        print("skipped: the package faketime is not there")
        return
    hours = 'schedule = [ { days = "mon-fri", from = 20, to = 24 } ]\nexcept = ["2026-12-24"]\n'  # a Thursday
    with Pair(network, work) as pair:
        compare(pair, "scheduled: before")
        text = pair.alpha.config.read_text()
        clock = FakeClock(pair.alpha)
        number = iter(range(100))
        state = lambda wanted: lambda: pair.alpha.edge()["state"] == wanted
        waits, streams = state("waiting for its hours"), state("streaming")

        def write():
            name = f"file-{next(number)}"
            (pair.tree / name).write_bytes(os.urandom(50_000))
            return lambda: (pair.replica / "image" / name).exists()

        def is_closed(what):
            check(f"scheduled: {what}: it waits", until("it waits for its hours", waits, 10) and pair.alpha.edge())
            there = write()
            time.sleep(1.5)
            check(f"scheduled: {what}: nothing is sent", "it is" if there() else "")
            edge = pair.alpha.edge()
            check(f"scheduled: {what}: its status knows what there is to send", "" if edge.get("published") else edge)
            return there

        clock.set("2026-12-23T21:00")
        pair.alpha.configure(text + hours)
        check("scheduled: in its hours it streams", until("streaming", streams, 10))
        compare(pair, "scheduled: in its hours")
        last = json.loads(pair.beta.holdfast("events", "--json"))["last"]
        clock.set("2026-12-23T19:59")
        is_closed("before its hours")
        events = pair.beta.events(last)
        check("scheduled: the replica knows, and is not alarmed", "" if [event["code"] for event in events] == ["HF-E-215"] else events)
        clock.restart()
        there = is_closed("after a restart")
        pair.alpha.holdfast("replica", "now", pair.tree, "beta")
        check("scheduled: once, when it is asked for", until("it is in the image", there, 20))
        is_closed("after once")
        pair.alpha.holdfast("replica", "suspend", pair.tree, "beta")
        refused = subprocess.run([BUILD / "tools/holdfast", "replica", "now", pair.tree, "beta"], env=pair.alpha.environment, capture_output=True, text=True)
        check("scheduled: not while it is suspended", "" if refused.returncode != 0 and "suspended" in refused.stderr else refused)
        pair.alpha.holdfast("replica", "resume", pair.tree, "beta")
        clock.set("2026-12-24T21:00")
        is_closed("on a date that is taken out")
        clock.set("2026-12-26T21:00")
        is_closed("on a Saturday")
        clock.set("2026-12-28T20:00")
        check("scheduled: its hours begin", until("streaming", streams, 10) and pair.alpha.edge())
        compare(pair, "scheduled: in its hours again")
        clock.set("2026-12-28T12:00")
        is_closed("at noon")
        pair.alpha.configure(text)
        check("scheduled: no more", until("streaming", streams, 10))
        compare(pair, "scheduled no more")


def assess(network, work, seed):
    """What replication would take is measured without it."""
    size, count = 1 << 20, 12
    with Pair(network, work) as pair:
        compare(pair, "assess: before")
        command = subprocess.Popen([BUILD / "tools/holdfast", "assess", pair.tree, "--for", "5s", "--every", "1s", "--json"], env=pair.alpha.environment,
                                   stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        for number in range(count):
            (pair.tree / f"random-{number}").write_bytes(os.urandom(size))
        (pair.tree / "zeroes").write_bytes(bytes(4 * size))
        answer = json.loads(command.communicate(timeout=60)[0])
        wrote = (count + 4) * size
        check("assess: all that was written was seen", "" if wrote <= answer["journal_bytes"] <= wrote * 1.1 else answer)
        check("assess: and packed: random bytes as they are, zeroes to nothing", "" if count * size <= answer["packed_bytes"] <= count * size * 1.1 else answer)
        check("assess: in five samples", "" if len(answer["samples"]) == 5 else answer)
        check("assess: a second of them was the busiest", "" if max(sample["busiest_second_bytes"] for sample in answer["samples"]) >= size else answer)


def main():
    work = Path(tempfile.mkdtemp(prefix="holdfast-modes-"))
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    try:
        with Network() as network:
            for case in (delayed, scheduled, assess):
                place = work / case.__name__
                place.mkdir()
                case(network, place, seed)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    ended()


main()
