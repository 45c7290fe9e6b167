"""A file system in a file, for tests that fill one or set one back."""
import os
import subprocess

from replicated import until
from volume import run


class Disk:
    def __init__(self, work, name, megabytes):
        self.file, self.copy, self.place = work / f"{name}.disk", work / f"{name}.copy", work / name
        self.place.mkdir()
        with open(self.file, "wb") as stream:
            stream.truncate(megabytes << 20)
        run("mkfs.ext4", "-q", self.file)

    def mount(self):
        run("mount", "-o", "loop", self.file, self.place)

    def umount(self):
        # The store service of a directory that was just unmounted still applies what is left.
        gone = lambda: not os.path.ismount(self.place) or subprocess.run(["umount", self.place], stderr=subprocess.DEVNULL).returncode == 0
        if bad := until(f"{self.place.name} is unmounted", gone):
            raise SystemExit(bad)

    def remember(self):
        os.sync()
        run("cp", "--sparse=always", self.file, self.copy)

    def set_back(self):
        self.umount()
        run("cp", "--sparse=always", self.copy, self.file)
        self.mount()

    def fill(self):
        """Takes all the space that is left, also what root may take."""
        with open(self.place / "filler", "wb") as stream:
            size = 64 << 20
            while size >= 4096:
                try:
                    os.posix_fallocate(stream.fileno(), os.fstat(stream.fileno()).st_size, size)
                except OSError:
                    size //= 2

    def make_room(self):
        (self.place / "filler").unlink()

    def __enter__(self):
        self.mount()
        return self

    def __exit__(self, *_):
        self.umount()
