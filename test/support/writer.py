"""An application for tests: a thread that writes into a directory."""
import os
import random
import threading
import time


class Writer(threading.Thread):
    """An application: makes, overwrites, renames, links and removes files, and syncs now and then."""

    def __init__(self, tree, seed):
        super().__init__(daemon=True)
        self.tree, self.dice, self.ending, self.error = tree, random.Random(seed), threading.Event(), ""
        self.number = 0

    def run(self):
        try:
            while not self.ending.is_set():
                self.step()
                time.sleep(0.002)
        except OSError as error:
            self.error = repr(error)

    def step(self):
        self.number += 1
        place = self.tree / f"d{self.dice.randrange(6)}"
        place.mkdir(exist_ok=True)
        path = place / f"f{self.dice.randrange(40)}"
        kind = self.dice.randrange(10)
        if kind < 5:
            with open(path, "ab" if kind == 0 else "r+b" if path.exists() else "wb") as stream:
                if kind > 0:
                    stream.seek(self.dice.randrange(60000))
                stream.write(self.dice.randbytes(self.dice.randrange(1, 20000)))
                if kind == 1:
                    stream.flush()
                    os.fsync(stream.fileno())
        elif kind == 5 and path.exists():
            os.rename(path, place / f"f{self.dice.randrange(40)}")
        elif kind == 6 and path.exists():
            path.unlink()
        elif kind == 7 and path.exists():
            os.truncate(path, self.dice.randrange(80000))
        elif kind == 8 and path.exists():
            os.setxattr(path, "user.mark", self.dice.randbytes(self.dice.randrange(1, 60)))
        elif path.exists() and not (other := place / f"l{self.number}").exists():
            os.link(path, other)

    def finish(self):
        self.ending.set()
        self.join()
