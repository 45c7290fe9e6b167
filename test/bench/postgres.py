"""pgbench in each of the directories: transactions per second of the standard mixed load."""
import os
import re
import shutil
import statistics
from pathlib import Path

from volume import run

BIN = Path("/usr/lib/postgresql/15/bin")
PORT = 54329
SECONDS = 8


def as_postgres(*command):
    return run("runuser", "-u", "postgres", "--", *command, cwd="/tmp")


def transactions_per_second(directory):
    data = directory / "pg"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    shutil.chown(data, "postgres", "postgres")
    as_postgres(BIN / "initdb", "-D", data, "-A", "trust", "-N")
    server = f"-p {PORT} -c listen_addresses= -c unix_socket_directories=/tmp -c fsync=on"
    as_postgres(BIN / "pg_ctl", "-D", data, "-o", server, "-l", data / "log", "-w", "start")
    try:
        as_postgres("pgbench", "-h", "/tmp", "-p", str(PORT), "-q", "-i", "-s", "5", "postgres")
        output = as_postgres("pgbench", "-h", "/tmp", "-p", str(PORT), "-c", "4", "-j", "1", "-T", str(SECONDS), "postgres")
    finally:
        as_postgres(BIN / "pg_ctl", "-D", data, "-m", "fast", "-w", "stop")
    shutil.rmtree(data)
    return float(re.search(r"tps = ([0-9.]+)", output).group(1))


def side_by_side(mounts, rounds, progress):
    os.chmod(mounts.work, 0o755)
    speeds = {kind: [] for kind in mounts.directories}
    for number in range(rounds):
        kinds = list(mounts.directories.items())
        for kind, directory in kinds[number % 3:] + kinds[:number % 3]:
            speeds[kind].append(transactions_per_second(directory))
            mounts.settle()
        progress(f"round {number + 1}, pgbench: " + ", ".join(f"{k} {v[-1]:.0f}/s" for k, v in speeds.items()))
    return {kind: statistics.median(values) for kind, values in speeds.items()}
