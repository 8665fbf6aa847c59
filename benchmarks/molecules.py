"""Distributions of logP and QED of generated molecules beside those of the data.

    python -m benchmarks.molecules --data qm9/

Draws docs/gallery/molgan-properties.png: 10,000 molecules as ``molgan.qm9`` delivers them, the test split, and
molecules whose atoms and bonds are drawn each by itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import zoo
from zoo.data.source import Source
from zoo.metrics.molecules import canonical, properties
from zoo.recipes.molgan import independent_molecules

NAME, N = "molgan.qm9", 10_000
PICTURE = Path(__file__).parent.parent / "docs" / "gallery" / "molgan-properties.png"


def main() -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, help="SMILES, with train and test.")
    data = Source([parser.parse_args().data])
    model = zoo.load(NAME)
    assert model.entry
    test, train = (zoo.Molecules(data.molecules(split)) for split in ("test", "train"))
    sets = {
        "QM9, test split": test,
        f"{NAME}, seed 0": model.generate(N, seed=0, batch_size=500),
        "atoms and bonds independent, the valid ones": independent_molecules(train.smiles, model.entry.output, N),
    }
    values = {name: properties(canonical(molecules)) for name, molecules in sets.items()}
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), dpi=120)
    for place, (axis, name) in enumerate(zip(axes, ("logP", "QED"), strict=True)):
        ends = np.percentile(np.concatenate([x[:, place] for x in values.values()]), [0.5, 99.5])
        for number, (label, x) in enumerate(values.items()):
            style = {"alpha": 0.35} if number == 0 else {"histtype": "step", "linewidth": 1.5}
            axis.hist(x[:, place], np.linspace(*ends, 51), density=True, color=f"C{number}", label=label, **style)
        axis.set(xlabel=name, yticks=[])
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=3, frameon=False)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    figure.savefig(PICTURE)


if __name__ == "__main__":
    main()
