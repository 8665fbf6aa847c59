"""Samples of a generator above the training images that are nearest to them by their pixels: is one a copy?

    python -m benchmarks.nearest local-dir:runs/avatars --data avatars.npz -o nearest.png

Prints the root mean squared differences, too. The samples are the first 16 of seed 0.
"""

from __future__ import annotations

import argparse

import numpy as np

import zoo
from zoo.data.batch import to_float
from zoo.data.source import Source
from zoo.metrics.copies import nearest


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", help="A model that generates images.")
    parser.add_argument("--data", required=True, help="What it was trained on.")
    parser.add_argument("-o", "--out", required=True, help="An image file.")
    arguments = parser.parse_args()
    model = zoo.load(arguments.name)
    assert model.entry
    train = Source([arguments.data]).images(model.entry.output.size, model.entry.output.channels or 3).x
    samples = model.generate(16, seed=0)
    distances, rows = nearest(samples.tensor * 2 - 1, to_float(train))
    print(" ".join(f"{distance:.3f}" for distance in distances))
    images = zoo.Images.of(np.ascontiguousarray(train[rows].permute(0, 2, 3, 1).numpy()))
    zoo.Images.concat([samples, images]).grid(columns=16).save(arguments.out)


if __name__ == "__main__":
    main()
