"""The realtime clock of a host's engine, as a test wants it (libfaketime); monotonic time and file times go on."""
import glob
import time
from datetime import datetime, timezone
from pathlib import Path


def library():
    """None: the package faketime is not there."""
    return next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), None)


class FakeClock:
    def __init__(self, host):
        """Starts the engine of HOST anew, with the time that it is."""
        # Where the engine may read whatever happens to it.
        self.host, self.file = host, Path(host.environment["HOLDFAST_STATE_DIR"]) / "engine/clock"
        self.jump("+0")
        self.restart()

    def restart(self):
        self.host.stop()
        self.host.environment |= {"LD_PRELOAD": library(), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                                  "NO_FAKE_STAT": "1", "TZ": "UTC"}
        self.host.start()
        for name in ("LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE"):
            self.host.environment.pop(name)  # not of the commands

    def jump(self, seconds):
        """By so many from the time that it is."""
        self.file.write_text(f"{seconds}\n")

    def set(self, text):
        """To 2026-12-24T21:00, UTC, from where it goes on."""
        away = datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() - time.time()
        self.jump(f"{away:+.0f}")
