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
            for case in (delayed, assess):
                place = work / case.__name__
                place.mkdir()
                case(network, place, seed)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    ended()


main()
