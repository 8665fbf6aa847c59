"""Fidelity and diversity of a generator over truncation, from its card, beside samples.

    python -m benchmarks.truncation

Draws docs/gallery/biggan.flowers.truncation.png: precision and recall as ``zoo evaluate`` wrote them, by each
extractor, and the first samples of seed 0 at each truncation, the same latents in a column.
"""

from __future__ import annotations

from pathlib import Path

import zoo
from zoo.metrics.protocols import protocol, short_name

NAME, COLUMNS = "biggan.flowers", 8
PICTURE = Path(__file__).parent.parent / "docs" / "gallery" / f"{NAME}.truncation.png"


def main() -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    model = zoo.load(NAME)
    assert model.entry
    curves: dict[str, dict[float, dict[str, tuple[float, float]]]] = {}  # by extractor, truncation and metric
    for row in model.entry.metrics:
        known = protocol(row.protocol)
        if known and row.metric in ("precision", "recall"):
            points = curves.setdefault(short_name(known.extractor), {})
            values = points.setdefault(float(row.settings["truncation"]), {})
            values[row.metric] = row.value, row.baselines["real"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), dpi=120, width_ratios=(1, 1.2))
    for number, (name, points) in enumerate(curves.items()):
        recall, precision = ([values[metric][0] for values in points.values()] for metric in ("recall", "precision"))
        left.plot(recall, precision, "o-", color=f"C{number}", label=name)
        for truncation, x, y in zip(points, recall, precision, strict=True):
            left.annotate(f"{truncation:g}", (x, y), (4, 4), textcoords="offset points", fontsize=8)
        real = next(iter(points.values()))
        left.plot(real["recall"][1], real["precision"][1], "x", color=f"C{number}", label=f"{name}, training photos")
    left.set(xlabel="recall (diversity)", ylabel="precision (fidelity)", xlim=(0, 1), ylim=(0, 1.05))
    left.grid(alpha=0.3)
    left.legend(fontsize=7)
    truncations = sorted(next(iter(curves.values())), reverse=True)
    rows = [model.generate(COLUMNS, seed=0, truncation=truncation) for truncation in truncations]
    right.imshow(zoo.Images([array for row in rows for array in row.arrays]).grid(columns=COLUMNS))
    side = model.entry.output.size[0] + 2 if model.entry.output.size else 0
    right.set(xticks=[], yticks=[side * (i + 0.5) for i in range(len(rows))], ylabel="truncation")
    right.set_yticklabels([f"{truncation:g}" for truncation in truncations])
    figure.tight_layout()
    figure.savefig(PICTURE)


if __name__ == "__main__":
    main()
