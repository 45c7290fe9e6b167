#!/usr/bin/env python3
"""A replica is compared with its source at one moment while both go on: `holdfast compare`, and the comparison that goes on by itself.

    namespace alpha                    namespace between                  namespace beta
      10.77.1.1  ── 10.77.1.0/24 ──  10.77.1.9
      holdfastd (source)               forwarder :4848                      holdfastd (replica) :4848
      the protected directory          10.77.2.9  ── 10.77.2.0/24 ──  10.77.2.1

Under load nothing is told that is no difference; what somebody changed behind the product's back in the replica's image is told, each with its path,
and nothing else, and repaired when somebody asks. Links that break and stores that die end a comparison with a sentence, and nothing more than that.
"""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from replicated import BUILD, Network, Pair, compare, until
from verdict import check, ended
from writer import Writer


def ask(host, volume, peer):
    """What `holdfast compare` says: exit code, text."""
    answer = subprocess.run([BUILD / "tools/holdfast", "compare", volume, peer], env=host.environment, capture_output=True, text=True, timeout=100)
    return answer.returncode, answer.stdout + answer.stderr


def is_identical(answer):
    code, text = answer
    return code == 0 and text.startswith("Identical with ") and "0 differences" in text


def under_load(pair, seed):
    """At any moment of a load both ends find the two equal."""
    writer = Writer(pair.tree, seed)
    writer.start()
    try:
        for number in range(12):
            host, volume, peer = (pair.alpha, pair.tree, "beta") if number % 2 else (pair.beta, pair.replica, "alpha")
            answer = ask(host, volume, peer)
            check(f"under load, {number}: {host.name} finds them identical", "" if is_identical(answer) else answer)
    finally:
        writer.finish()
    check("the application noticed nothing", writer.error)
    compare(pair, "after the load")


def by_itself(pair, seed):
    """The comparison that nobody asked for comes around, under load too."""
    text = pair.beta.config.read_text()
    pair.beta.configure(text + 'verify = "64M"\n')
    check("by itself: it streams", until("streaming", lambda: pair.beta.edge()["state"] == "streaming", 20))
    writer = Writer(pair.tree, seed)
    writer.start()
    try:
        for name, host in (("replica", pair.beta), ("source", pair.alpha)):
            check(f"by itself: the {name} tells of a whole one", until("there is one", lambda: "whole" in host.edge()["equality"], 60) and host.edge())
        first = pair.alpha.edge()["equality"]["whole"]["began_ns"]
        check("by itself: and of the next", until("there is one", lambda: pair.alpha.edge()["equality"]["whole"].get("began_ns", 0) > first, 60))
    finally:
        writer.finish()
    for host in (pair.alpha, pair.beta):
        found = host.edge()["equality"]["whole"]
        check(f"by itself: {host.name}: without a difference", "" if found.get("differences") == 0 and found["objects"] > 10 else found)
        metrics = subprocess.run(["curl", "-s", "--unix-socket", host.work / "run/engine.sock", "http://localhost/metrics"], capture_output=True, text=True).stdout
        figures = dict(re.findall(r"^(holdfast_edge_(?:differences|compared_timestamp_seconds))\{[^}]*\} (\S+)$", metrics, re.M))
        is_recent = abs(float(figures.get("holdfast_edge_compared_timestamp_seconds", 0)) - time.time()) < 120
        check(f"by itself: {host.name}: so say the metrics", "" if is_recent and figures.get("holdfast_edge_differences") == "0" else metrics[-1500:])


def damaged(pair):
    """What is told is what was changed, by the one that is asked and by the one that nobody asked."""
    (pair.tree / "d1").mkdir(exist_ok=True)
    for name in ("bytes", "mode", "gone", "other"):
        (pair.tree / "d1" / name).write_bytes(name.encode() * 40_000)
    compare(pair, "before the damage")
    image = pair.replica / "image" / "d1"
    with open(image / "bytes", "r+b") as stream:
        stream.seek(100_000)
        stream.write(b"X")
    os.chmod(image / "mode", 0o600)
    os.unlink(image / "gone")
    for host, volume, peer in ((pair.alpha, pair.tree, "beta"), (pair.beta, pair.replica, "alpha")):
        code, text = ask(host, volume, peer)
        lines = [line.strip() for line in text.splitlines() if line.startswith("  ")]
        expected = [r'"d1": entries', r'"d1/bytes": bytes between \d+ and \d+', r'"d1/mode": mode 600 here, 644 there', r'"d1/gone": (damaged here|links 0 here, 1 there)']
        fits = code == 1 and len(lines) == len(expected) and all(any(re.fullmatch(one, line) for line in lines) for one in expected)
        check(f"damaged: {host.name} tells exactly that", "" if fits else (code, text))
    for host, code in ((pair.beta, "HF-E-216"), (pair.alpha, "HF-E-116")):
        seen = len(host.events())
        told = lambda: [event for event in host.events() if event["code"] == code]
        check(f"damaged: {host.name} raises an event by itself", until("there is one", lambda: len(told()) > 1, 60) and host.events()[seen - 3:])
    (pair.tree / "d1/bytes").write_bytes(b"written anew")
    (pair.tree / "d1/mode").chmod(0o640)
    answer = ask(pair.alpha, pair.tree, "beta")
    check("damaged: what is written anew is equal again", "" if answer[0] == 1 and "bytes" not in answer[1] and "mode" not in answer[1] else answer)


def vandalize(image):
    """Whatever root can do to an image: bytes, attributes, names, objects that are gone, copies with their ids, things of its own."""
    with open(image / "d1/other", "r+b") as stream:
        stream.write(b"tampered with")
    os.setxattr(image / "d1", "user.note", b"forged")
    os.rename(image / "d1/bytes", image / "bytes elsewhere")
    (image / "d1/mode").unlink(missing_ok=True)
    os.link(image / "d1/other", image / "d1/another name")
    shutil.copytree(image / "d2", image / "copy of d2")
    subprocess.run(["cp", "-a", "--preserve=all", image / "d1", image / "copy of d1"], check=True)
    os.rename(image / "d3", image / "d1/d3 elsewhere")
    shutil.rmtree(image / "d2")
    (image / "foreign").write_bytes(b"of somebody else")
    os.removexattr(image / "d1/other", "trusted.holdfast.id")


def repair(pair, what, seed, is_written):
    writer = Writer(pair.tree, seed)
    if is_written:
        writer.start()
    try:
        said = pair.beta.holdfast("replica", "repair", pair.replica, "alpha")
        check(f"{what}: it is said", "" if "repaired" in said else said)
        check(f"{what}: it is done", until("the repair is done", lambda: is_identical(ask(pair.beta, pair.replica, "alpha")), 60) and pair.beta.tail()[-1500:])
    finally:
        if is_written:
            writer.finish()
    check(f"{what}: the application noticed nothing", writer.error)
    compare(pair, f"{what}: afterwards")


def repaired(pair, seed):
    """What was found is repaired when somebody asks for it, whether the directory is written meanwhile or not."""
    for directory in ("d1", "d2", "d3"):
        (pair.tree / directory / "below").mkdir(parents=True, exist_ok=True)
        for name in ("bytes", "mode", "gone", "other", "below/deep"):
            (pair.tree / directory / name).write_bytes(name.encode() * 10_000)
    # The file that `damaged` lost is repaired with it.
    repair(pair, "repaired: what was found", seed, False)
    for number, is_written in enumerate((False, True, False)):
        what = f"repaired, {number}"
        vandalize(pair.replica / "image")
        repair(pair, what, seed + number, is_written)
        aside = pair.replica / "graveyard/set-aside"
        kept = [path for path in aside.rglob("*") if path.is_file() and path.read_bytes() == b"of somebody else"]
        check(f"{what}: what is foreign is kept", "" if len(kept) == number + 1 else [str(path) for path in aside.rglob("*")])
        check(f"{what}: nothing is wrong with the store", verified(pair))
    answer = subprocess.run([BUILD / "tools/holdfast", "replica", "repair", pair.tree, "beta"], env=pair.alpha.environment, capture_output=True, text=True)
    check("repaired: not asked where the replica is", "" if answer.returncode > 1 and "where the replica is" in answer.stderr else answer)


def verified(pair):
    """What `holdfast verify` says against the replica's store."""
    answer = subprocess.run([BUILD / "tools/holdfast", "verify", pair.replica], env=pair.beta.environment, capture_output=True, text=True)
    return "" if answer.returncode == 0 else answer


def stopped(pair, seed):
    """A store that stopped, because the stream touched what its image had lost, goes on after the repair, also after it was killed."""
    for number, how in enumerate(("it runs", "it was killed")):
        what = f"stopped, {how}"
        lost = pair.tree / "d1/other"
        lost.write_bytes(b"x" * 50_000)
        compare(pair, f"{what}: before")
        # One that is started anew has no descriptor of it any more.
        kill_store(pair)
        (pair.replica / "image/d1/other").unlink()
        check(f"{what}: it runs again", until("it streams", lambda: pair.beta.edge()["state"] == "streaming", 30) and pair.beta.edge())
        with open(lost, "r+b") as stream:
            stream.write(b"written")
        check(f"{what}: the store says so", until("the store fails", lambda: "cannot go on" in pair.beta.tail(), 20) and pair.beta.tail()[-1500:])
        if number == 1:
            kill_store(pair)
        repair(pair, what, seed + number, False)


def broken(pair, seed):
    """A comparison that is cut off, by the link or by a store's death, says so, and the next one does not."""
    dice = random.Random(seed)
    for number in range(6):
        host, volume, peer = (pair.alpha, pair.tree, "beta") if number % 2 else (pair.beta, pair.replica, "alpha")
        asking = subprocess.Popen([BUILD / "tools/holdfast", "compare", volume, peer], env=host.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        time.sleep(dice.random() * 0.3)
        what = ("the link is cut", "the replica's store dies", "the replica's engine dies")[number // 2]
        if number < 2:
            pair.forwarder.do("cut")
            time.sleep(0.5)
            pair.forwarder.do("open")
        elif number < 4:
            kill_store(pair)
        else:
            pair.beta.kill()
            pair.beta.start()
        text = asking.communicate(timeout=100)[0]
        check(f"broken, {what}: asked on {host.name} it ends with a sentence", "" if asking.returncode in (0, 1) or len(text.strip().splitlines()) == 1 else (asking.returncode, text))
        check(f"broken, {what}: it streams again", until("streaming", lambda: pair.alpha.edge()["state"] == "streaming", 30) and pair.alpha.edge())
    code, text = ask(pair.alpha, pair.tree, "beta")
    check("broken: the next one is whole", "" if code in (0, 1) else (code, text))


def store_pid(pair):
    """The store service of the replica: a child of beta's engine."""
    children = Path(f"/proc/{pair.beta.engine.pid}/task").glob("*/children")
    return next((int(pid) for each in children for pid in each.read_text().split() if "holdfast-store" in Path(f"/proc/{pid}/cmdline").read_text()), None)


def kill_store(pair):
    until("there is a store", lambda: store_pid(pair), 20)
    os.kill(store_pid(pair), signal.SIGKILL)


def refused(pair):
    for words, sentence in ((("compare", pair.tree, "gamma"), "neither sends"), (("compare", "/nowhere", "beta"), "neither sends")):
        answer = subprocess.run([BUILD / "tools/holdfast", *words], env=pair.alpha.environment, capture_output=True, text=True)
        check(f"refused: {words[1]} {words[2]}", "" if answer.returncode > 1 and sentence in answer.stderr else (answer.returncode, answer.stderr))
    pair.beta.stop()
    check("refused: the replica is away", until("it is noticed", lambda: pair.alpha.edge()["state"] != "streaming", 30))
    code, text = ask(pair.alpha, pair.tree, "beta")
    check("refused: so nothing can be compared", "" if code > 1 and "is away" in text else (code, text))
    pair.beta.start()


def main():
    work = Path(tempfile.mkdtemp(prefix="holdfast-compare-"))
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    try:
        with Network() as network, Pair(network, work, standby=work / "standby") as pair:
            compare(pair, "at first")
            under_load(pair, seed)
            by_itself(pair, seed + 1)
            damaged(pair)
            repaired(pair, seed + 3)
            stopped(pair, seed + 9)
            broken(pair, seed + 2)
            refused(pair)
            print(pair.beta.holdfast("engine", "status").strip())
        check("the engines end when they are told to", pair.complaints)
        ended(lambda: f"alpha: {pair.alpha.tail()}\n---\nbeta: {pair.beta.tail()}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
