"""One training run in a folder: what is written, when it stops, how it goes on.

The folder holds the best weights so far as a model that ``local-dir:`` loads (``model.safetensors``, ``config.json``)
with the sample grid ``samples.png``, the grids of all measurements in ``samples/``, ``log.jsonl``, ``report.html``, and
``state.pt``, from which the run can be resumed. Each file is written aside and renamed, so that nothing is lost at
whatever moment a run ends.
"""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from zoo.data.source import doubts
from zoo.errors import InputError, ZooError
from zoo.files import atomic_write
from zoo.media.image_encode import check_output, write
from zoo.media.images import Images
from zoo.networks import halved
from zoo.registry.facts import Entry, Format, Metric, with_choices
from zoo.registry.schema import to_config
from zoo.training.monitors import Alarm, check
from zoo.training.objective import Objective
from zoo.training.report import write_report
from zoo.training.runtime import Runtime
from zoo.weights.folder import CONFIG_FILE, SAMPLES_FILE, WEIGHTS_FILE

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

STATE_FILE = "state.pt"
KEPT = ("step", "best", "best_step", "seconds", "log", "sums")  # of a run, through a break
WRITTEN = (WEIGHTS_FILE, CONFIG_FILE, SAMPLES_FILE, "samples", "log.jsonl", "report.html")
PARTS = ("plan", "alarms", "networks", "averages", "objective")  # what else is saved
Say = Callable[[str], None]


def save_weights(network: nn.Module, path: Path) -> None:
    """Write the state dict as float16 safetensors; a file that is there is replaced in one go."""
    with atomic_write(path) as aside:
        save_file(halved(network.state_dict()), aside, metadata={"format": "pt"})
        aside.chmod(0o644)  # safetensors writes files that only their owner can read


def open_folder(out: Path, resume: bool) -> dict[str, Any] | None:
    """The state of the run in a folder that is to be resumed; None for a folder in which a new one can begin.

    Raises:
        InputError: if there is a run and ``resume`` is off, or none and it is on, or the folder cannot be written.
    """
    if not resume:
        if (out / STATE_FILE).exists():
            raise InputError(f"{out} holds a run already: `--resume {out}` goes on with it; or choose another --out.")
        if any((out / name).exists() for name in WRITTEN):
            raise InputError(f"{out} holds a model already, which the run would overwrite: choose another --out.")
    elif not (out / STATE_FILE).exists():
        raise InputError(f"{out} holds no run that could be resumed: name the folder of a run, or begin with --out.")
    check_output(out / "samples" / "0.png")  # that it can be written, before any time is spent
    if not resume:
        return None
    try:
        state: dict[str, Any] = torch.load(out / STATE_FILE, map_location="cpu", weights_only=True)
        _ = [state[key] for key in (*KEPT, *PARTS)], [state["plan"][field.name] for field in fields(Plan)]
    except Exception as error:  # a damaged file can raise anything
        raise _damaged(out, error) from None
    return state


def _damaged(out: Path, error: Exception) -> InputError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(
        f"{out / STATE_FILE} is damaged ({reason}): the run cannot be resumed; its best weights are in {WEIGHTS_FILE}."
    )


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Keep other runs out of a folder, which is created, and deleted if it stays empty.

    The lock is the system's, on the folder itself: it ends with the process, however that ends, and leaves no file.

    Raises:
        InputError: if another run has the folder.
    """
    missing = [path for path in (out, *out.parents) if not path.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = os.open(out, os.O_RDONLY)
    except OSError:  # Windows opens no folders; what else is wrong with it is said where it is written to
        yield
        return
    try:
        if fcntl:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"{out} is in use by another run: wait for it, or choose another --out.") from None
            except OSError:
                pass  # a file system without locks
        yield
    finally:
        os.close(folder)
        with suppress(OSError):
            for path in missing:
                path.rmdir()  # only if it is empty


def check_apart(out: Path, places: Sequence[str]) -> None:
    """Refuse a folder for a run inside its data, or around them: its sample grids would be trained on.

    Raises:
        InputError: also for data that hold the folder of another run; links are followed.
    """
    folder = Path(os.path.realpath(out))
    for place in places:
        if place.startswith("datasets:"):
            continue
        real = Path(os.path.realpath(place))
        if real == folder:
            raise InputError(f"{out} is the folder of the data: choose another --out.")
        if real.is_relative_to(folder):
            raise InputError(f"{place} lies in {out}, where the run's sample grids go: choose another --out.")
        for inside, files in _folders(real, set()):
            if folder.is_relative_to(inside):
                raise InputError(
                    f"{out} lies in {place}, so its sample grids would be trained on: choose another --out."
                )
            if {STATE_FILE, SAMPLES_FILE} <= files:
                raise InputError(
                    f"{inside}, in the data, is the folder of a run, whose sample grids would be trained on: move it."
                )


def _folders(path: Path, seen: set[str]) -> Iterator[tuple[Path, set[str]]]:
    """Every real folder of a folder, with the names of its files; links are followed, each once."""
    for inside, folders, files in os.walk(path):
        seen.add(inside)
        yield Path(inside), set(files)
        for link in (Path(inside, name) for name in folders):
            if link.is_symlink() and (real := os.path.realpath(link)) not in seen:
                yield from _folders(Path(real), seen)


@dataclass
class Plan:
    """What makes a run that run, and not another: a resumed one must have the same.

    Attributes:
        recipe: as ``module:function``.
        settings: its keyword arguments.
        data: number that changes with the data.
        precision: of the runtime.
        features: what images are compared by; empty where they are not.
    """

    recipe: str
    settings: dict[str, Any]
    data: int
    precision: str
    features: str = ""

    def check(self, saved: Mapping[str, Any], out: Path) -> None:
        """Refuse to resume what was another run."""
        for key, mine in vars(self).items():
            if saved[key] != mine:
                other = "other data" if key == "data" else f"the {key} {_words(saved[key])}, not {_words(mine)}"
                raise InputError(f"{out} is a run with {other}: give it the same, or start anew with another --out.")


def _words(value: Any) -> str:
    return ", ".join(f"{k}={v}" for k, v in value.items()) or "none" if isinstance(value, dict) else str(value)


class Run:
    """A run of an objective in a folder.

    Args:
        objective: what is trained.
        out: the folder; created if it is missing.
        plan: what the run is; compared with the folder's when it is resumed.
        entry: the registry's facts of the model that is trained; None while it has none, and then no ``config.json``
            is written.
        runtime: where it computes.
        saved: the state that :func:`open_folder` read there, to resume from.
        facts: more lines for the report.
        say: takes each line of text for the user.
        tick: takes the line that shows progress, every second or so.

    Raises:
        InputError: if what was saved is another run.
    """

    def __init__(
        self,
        objective: Objective,
        out: Path,
        plan: Plan,
        runtime: Runtime,
        *,
        entry: Entry | None = None,
        saved: Mapping[str, Any] | None = None,
        facts: Mapping[str, str] | None = None,
        say: Say = print,
        tick: Say = lambda line: None,
    ) -> None:
        self.objective, self.out, self.plan, self.runtime, self.entry = objective, out, plan, runtime, entry
        self.facts, self.say, self.tick = dict(facts or {}), say, tick
        self.step, self.best, self.best_step, self.seconds = 0, math.inf, 0, 0.0
        self.log: list[dict[str, float]] = []
        self.alarms: list[Alarm] = []
        self.sums: dict[str, torch.Tensor] = {}  # of what the steps logged since the last measurement
        self.kept = 0  # the step of weights that are kept without a measurement in the log
        self.stopping = ""  # why, as soon as there is a reason
        self.failed = False  # whether that is an alarm
        if saved:
            plan.check(saved["plan"], out)
        elif runtime.rank == 0:
            for text in doubts(images for data in objective.data for images in data.sets()):
                say(f"Warning: {self.facts.get('data', 'the data')}: {text}: nothing can be learnt from that.")
        objective.start(runtime)
        if saved:
            try:
                self._restore(saved)
            except Exception as error:  # what does not fit can raise anything
                raise _damaged(out, error) from None

    def train(self, minutes: float | None = None, stop_on_collapse: bool = False) -> bool:
        """Train until the last step, the end of the time, or ctrl-C; True if the run is complete.

        Ctrl-C and the end of the time lose nothing, and a break at any other moment at most the steps since the last
        measurement. A resumed run comes to the same result as an unbroken one: bit for bit, in one process
        on the CPU.

        Raises:
            ZooError: if the disk takes no more, or a loss is no number any more.
        """
        began, before, first, told = time.monotonic(), self.seconds, self.step, 0.0
        while_left = 60 * minutes if minutes else math.inf
        with self._interruptible():
            while self.step < self.objective.steps:
                # Each step has a seed of its own, so that a break changes nothing.
                torch.manual_seed(self.step * self.runtime.world + self.runtime.rank)
                losses = self.objective.step(self.step)
                self.step += 1
                self.sums = {key: value + self.sums.get(key, 0) for key, value in losses.items()}
                passed = time.monotonic() - began
                self.seconds = before + passed
                due = self.step % self.objective.eval_every == 0 or self.step == self.objective.steps
                if due or passed - told > 1:
                    speed = (self.step - first) / passed
                    if told < 10 <= passed:
                        self._foresee(speed, while_left - passed)
                    told = passed
                    self.tick(self._progress(losses, speed, while_left - passed))
                if due:
                    since = self.step - (int(self.log[-1]["step"]) if self.log else 0)
                    means = {key: float(value) / since for key, value in self.sums.items()}
                    self.sums = {}  # before the state is saved: a resumed run must not count them again
                    self._measure(means, stop_on_collapse)
                if passed > while_left:
                    self.stopping = self.stopping or "the time is over"
                if self.runtime.any(bool(self.stopping)):  # asked once a step, so that all leave at the same one
                    self.stopping = self.stopping or "another process stopped"
                    break
        if self.runtime.rank == 0:
            self._save()
            if not self.log:
                self._keep_unmeasured()
            self._report()
        return self.step >= self.objective.steps

    def _foresee(self, speed: float, seconds: float) -> None:
        """Say early that the time will not be enough."""
        steps = self.objective.steps
        if self.step + speed * seconds < steps and self.runtime.rank == 0:
            reached = int(self.step + speed * seconds)
            self.say(
                f"All {steps:,} steps take {steps / speed / 60:.0f} minutes here, so this run will stop at about step "
                f"{reached:,}; it can be resumed. A run of --set steps={reached} would end its schedule in time."
            )

    def _progress(self, losses: Mapping[str, Any], speed: float, time_left: float) -> str:
        left = min((self.objective.steps - self.step) / speed, time_left)
        shown = "  ".join(f"{key} {float(value):.3g}" for key, value in losses.items())
        return f"step {self.step:,} of {self.objective.steps:,}  {shown}  {speed:.3g} steps/s  {left / 60:.0f} min left"

    def _measure(self, losses: Mapping[str, float], stop_on_collapse: bool) -> None:
        """Metrics, alarms, the best weights, a sample grid: everything that a measurement leaves behind."""
        if self.runtime.rank:
            self.log.append({"step": float(self.step)})
            return
        line = {"step": float(self.step), **losses, **self.objective.measure(), "seconds": round(self.seconds)}
        self.log.append(line)
        better = line["metric"] < self.best
        if better:
            self.best, self.best_step = line["metric"], self.step
        shown = "  ".join(f"{k} {v:.4g}" for k, v in line.items() if k not in ("step", "seconds"))
        self.say(f"step {self.step:,}: {shown}{'  (the best so far)' if better else ''}")
        alarms = check(self.log, self.objective.steps)
        for alarm in alarms:
            if alarm.new:  # once is enough
                self.say(f"Warning: step {alarm.step:,}: {alarm.text}")
            if alarm.fatal or (alarm.collapse and stop_on_collapse):
                self.stopping, self.failed = alarm.text, True
        self.alarms += [alarm for alarm in alarms if alarm.new]
        grid = self._sample_grid()
        with self._disk():
            if better:
                self._write_best(self.best)
                write(grid, self.out / SAMPLES_FILE)
            write(grid, self.out / "samples" / f"{self.step:07d}.png")
        self._save()
        self._report()

    def _sample_grid(self) -> Image.Image:
        rows = self.objective.sample_grid()
        if all(isinstance(row, Images) for row in rows):
            return Images.concat(rows).grid(columns=len(rows[0]))  # type: ignore[arg-type]
        previews = [row.preview().convert("RGB") for row in rows]  # of other kinds, one below the other
        grid = Image.new("RGB", (max(x.width for x in previews), sum(x.height for x in previews)), "white")
        for i, preview in enumerate(previews):
            grid.paste(preview, (0, sum(x.height for x in previews[:i])))
        return grid

    def _keep_unmeasured(self) -> None:
        """Weights of a run that ends before its first measurement.

        They count for nothing when it goes on, neither in the log nor as the best: so it comes to the same result as an
        unbroken one.
        """
        metric = self.objective.measure()["metric"]
        if not math.isfinite(metric):
            self.say(f"The run ended before its first measurement; at step {self.step:,} its metric is no number.")
            return
        with self._disk():
            self._write_best(metric)
            write(self._sample_grid(), self.out / SAMPLES_FILE)
        self.kept = self.step
        self.say(
            f"The run ended before its first measurement, which is at step {self.objective.eval_every:,}: the weights "
            f"of step {self.step:,} are kept, whose metric is {metric:.4g}."
        )

    def _write_best(self, metric: float) -> None:
        """The averaged networks, as folders that ``local-dir:`` loads."""
        for number, (name, average) in enumerate(self.objective.averages.items()):
            folder = self.out if number == 0 else self.out / name
            save_weights(average.network, folder / WEIGHTS_FILE)
            if self.entry:
                with atomic_write(folder / CONFIG_FILE) as aside:
                    aside.write_text(to_config(self._trained(self.entry, metric)), "utf-8")

    def _record(self) -> dict[str, Any]:
        """What the run is, for the card of its weights."""
        return {
            "recipe": self.plan.recipe,
            "settings": self.plan.settings,
            "data": self.facts.get("data", "unknown"),
            "images": self.objective.counts(),
            "batch_size": self.objective.batch_size,
            "step": self.step,
            "steps": self.objective.steps,
            "minutes": round(self.seconds / 60, 1),
            "device": str(self.runtime.device),
            "precision": self.plan.precision,
            "processes": self.runtime.world,
            "features": self.plan.features,
            "versions": self.facts.get("versions", "unknown"),
        }

    def _trained(self, entry: Entry, metric: float) -> Entry:
        """The facts of what was trained, out of those of the model's checkpoint."""
        x, y = self.objective.example()
        return replace(
            entry,
            checkpoint="trained",
            config=self.objective.config,
            conditions=with_choices(entry.conditions, self.objective.choices),
            input=_like(entry.input, x, 1) if entry.input and x is not None else None,
            output=_like(entry.output, y, y.shape[-1] // x.shape[-1] if x is not None else 1),
            license="unknown",
            summary=entry.model_summary,
            example="",
            extractors={},
            data=None,
            hub=None,
            sha256=None,
            bytes=None,
            origin=None,
            verified=True,
            training=self._record(),
            tasks={**entry.tasks, **self.objective.tasks},
            metrics=(Metric("metric that chose these weights", float(f"{metric:.5g}"), self.objective.protocol),),
        )

    def _save(self) -> None:
        objective = self.objective
        state = {
            **{key: getattr(self, key) for key in KEPT},
            "plan": vars(self.plan),
            "alarms": [vars(alarm) for alarm in self.alarms],
            "networks": {name: network.state_dict() for name, network in objective.networks.items()},
            "averages": {name: average.network.state_dict() for name, average in objective.averages.items()},
            "objective": objective.state(),
        }
        with self._disk():
            with atomic_write(self.out / STATE_FILE) as aside:
                torch.save(state, aside)
            with atomic_write(self.out / "log.jsonl") as aside:
                aside.write_text("".join(json.dumps(_finite(line)) + "\n" for line in self.log), "utf-8")

    def _restore(self, saved: Mapping[str, Any]) -> None:
        for key in KEPT:
            setattr(self, key, saved[key])
        if not (self.out / WEIGHTS_FILE).exists():
            self.best, self.best_step = math.inf, 0  # the next measurement is the best there is
        self.alarms = [Alarm(**alarm) for alarm in saved["alarms"]]
        for name, network in self.objective.networks.items():
            network.load_state_dict(saved["networks"][name])
        for name, average in self.objective.averages.items():
            average.network.load_state_dict(saved["averages"][name])
        self.objective.restore(saved["objective"])

    def _report(self) -> None:
        facts = {
            "recipe": self.plan.recipe,
            "settings": _words(self.plan.settings),
            "steps": f"{self.step:,} of {self.objective.steps:,}, {self.objective.batch_size} samples each",
            "time": f"{self.seconds / 60:.0f} minutes",
            "best metric": f"{self.best:.5g} at step {self.best_step:,}" if self.best_step else "not measured yet",
            "which is": self.objective.protocol,
            "device": f"{self.runtime.device}, {self.plan.precision}, processes: {self.runtime.world}",
            **self.facts,
        }
        grids = sorted((int(path.stem), path) for path in (self.out / "samples").glob("*.png") if path.stem.isdigit())
        alarms = [(alarm.step, alarm.text) for alarm in self.alarms]
        with self._disk():
            write_report(
                self.out, self.out.name, facts, [_finite(line) for line in self.log], alarms, grids, self.best_step
            )

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Say what a full or lost disk means for the run; what was written before stays whole."""
        try:
            yield
        except (OSError, RuntimeError, SafetensorError) as error:  # torch and safetensors have errors of their own
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise ZooError(
                f"{self.out} cannot be written at step {self.step:,}: {reason}. What was saved before "
                f"is whole: make room, then `--resume {self.out}`."
            ) from None

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first ctrl-C, or a polite kill, ends the run after its step; the second ctrl-C ends it at once."""

        def stop(number: int, frame: object) -> None:
            self.stopping = "interrupted"
            signal.signal(signal.SIGINT, signal.default_int_handler)

        try:
            old = [(number, signal.signal(number, stop)) for number in (signal.SIGINT, signal.SIGTERM)]
        except ValueError:  # not in the main thread, where nobody can interrupt
            old = []
        try:
            yield
        finally:
            for number, handler in old:
                signal.signal(number, handler)


def _like(declared: Format, x: torch.Tensor, scale: int) -> Format:
    """The format that an image ``(1, C, H, W)`` has, fixed in size where the declared one is; others stay."""
    if declared.kind != "image":
        return declared
    size = (x.shape[-2], x.shape[-1]) if declared.size else None
    return replace(declared, channels=x.shape[1], size=size, scale=1 if size else scale)


def _finite(line: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no NaN."""
    return {key: value if math.isfinite(value) else None for key, value in line.items()}
