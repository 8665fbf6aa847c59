"""Many pictures on many machines: the work of the verbs on Ray Data, with a model on each device.

Every picture is a file of its own in a folder that all machines see. It is whole or not there, so what a lost worker
had begun is done again by another.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.errors import ZooError

PICTURES, SAMPLES = 16, 64  # that a worker takes at once


class Worker:
    """A model in a process of its own; Ray Data calls it with batches."""

    def __init__(self, verb: str, loading: dict[str, Any], folder: str, options: dict[str, Any]) -> None:
        from .verbs import ready

        self.verb, self.folder, self.options = verb, Path(folder), options
        self.model = ready(verb=verb, **loading)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Files of a batch: written, or the reason why not."""
        failed: list[str] = []
        if self.verb == "generate":
            done = 0
            for first, n in zip(batch["first"], batch["n"], strict=True):
                made = self.model.generate(int(n), first=int(first), **self.options)
                made.names = [f"{int(first) + i:07d}" for i in range(int(n))]
                made.save(self.folder)
                done += len(made)
            return {"done": [done], "failed": [""]}
        from .pipeline import read, through

        images = read(
            [(str(name), Path(path)) for name, path in zip(batch["name"], batch["path"], strict=True)], failed
        )
        done = 0
        for _, made in through(self.model, images, self.options, failed):
            made.save(self.folder)
            done += len(made)
        return {"done": [done], "failed": ["\n".join(failed)]}


def run(
    verb: str, rows: Sequence[tuple[str, Path]] | int, folder: Path, loading: dict[str, Any], options: dict[str, Any]
) -> tuple[int, list[str]]:
    """Do the work of a verb on a Ray cluster: the one that ``RAY_ADDRESS`` names, or this machine.

    Args:
        verb: generate or reconstruct.
        rows: name and path of each input; for generate, how many samples.
        folder: where the pictures go; all machines must see it under this path.
        loading: arguments of :func:`cli.verbs.ready`.
        options: arguments of the verb.

    Returns:
        How many were written, and why others were not.

    Raises:
        ZooError: if Ray is not installed.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise ZooError("Ray needs more packages: pip install 'generative-zoo[ray]'.") from None
    started = not ray.is_initialized()
    if started:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        gpus = int(there.get("GPU", 0)) if loading["device"].startswith("cuda") else 0
        workers = gpus or max(1, int(there.get("CPU", 1)))
        if isinstance(rows, int):
            items: list[dict[str, Any]] = [
                {"first": first, "n": min(SAMPLES, rows - first)} for first in range(0, rows, SAMPLES)
            ]
        else:
            items = [{"name": name, "path": str(path.absolute())} for name, path in rows]
        # Items that lie in memory need no tasks of their own, which would wait for the processors that workers hold.
        found = (
            ray.data.from_items(items, override_num_blocks=min(len(items), 4 * workers))
            .map_batches(
                Worker,
                fn_constructor_args=(verb, loading, str(folder.absolute()), options),
                batch_size=1 if isinstance(rows, int) else PICTURES,
                compute=ray.data.ActorPoolStrategy(size=workers),
                num_gpus=1 if gpus else 0,
                max_restarts=-1,
                max_task_retries=-1,
            )
            .take_all()
        )
    finally:
        if started:
            ray.shutdown()
    return sum(int(row["done"]) for row in found), [line for row in found for line in str(row["failed"]).splitlines()]
