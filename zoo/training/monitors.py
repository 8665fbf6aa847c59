"""What can be seen going wrong in a run, in words.

A monitor looks at the log, one line for each measurement, and at nothing else: so a resumed run warns as an unbroken
one does, and anybody can read what it saw.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Line = Mapping[str, float]

WARM_UP = 0.1  # of the run: what comes before is not looked at, except for numbers that are none
LESS_VARIED = 0.4  # of the greatest diversity so far
TOO_ALIKE = 0.15  # of the data's diversity
ALWAYS_RIGHT = 0.99  # of the samples, real and fake alike, are told apart by D
IN_A_ROW = 3  # measurements
EXPLODED = 100.0  # times the median of a loss
WORSE = 1.5  # times the best distance


@dataclass(frozen=True)
class Alarm:
    """A sentence for the user.

    Attributes:
        step: when it was seen.
        text: what was seen, what it means, and what may help.
        collapse: whether the samples have collapsed; ``--stop-on-collapse`` stops on these.
        fatal: whether the run cannot go on at all.
        new: whether the line before did not show the same.
    """

    step: int
    text: str
    collapse: bool = False
    fatal: bool = False
    new: bool = True


def check(log: Sequence[Line], steps: int) -> list[Alarm]:
    """What the monitors see in the last line of the log, beside those before it.

    Args:
        log: one mapping for each measurement, with ``step``, ``metric`` (smaller is better), losses as ``loss...``; and
            for adversarial training ``d_real`` and ``d_fake`` (shares that D puts on the right side) and ``diversity``
            (of samples, over that of data).
        steps: length of the whole run.
    """
    before = {monitor for monitor, _ in _seen(log[:-1], steps)}
    return [
        Alarm(int(log[-1]["step"]), text, monitor is collapse, monitor is not_a_number, new=monitor not in before)
        for monitor, text in _seen(log, steps)
    ]


def _seen(log: Sequence[Line], steps: int) -> list[tuple[object, str]]:
    if not log:
        return []
    late = [line for line in log if line["step"] >= WARM_UP * steps]
    if text := not_a_number(log[-1]):
        return [(not_a_number, text)]
    return [(monitor, text) for monitor in MONITORS if (text := monitor(late))] if late else []


def not_a_number(line: Line) -> str:
    """A loss or the metric is NaN or infinite."""
    for key, value in line.items():
        if (key.startswith("loss") or key == "metric") and not math.isfinite(value):
            return f"{key} is no finite number any more, and the run cannot recover: lower lr, and start again."
    return ""


def exploding(log: Sequence[Line]) -> str:
    """A loss is far from what it usually was."""
    now, before = log[-1], log[:-1]
    for key, value in now.items():
        if not key.startswith("loss"):
            continue
        # Losses of a run that goes well are about one, or less: that is what is usual while there is nothing to see.
        usual, than = 1.0, "what is usual"
        earlier = [abs(line[key]) for line in before if key in line]  # a term may begin late
        if len(earlier) >= 3:
            usual, than = median(earlier), "what it usually was"
        if usual and abs(value) > EXPLODED * usual:
            times = abs(value) / usual
            return f"{key} is {times:,.0f} times {than}: training is exploding. Lower the learning rates, or bound D."
    return ""


def collapse(log: Sequence[Line]) -> str:
    """The samples become alike: mode collapse."""
    varied = [min(line.get("diversity", math.nan), 1.0) for line in log]  # more than the data's is no merit
    most = max(range(len(log)), key=lambda i: varied[i])
    if (loss := 1 - varied[-1] / (varied[most] or 1.0)) >= LESS_VARIED:
        return f"samples have become {loss:.0%} less varied than at step {int(log[most]['step']):,}: mode collapse."
    if varied[-1] < TOO_ALIKE:
        return f"samples are only {varied[-1]:.0%} as varied as the data: mode collapse."
    return ""


def discriminator_saturated(log: Sequence[Line]) -> str:
    """D is nearly always right, so that G learns little; near one half is equilibrium."""
    last = log[-IN_A_ROW:]
    if len(last) == IN_A_ROW and all(min(_accuracies(line)) >= ALWAYS_RIGHT for line in last):
        return (
            f"D has told more than {ALWAYS_RIGHT:.0%} of real and fake samples apart since step "
            f"{int(last[0]['step']):,}: D is saturated and G learns little. Lower D's learning rate, or bound D."
        )
    return ""


def _accuracies(line: Line) -> tuple[float, float]:
    return line.get("d_real", 0.0), line.get("d_fake", 0.0)


def getting_worse(log: Sequence[Line]) -> str:
    """The distance to the data grows."""
    now, best = log[-1], min(log, key=lambda line: line["metric"])
    if "diversity" in now and best["metric"] > 0 and now["metric"] > WORSE * best["metric"]:
        times, step = now["metric"] / best["metric"], int(best["step"])
        return (
            f"the distance to the data is {times:.1f} times that of step {step:,}, whose weights are kept: the run is "
            "getting worse."
        )
    return ""


MONITORS = (exploding, collapse, discriminator_saturated, getting_worse)
