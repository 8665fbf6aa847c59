"""How much memory can be had."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "memory.usage_in_bytes"),
)


def free_memory() -> int:
    """Bytes that can be had without swapping; more than anybody needs where the system does not tell.

    The limits of a container and of the process (``ulimit -v``) count.
    """
    return max(min(_limits(), default=1 << 60), 0)


def _limits() -> Iterator[int]:
    try:
        facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        yield int(facts["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        with suppress(AttributeError, OSError, ValueError):
            yield os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for name, used in _GROUPS:
        with suppress(OSError, ValueError):  # "max", for no limit, is no number
            group = Path(name)
            stat = dict(line.split() for line in group.with_name("memory.stat").read_text().splitlines())
            cached = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))  # the kernel reclaims it
            yield int(group.read_text()) - int(group.with_name(used).read_text()) + cached
    with suppress(ImportError, OSError, ValueError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            yield limit - int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
