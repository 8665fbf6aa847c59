"""Runs a case, and notes what it may not do."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from zoo.errors import ZooError

from . import words

READ, REFUSED = "read", "refused"
MOST = 1 << 29  # bytes of memory that a case may add to the most that there was before
# Where code and its data may lie, for modules that are imported when they are needed, and what tells of free memory.
CODE = tuple({str(Path(place).absolute()) for place in (*sys.path, sys.prefix, sys.base_prefix, "/proc", "/sys")})


class Forbidden(BaseException):
    """Stops what a case may not do; no `except Exception` keeps it."""


class Watch:
    """Guards this process, for good: what cases do is bounded and noted.

    Args:
        folder: the only one in which files may be written.
        seconds: of computing time for a case.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder, self.seconds = str(folder), seconds
        self.active = False
        self.noted: list[str] = []
        self.modules: set[str] = set()  # top-level ones that may be imported; empty: all
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 4 * MOST, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGPROF, self._late)
        sys.addaudithook(self._hook)

    def run(self, read: Callable[[], object]) -> tuple[str, str]:
        """Read, refused, or what went wrong; and the details of that."""
        self.noted, before = [], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome, text = READ, ""
        self.active = True
        signal.setitimer(signal.ITIMER_PROF, self.seconds, 1)  # again after a second, where the first was swallowed
        try:
            try:
                read()
            finally:
                self.active = False
        except ZooError as error:
            outcome, text = REFUSED, str(error)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            outcome, text = kind_of(error), "".join(traceback.format_exception(error))
        finally:
            self.active = False  # the signal may have come in the line that says so
            signal.setitimer(signal.ITIMER_PROF, 0)
        taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        if taken > MOST:
            self.noted.insert(0, "took more than 512 MiB of memory")
        return (self.noted[0], text) if self.noted else (outcome, text)

    def learn(self) -> None:
        """From here on, only modules may be imported whose packages are there already."""
        self.modules = {name.partition(".")[0] for name in sys.modules} | {"defusedxml", "olefile"}

    def _late(self, number: int, frame: FrameType | None) -> None:
        if self.active:
            self._forbid(f"took more than {self.seconds:g} s")

    def _forbid(self, what: str, detail: object = "") -> None:
        frames = [item for item in traceback.walk_stack(None) if item[0].f_code.co_filename != __file__]
        self.noted.append(f"{what} at {place(frames[::-1])}")
        raise Forbidden(f"{what} {detail!r:.99}")

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event == "open":
            path, mode, flags = args
            writes = flags & 0o3103 if isinstance(flags, int) else set(mode or "") & set("wax+")
            if isinstance(path, (str, bytes)) and not self._may(path, bool(writes)):
                self._forbid("wrote outside" if writes else "opened what is outside", path)
        elif event in words.EVENTS:
            self._forbid(event, args)
        elif event in words.CHANGES:
            if outside := [a for a in args if isinstance(a, (str, bytes)) and a and not self._may(a, True)]:
                self._forbid(event, outside[0])
        elif event == "import":
            if self.modules and args[0].partition(".")[0] not in self.modules:
                self._forbid(f"imported {args[0]}")
        elif event == "exec" and self.modules:
            name = getattr(args[0], "co_filename", "")
            importing = any(f.f_code.co_filename.startswith("<frozen imp") for f, _ in traceback.walk_stack(None))
            if not name.startswith((*CODE, "<frozen")) and not importing:
                self._forbid(f"ran code of {name}")

    def _may(self, path: str | bytes, write: bool) -> bool:
        """Whether a file lies where it may be read or written."""
        path = os.fsdecode(path)
        whole = os.path.realpath(path)
        return (
            whole in ("/dev/null", self.folder)
            or whole.startswith(f"{self.folder}/")
            or (not write and os.path.normpath(Path(path).absolute()).startswith(CODE))
        )


def place(frames: Any) -> str:
    """The innermost line of the zoo, and the file beyond it, if it is another's."""
    lines = [(frame.f_code.co_filename, line) for frame, line in frames][::-1]
    ours = next((f"{Path(file).name}:{line}" for file, line in lines if "/zoo/" in file), "?")
    beyond = f" ({'/'.join(Path(lines[0][0]).parts[-2:])})" if lines and "/zoo/" not in lines[0][0] else ""
    return f"{ours}{beyond}"


def kind_of(error: BaseException) -> str:
    return f"{type(error).__name__} at {place(traceback.walk_tb(error.__traceback__))}"


def scratch() -> Path:
    """A new folder, in memory where there is such a place."""
    shared = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="zoo-fuzz-", dir=shared if shared.is_dir() else None)).resolve()
