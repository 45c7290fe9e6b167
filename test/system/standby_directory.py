#!/usr/bin/env python3
"""A replica whose host keeps the directory that it would serve: the standby directory.

    namespace alpha                    namespace between                  namespace beta
      10.77.1.1  ── 10.77.1.0/24 ──  10.77.1.9
      holdfastd (source)               forwarder :4848                      holdfastd (replica) :4848
      the protected directory          10.77.2.9  ── 10.77.2.0/24 ──  10.77.2.1
                                                                            the standby directory, on a disk of its own

It follows under load, whatever is killed; a copy that is there already is taken over, and nothing else is removed without being told to; what somebody did to it
behind the product's back is put right when somebody asks; and a disk that is not there is no reason for the replica to stand still.
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from disk import Disk
from replicated import BUILD, Network, Pair, compare, until
from verdict import check, ended
from volume import run
from writer import Writer


def status(pair):
    return json.loads(pair.beta.holdfast("status", pair.replica, "--json"))["volumes"][0]["standby"] or {}


def keep(pair, directory, more=""):
    """Beta's rule for the replica has this standby directory from now on."""
    text = pair.beta.config.read_text()
    head = text[:text.index("[[keep]]")]
    rule = "[[keep]]\n" + "".join(line + "\n" for line in text[len(head):].splitlines()[1:] if not line.startswith(("directory", "replace_contents")))
    pair.beta.configure(head + rule + (f'directory = "{directory}"\n' if directory else "") + more)


def store_service(pair):
    return next((pid for name, pid in pair.beta.children() if name == "holdfast-store"), None)


def write(pair, seed, seconds, during=lambda: None):
    writer = Writer(pair.tree, seed)
    writer.start()
    try:
        end = time.monotonic() + seconds
        during()
        time.sleep(max(0, end - time.monotonic()))
    finally:
        writer.finish()
    check("the application noticed nothing", writer.error)


def refused(pair, directory):
    """What is there is not touched without a word."""
    (directory / "letters").mkdir()
    (directory / "letters/mine").write_text("do not remove")
    keep(pair, directory)
    check("refused: it is said", until("it is refused", lambda: status(pair).get("state") == "refused", 20) and status(pair))
    check("refused: why", "" if "letters" in status(pair)["why"] and "replace_contents" in status(pair)["why"] else status(pair))
    text = pair.beta.holdfast("status", pair.replica)
    check("refused: and to a person", "" if "no standby directory" in text else text)
    time.sleep(1)
    check("refused: nothing is changed", "" if (directory / "letters/mine").read_text() == "do not remove" else "it is gone")
    write(pair, 1, 0.5)
    compare(pair, "refused: the replica goes on")
    answer = subprocess.run([BUILD / "tools/holdfast", "standby", "compare", pair.replica], env=pair.beta.environment, capture_output=True, text=True)
    check("refused: nor is it compared", "" if answer.returncode != 0 and "letters" in answer.stderr else (answer.returncode, answer.stderr))
    shutil.rmtree(directory / "letters")


def taken_over(pair, directory):
    """A copy by other means becomes the standby directory; what it has beyond goes, because that was said."""
    run("rsync", "-aHAX", "--filter=-x trusted.holdfast.*", f"{pair.tree}/", f"{directory}/")
    (directory / "d1/too much").write_text("x")
    (directory / "d1/large").write_bytes(b"other bytes")
    inode = (directory / "sparse").stat().st_ino
    keep(pair, directory, "replace_contents = true\n")
    pair.standby = directory
    compare(pair, "taken over")
    check("taken over: a file that was right is the same file", "" if (directory / "sparse").stat().st_ino == inode else "it is another")


def killed(pair, seed):
    """The store's service dies under load, again and again."""
    def kills():
        dice = random.Random(seed)
        for _ in range(6):
            time.sleep(0.2 + dice.random())
            if bad := until("it is there", lambda: store_service(pair), 30):
                return check("killed: the service comes back", bad)
            os.kill(store_service(pair), signal.SIGKILL)
    write(pair, seed, 6, kills)
    compare(pair, "killed")


def vandalized(pair, directory):
    """Whatever root can do to it."""
    for number in range(3):
        (pair.tree / f"v{number}").mkdir(exist_ok=True)
        for name in ("bytes", "mode", "gone", "other"):
            (pair.tree / f"v{number}" / name).write_bytes(name.encode() * 20_000)
    compare(pair, "vandalized: before")
    with open(directory / "v0/bytes", "r+b") as stream:
        stream.seek(40_000)
        stream.write(b"forged")
    os.chmod(directory / "v0/mode", 0o777)
    (directory / "v0/gone").unlink()
    (directory / "v0/other").unlink()
    (directory / "v0/other").write_bytes(b"another file")
    os.rename(directory / "v1", directory / "v0/v1 elsewhere")
    os.rename(directory / "v2/bytes", directory / "v2/mode")
    os.link(directory / "v2/other", directory / "another name")
    (directory / "foreign").mkdir()
    (directory / "foreign/file").write_bytes(b"x")
    os.setxattr(directory / "v2", "user.note", b"forged")
    said = pair.beta.holdfast("standby", "compare", pair.replica)
    check("vandalized: it is said", "" if "put right" in said else said)
    compare(pair, "vandalized")
    said = pair.beta.holdfast("standby", "compare", pair.replica)
    check("vandalized: nothing is left", "" if "nothing differed" in said else said)
    # What was removed is seen by itself as soon as somebody changes it.
    shutil.rmtree(directory / "v1")
    (pair.tree / "v1/bytes").write_bytes(b"written anew")
    compare(pair, "vandalized: a directory that was removed")


def without_disk(pair, disk, seed):
    """The standby directory's disk is not mounted when the service begins."""
    pair.beta.stop()
    run("umount", disk.place)
    pair.standby = None
    pair.beta.start()
    write(pair, seed, 1)
    compare(pair, "without its disk: the replica goes on")
    check("without its disk: it is said", "" if status(pair).get("state") == "unreachable" and "mounted" in status(pair).get("why", "") else status(pair))
    told = lambda: [event for event in pair.beta.events() if event["code"] == "HF-E-217"]
    check("without its disk: an event tells", until("there is one", told, 40) and pair.beta.events()[-3:])
    check("without its disk: so does the engine's status", "" if pair.beta.edge().get("standby") == "unreachable" else pair.beta.edge())
    check("without its disk: nothing is written where it would be", "" if not [entry for entry in disk.place.iterdir() if not entry.name.startswith(".holdfast-standby-")] else list(disk.place.iterdir()))
    pair.beta.stop()
    for entry in disk.place.iterdir():
        entry.rmdir()
    disk.mount()
    pair.beta.start()
    pair.standby = disk.place
    compare(pair, "its disk is there again")
    check("its disk is there again: without a comparison", "" if status(pair).get("comparisons") == 0 else status(pair))


def given_up(pair, directory):
    """A rule without it leaves the directory to itself."""
    keep(pair, "")
    pair.standby = None
    check("given up: there is none", until("it is gone", lambda: not status(pair), 20) and status(pair))
    before = sorted(os.listdir(directory))
    write(pair, 99, 0.5)
    compare(pair, "given up")
    check("given up: it stays as it was", "" if sorted(os.listdir(directory)) == before else os.listdir(directory))


def main():
    work = Path(tempfile.mkdtemp(prefix="holdfast-standby-"))
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    try:
        with Network() as network, Disk(work, "standby", 1024) as disk:
            with Pair(network, work) as pair:
                write(pair, seed, 1)
                compare(pair, "at first")
                refused(pair, disk.place)
                taken_over(pair, disk.place)
                write(pair, seed + 1, 3)
                compare(pair, "under load")
                edge = pair.beta.edge()
                check("under load: the engine tells of it", "" if edge.get("standby") == "following" and "standby_behind_bytes" in edge else edge)
                killed(pair, seed + 2)
                vandalized(pair, disk.place)
                without_disk(pair, disk, seed + 3)
                given_up(pair, disk.place)
            check("the engines end when they are told to", pair.complaints)
            ended(lambda: f"{pair.alpha.tail()}\n---\n{pair.beta.tail()}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
