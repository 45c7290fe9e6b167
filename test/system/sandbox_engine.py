#!/usr/bin/env python3
"""An engine that somebody has taken over, and what it can reach.

`exploited_engine` is holdfastd with an attacker in it (sandbox_attack.cc), who tries in the engine's process all that would help. It keeps a
replica; beside it lie a secret, a source's store and a program that sleeps.

    without confinement   the tries work, which shows that they are tries
    in the engine         each is refused by the kernel or by the launcher, nothing outside has changed, and replication goes on
"""
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import sandbox
from replicated import BUILD, Network, Pair, compare, until
from sandbox import Scene, report, state_of, status_line, capabilities
from verdict import check, ended, failures

sandbox.ATTACKED = ATTACKED = BUILD / "test/system/exploited_engine"
# It speaks TCP with peers, and looks at what it may not open.
MAY_WORK = {"tcp", "socket-pair", "look-at-secret"}
QUESTIONS = 11


def what_it_has(host):
    pid = host.engine_process()
    for key in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        check(f"{key} of the engine is empty", capabilities(pid, key))
    check("the launcher has its capabilities", not capabilities(host.engine.pid) and "none")
    check("the engine gets no new privileges and is filtered", [status_line(pid, "NoNewPrivs"), status_line(pid, "Seccomp")] != ["1", "2"])
    unfiltered = [thread for thread in os.listdir(f"/proc/{pid}/task") if status_line(f"{pid}/task/{thread}", "Seccomp") != "2"]
    check("each of its threads is", unfiltered)
    status = json.loads(host.holdfast("engine", "status", "--json"))
    check("its status says so", "filter of system calls" not in status.get("confined", "") and status)
    print("     " + status.get("confined", ""), flush=True)


def every_try_fails(found, known):
    tried = {name: error for name, error in found.items() if name != "end"}
    check("the attacker tried all, in the engine as without", "end" not in found and found or known - {"end"} - set(tried))
    worked = sorted(name for name, error in tried.items() if error == 0 and name not in MAY_WORK)
    check(f"each of {len(tried)} tries is refused", worked)
    asked = [name for name in tried if name.startswith("launcher:")]
    check("the launcher was asked", len(asked) != QUESTIONS and asked)


def dies_with_its_launcher(host):
    pid = host.engine_process()
    host.kill()
    check("an engine whose launcher is killed is gone", until("it is gone", lambda: not os.path.exists(f"/proc/{pid}"), 5))
    host.start()
    pid = host.engine_process()
    os.kill(pid, signal.SIGKILL)
    check("a launcher whose engine is killed ends, for systemd to see", until("it has ended", lambda: host.engine.poll() is not None, 5))
    check("  and not as if nothing were wrong", host.engine.poll() == 0 and "status 0")
    host.start()


def attack(pair, scene):
    host, target = pair.beta, pair.replica
    host.stop()
    host.program = ATTACKED
    socket = next(Path(pair.alpha.environment["HOLDFAST_RUN_DIR"]).rglob("store.sock"))
    environment = dict(scene.environment(pair.store / "volume.toml", socket, target), HOLDFAST_ATTACK_ENGINE="1")
    host.environment.update(environment)
    host.start()
    pid = host.engine_process()
    compare(pair, "with an attacker asleep")
    what_it_has(host)
    known = sandbox.tries_work(scene, pair.work, pair.store / "volume.toml", socket)
    with open(scene.secret, "rb"):
        os.kill(pid, signal.SIGUSR1)
        check("the attack ends", until("its report ends", lambda: "end" in report(target / "report"), 20))
    every_try_fails(report(target / "report"), known)
    check("the secret is as it was", state_of(scene.secret) != scene.before and (state_of(scene.secret), scene.before))
    check("nothing was made outside", sorted(os.listdir(scene.outside)) != ["secret"] and os.listdir(scene.outside))
    check("the engine lives", host.engine_process() != pid and pid)
    (pair.tree / "after").write_bytes(b"written after the attack")
    compare(pair, "after the attack")


def no_hook_is_installed():
    sandbox.no_hook_is_installed()
    installs = [str(script) for script in BUILD.rglob("cmake_install.cmake") if "exploited_engine" in script.read_text()]
    check("the attacked one is not installed", installs)


def main():
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        print("skipped: needs root and /dev/fuse")
        sys.exit(77)
    work = Path(tempfile.mkdtemp(prefix="holdfast-sandbox-")).resolve()
    scene = Scene(work, work / "replica")
    try:
        no_hook_is_installed()
        with Network() as network, Pair(network, work) as pair:
            compare(pair, "before")
            attack(pair, scene)
            dies_with_its_launcher(pair.beta)
            compare(pair, "after both have died")
            if failures:
                print(pair.beta.tail())
    finally:
        scene.end()
        shutil.rmtree(work, ignore_errors=True)
    ended()


if __name__ == "__main__":
    main()
