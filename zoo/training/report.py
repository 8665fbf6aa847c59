"""The page about one training: what was run, its warnings, curves and samples, in one file to send to somebody."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from PIL import Image

from zoo.files import atomic_write

Log = Sequence[Mapping[str, float | str | list[str] | None]]
Points = list[tuple[float, float]]

STRIP = 12  # small grids at most: each is a whole image inside the page
_NO_CURVES = ("step", "seconds")
# Okabe and Ito's colours, which colour-blind people can tell apart; those that show on white and on black come first.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_RED = "#e5383b"
_WIDTH, _HEIGHT = 360, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 344, 10, 164  # the frame of a curve inside its chart

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #1a1a1a; --quiet: #5c5c5c; --rule: #ddd; --alarm: #fdecec; }
@media (prefers-color-scheme: dark) {
  :root { --page: #161616; --text: #e6e6e6; --quiet: #a6a6a6; --rule: #3a3a3a; --alarm: #3a1c1c; }
}
body { margin: 2rem auto; padding: 0 1rem; max-width: 70rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; }
th, td { padding: .2rem 1.5rem .2rem 0; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
th { font-weight: normal; color: var(--quiet); overflow-wrap: normal; }
td { white-space: pre-wrap; }
figure { margin: 0; }
figcaption, .quiet { color: var(--quiet); font-size: .9rem; }
figcaption b { color: var(--text); margin-right: .6rem; }
figcaption span { margin-right: .8rem; white-space: nowrap; }
i { display: inline-block; width: .9rem; height: .25rem; margin-right: .3rem; vertical-align: middle; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
img { max-width: 100%; height: auto; }
.warnings { border-left: .3rem solid #e5383b; background: var(--alarm); padding: .6rem 1rem; }
.warnings ul { margin: 0; padding-left: 1.1rem; }
.charts, .strip { display: grid; gap: 1.2rem 1.5rem; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); }
.strip { grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); margin-top: 1.2rem; }
.pixels { image-rendering: pixelated; }
"""


def write_report(
    out: Path,
    title: str,
    facts: Mapping[str, str],
    log: Log,
    warnings: Sequence[tuple[int, str]],
    grids: Sequence[tuple[int, Path]],
    best_step: int,
) -> Path:
    """Write ``report.html``, which needs no other file, and replace the one that is there in one go.

    Args:
        out: the folder it goes to.
        title: the heading, as text.
        facts: what was run: recipe, data, settings, versions, time.
        log: one line per evaluation, with its "step". Every other key with a number is a curve, "seconds" apart;
            keys with the same beginning up to "_" share a chart. None, NaN and infinity are gaps in the curve.
        warnings: step and sentence of each.
        grids: step and PNG file of each sample grid; a file that is not there is left out.
        best_step: the step whose weights were kept.

    Returns:
        The path of the page.
    """
    alarms = "".join(f"<li>Step {step:,}: {escape(text)}</li>\n" for step, text in warnings)
    rows = "".join(f'<tr><th scope="row">{escape(k)}</th><td>{escape(v)}</td></tr>\n' for k, v in facts.items())
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{f'<div class="warnings"><ul>{alarms}</ul></div>' if alarms else "<p>No warnings.</p>"}
<h2>What was run</h2>
<table>
{rows}</table>
<h2>Curves</h2>
{_charts(log, sorted({step for step, _ in warnings}), best_step)}
<h2>Samples</h2>
{_samples(grids, best_step)}
</body>
</html>
"""
    path = out / "report.html"
    with atomic_write(path) as aside:
        # A file's name in a fact may hold bytes that are no text: they must not cost a training its report.
        aside.write_bytes(page.encode("utf-8", "replace"))
    return path


def compact(value: float, digits: int = 3) -> str:
    """A number in few characters: 0.693, 12.3k, 2e-5."""
    value = float(f"{value:.{digits}g}")  # first, so that 999.6 becomes 1k
    if value and not 1e-3 <= abs(value) < 1e12:
        mantissa, _, power = f"{value:.{digits}e}".partition("e")
        return f"{float(mantissa):.{digits}g}e{int(power)}"
    size, unit = next((u for u in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if u[0] <= abs(value)), (1.0, ""))
    return f"{value / size:.{digits}g}{unit}"


def nice_ticks(low: float, high: float) -> list[float]:
    """3 to 5 round numbers at even distances, the first at most ``low`` and the last at least ``high``."""
    if high - low <= max(1e-6 * max(abs(low), abs(high)), 1e-300):  # constant: some room around it
        room = abs(low) / 10 if abs(low) > 1e-300 else 1.0
        low, high = low - room, high + room
    power = math.floor(math.log10((high - low) / 4))
    for step in (m * 10.0**p for p in (power, power + 1) for m in (1, 2, 2.5, 5)):
        first, last = math.floor(round(low / step, 9)), math.ceil(round(high / step, 9))  # 0.3 / 0.1 is not quite 3
        if last - first <= 4:
            break
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def _labels(ticks: list[float]) -> list[str]:
    """With as many digits as it takes to say them exactly, 3 at least."""
    digits = next((d for d in range(3, 12) if all(float(f"{t:.{d}g}") == t for t in ticks)), 12)
    return [compact(tick, digits) for tick in ticks]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: object) -> float:
    """NaN for whatever is no number that can be drawn."""
    return value if isinstance(value, (int, float)) and abs(value) < 1e300 else math.nan


def _charts(log: Log, warned: list[int], best_step: int) -> str:
    keys = dict.fromkeys(k for line in log for k, v in line.items() if k not in _NO_CURVES and _is_number(v))
    if not keys:
        return "<p>Nothing was measured yet.</p>"
    groups: dict[str, dict[str, Points]] = {}
    for key in keys:
        # A run that was broken off and resumed may log a step twice: the later line counts.
        points = {_number(line["step"]): _number(line[key]) for line in log if key in line}
        prefix, underscore, _ = key.partition("_")
        groups.setdefault(prefix + underscore, {})[key] = sorted(points.items())
    end = max([_number(line["step"]) for line in log] + [*warned, 1])
    marks = f"The dotted line is the best step, {best_step:,}."
    marks += " Red ticks are warnings." if warned else ""
    charts = "\n".join(_chart(lines, end, warned, best_step) for lines in groups.values())
    return f'<p class="quiet">{marks}</p>\n<div class="charts">\n{charts}\n</div>'


def _chart(lines: Mapping[str, Points], end: float, warned: list[int], best_step: int) -> str:
    """One chart with its name and legend; steps run from 0 to ``end``."""
    values = [value for points in lines.values() for _, value in points if math.isfinite(value)]
    ticks = nice_ticks(min(values, default=0.0), max(values, default=1.0))

    def x(step: float) -> str:
        return f"{_LEFT + (_RIGHT - _LEFT) * step / end:.1f}"

    def y(value: float) -> str:
        return f"{_BOTTOM - (_BOTTOM - _TOP) * (value - ticks[0]) / (ticks[-1] - ticks[0]):.1f}"

    name, several = next(iter(lines)), len(lines) > 1
    name = name.partition("_")[0] if several else name
    marks, legend, spoken = [], [], []
    for tick, label in zip(ticks, _labels(ticks), strict=True):
        marks.append(f'<path d="M{_LEFT} {y(tick)} H{_RIGHT}" stroke="currentColor" stroke-opacity=".15"/>')
        marks.append(f'<text x="{_LEFT - 6}" y="{y(tick)}" dy=".35em" text-anchor="end">{label}</text>')
    steps = [tick for tick in nice_ticks(0, end) if tick <= end]
    for tick, label in zip(steps, _labels(steps), strict=True):
        marks.append(f'<text x="{x(tick)}" y="{_BOTTOM + 18}" text-anchor="middle">{label}</text>')
    marks += [f'<path class="warning" d="M{x(s)} {_BOTTOM} v-8" stroke="{_RED}" stroke-width="2"/>' for s in warned]
    if 0 <= best_step <= end:
        line = f'd="M{x(best_step)} {_TOP} V{_BOTTOM}" stroke="currentColor" stroke-dasharray="2 3"'
        marks.append(f'<path class="best" {line}/>')
    for i, (key, points) in enumerate(lines.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        pieces = [list(piece) for finite, piece in groupby(points, lambda p: math.isfinite(p[1])) if finite]
        path = " ".join("M" + " L".join(f"{x(step)} {y(value)}" for step, value in piece) for piece in pieces)
        marks.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-linejoin="round"/>')
        # A point between gaps is no line and needs a dot; the last point has one so that the eye finds it.
        dots = [piece[0] for piece in pieces if len(piece) == 1] + [piece[-1] for piece in pieces[-1:]]
        marks += [f'<circle cx="{x(step)}" cy="{y(value)}" r="2.4" fill="{colour}"/>' for step, value in dots]
        last = compact(pieces[-1][-1][1]) if pieces else "no number"
        legend.append(f'<span><i style="background:{colour}"></i>{escape(key) + " " if several else ""}{last}</span>')
        spoken.append(f"{escape(key)} at the end: {last}")
    return f"""<figure><figcaption><b>{escape(name)}</b> {"".join(legend)}</figcaption>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" font-size="11" fill="currentColor">
<title>{"; ".join(spoken)}</title>
{"".join(marks)}
</svg></figure>"""


def _samples(grids: Sequence[tuple[int, Path]], best_step: int) -> str:
    there = {step: path for step, path in sorted(grids) if _is_image(path)}
    if not there:
        return "<p>There are no samples yet.</p>"
    large = best_step if best_step in there else max(there)
    small = [step for step in there if step != large]
    if len(small) > STRIP:
        small = [small[round(i * (len(small) - 1) / (STRIP - 1))] for i in range(STRIP)]
    strip = "\n".join(_image(there[step], step, 160) for step in small)
    best = ", the best" if large == best_step else ""
    return f'{_image(there[large], large, 640, best)}\n<div class="strip">\n{strip}\n</div>'


def _is_image(path: Path) -> bool:
    """Whether a sample grid is there and whole: one that is not is left out."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True


def _image(path: Path, step: int, width: int, note: str = "") -> str:
    """An image inside the page: a large one made smaller, a small one larger by a whole number, its pixels even."""
    image = Image.open(path, formats=["PNG"])
    image.thumbnail((2 * width, 100 * width))  # two pixels for each of the page, for fine screens
    scale = max(1, width // image.width)
    shown = f'width="{image.width * scale}" height="{image.height * scale}"'
    shown += ' class="pixels"' if scale > 1 else ""
    data = io.BytesIO()
    image.save(data, "png")
    source = "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
    return (
        f'<figure><img alt="Samples at step {step:,}" {shown} src="{source}">'
        f"<figcaption>Step {step:,}{note}</figcaption></figure>"
    )
