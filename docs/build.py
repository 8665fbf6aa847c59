"""Draws the gallery, and writes docs/models.md and the tables in README.md and docs/import.md: ``make docs``.

Images are drawn at fixed seeds, or from the files in examples/, and never chosen.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import zoo
from zoo.authoring.publish import protocol_list, table, values_table
from zoo.data.masks import brush_strokes, central_square
from zoo.interop.layouts.table import LAYOUTS
from zoo.metrics import wording
from zoo.metrics.protocols import BASELINES
from zoo.registry.datasets import caution
from zoo.registry.facts import Condition, Entry, Metric
from zoo.registry.index import code_of, registry
from zoo.tasks.anomaly import overlay, score
from zoo.tasks.latent import interpolate

TOP = Path(__file__).parent.parent
GALLERY = TOP / "docs" / "gallery"
FEW = 8  # choices: those of a condition with fewer stand in rows, others in columns
BEGIN, END = "<!-- made by docs/build.py -->", "<!-- end -->"


def draw(entry: Entry) -> None:
    """The sheet of a checkpoint: 64 samples of seed 0, each example above its result, or both."""
    model = zoo.load(entry.name)
    sheets = []
    if "generate" in entry.verbs:
        choice = _choice(entry)
        if choice and len(choice.choices) < FEW:  # a row for each
            values = {choice.name: [value for value in choice.choices for _ in range(16)]}
            sheets.append(model.generate(16 * len(choice.choices), seed=0, **values).grid(columns=16))
        elif choice:  # a column for each
            values = {choice.name: list(choice.choices) * 8}
            samples = model.generate(8 * len(choice.choices), seed=0, **values)
            sheets.append(samples.grid(columns=len(choice.choices)))
        elif text := _text(entry):  # each text, and below it a row
            for words in text.examples:
                row = model.generate(16, seed=0, **{text.name: words}).grid(columns=16)
                sheets += [written(words, row.width), row]
        elif entry.output.kind == "molecules":
            sheets.append(model.generate(_samples(entry), seed=0).preview())
        else:
            sheets.append(model.generate(_samples(entry), seed=0).grid(columns=16))
    if "reconstruct" in entry.verbs:
        seen = model.prepare(TOP / "examples" / entry.example)
        if any(condition.kind == "mask" for condition in entry.conditions):
            rows = filled(model, seen)
        elif _choice(entry):
            rows = [seen, model.reconstruct(seen), *edits(model, seen)]
        else:
            rows = [seen, model.reconstruct(seen)] if entry.output.scale == 1 else enlarged(model, seen)
        if "anomaly" in entry.tasks:
            rows.append(overlay(seen, score(model, seen).maps))
        sheets.append(spectrograms(rows) if entry.output.kind == "audio" else grid(rows))
    sheet = sheets[0] if len(sheets) == 1 else below(sheets)
    scale = max(1, 1000 // sheet.width)
    GALLERY.mkdir(exist_ok=True)
    sheet.resize((sheet.width * scale, sheet.height * scale), 0).save(GALLERY / f"{entry.name}.png", optimize=True)
    if walks(entry):
        ways = [interpolate(model, seeds=[seed, seed + 4, seed], steps=20) for seed in range(4)]
        frames = [zoo.Images([way.arrays[i] for way in ways]).grid(columns=4) for i in range(40)]
        zoo.Video.of(frames, fps=12).save(GALLERY / f"{entry.name}.walk.webp")


def written(words: str, width: int) -> Image.Image:
    """A line of text."""
    line = Image.new("RGB", (width, 24), "white")
    ImageDraw.Draw(line).text((2, 2), words, "black", ImageFont.load_default(18))
    return line


def walks(entry: Entry) -> bool:
    """Whether the gallery has a film between samples: of colour images from noise alone."""
    return entry.verbs == ("generate",) and entry.output.channels == 3 and not entry.conditions


def grid(rows: list[zoo.Images]) -> Image.Image:
    """Images in rows."""
    return zoo.Images([array for row in rows for array in row.arrays]).grid(columns=len(rows[0]))


def spectrograms(rows: list[zoo.Audio], columns: int = 3) -> Image.Image:
    """Sounds as spectrograms in rows, a few columns at a time, with axes."""
    sounds = [list(row) for row in rows]
    groups = [[row[first : first + columns] for row in sounds] for first in range(0, len(sounds[0]), columns)]
    return below([with_axes(group) for group in groups])


def with_axes(rows: list[list[zoo.Audio]], left: int = 64, under: int = 28) -> Image.Image:
    """Spectrograms of rows of sounds, with frequency at the left of each row, and seconds below each column."""
    images = [[sound.preview() for sound in row] for row in rows]
    sheet = grid([zoo.Images.of(row) for row in images])
    page = Image.new("RGB", (left + sheet.width, sheet.height + under), "white")
    page.paste(sheet, (left, 0))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(20)
    width, height = images[0][0].size
    for number, row in enumerate(rows):
        top, most = number * (height + 2), row[0].rates[0] / 2000
        for share, label, anchor in ((0, f"{most:g} kHz", "ra"), (0.5, f"{most / 2:g}", "rm"), (1, "0", "rd")):
            pen.text((left - 8, top + share * height), label, "black", font, anchor)
    for number, sound in enumerate(rows[0]):
        start, seconds = left + number * (width + 2), sound.seconds[0]
        for share, label, anchor in ((0, "0", "la"), (0.5, f"{seconds / 2:.2f}", "ma"), (1, f"{seconds:.2f} s", "ra")):
            pen.text((start + 8 + share * (width - 16), sheet.height + 4), label, "black", font, anchor)
    return page


def below(sheets: list[Image.Image], gap: int = 8) -> Image.Image:
    """Sheets one below the other, on white."""
    width, height = max(one.width for one in sheets), sum(one.height + gap for one in sheets) - gap
    page = Image.new(sheets[0].mode, (width, height), "white")
    top = 0
    for one in sheets:
        page.paste(one, (0, top))
        top += one.height + gap
    return page


def _samples(entry: Entry) -> int:
    """How many samples the sheet has."""
    return 16 if entry.output.kind == "molecules" else 64


def _choice(entry: Entry) -> Condition | None:
    return next((condition for condition in entry.conditions if condition.choices), None)


def _text(entry: Entry) -> Condition | None:
    return next((condition for condition in entry.conditions if condition.examples), None)


def enlarged(model: zoo.model.Model, photos: zoo.Images) -> list[zoo.Images]:
    """Photos made smaller, and enlarged again by bicubic interpolation and by the model; then as they were."""
    assert model.entry
    scale = model.entry.output.scale
    small = [image.resize((image.width // scale, image.height // scale), 3) for image in photos]
    return [
        zoo.Images.of([p.resize((p.width * scale, p.height * scale), 3) for p in small]),
        model.reconstruct(small),
        photos,
    ]


def filled(model: zoo.model.Model, photos: zoo.Images) -> list[zoo.Images]:
    """Photos with a hole, a square in every second one and brush strokes in the others; filled; then as they were."""
    masks = []
    for number, photo in enumerate(photos.arrays):
        size = photo.shape[1:]
        mask = brush_strokes(np.random.default_rng((0, number)), *size) if number % 2 else central_square(*size)
        masks.append(zoo.Images([mask[None].astype(np.float32)]))
    holes = [np.maximum(photo, mask.arrays[0]) for photo, mask in zip(photos.arrays, masks, strict=True)]
    return [zoo.Images(holes), model.reconstruct(photos, mask=masks), photos]


def edits(model: zoo.model.Model, images: zoo.Images) -> list[zoo.Images]:
    """Images with another value of one condition: a row for each, in which the columns go through its choices."""
    assert model.entry
    rows = []
    for condition in model.entry.conditions:
        values = [condition.choices[column % len(condition.choices)] for column in range(len(images))]
        rows.append(model.reconstruct(images, **{condition.name: values}))
    return rows


# What the README begins with: the upper left of sheets in the gallery, in pixels.
BANNER = (
    (("dcgan.flowers", 526, 130), ("pix2pix.emoji", 526, 130)),
    (("vae.avatars", 1054, 130),),
    (("cyclegan.photo2monet", 518, 258), ("denoise-ae.photos", 518, 258), ("pix2pix.facades", 1030, 514)),
)


def banner(gap: int = 8) -> Image.Image:
    """Rows of parts of the gallery, each as wide as the first row."""
    rows = []
    for parts in BANNER:
        crops = [Image.open(GALLERY / f"{name}.png").convert("RGB").crop((0, 0, w, h)) for name, w, h in parts]
        height = min(crop.height for crop in crops)
        crops = [crop.resize((crop.width * height // crop.height, height)) for crop in crops]
        row = Image.new("RGB", (sum(crop.width for crop in crops) + gap * (len(crops) - 1), height), "white")
        left = 0
        for crop in crops:
            row.paste(crop, (left, 0))
            left += crop.width + gap
        rows.append(row)
    width = rows[0].width
    return below([row.resize((width, row.height * width // row.width)) for row in rows], gap)


def caption(entry: Entry) -> str:
    """What the sheet shows."""
    shown = []
    if (choice := _choice(entry)) and "generate" in entry.verbs:
        many, across = ("sixteen", "rows") if len(choice.choices) < FEW else ("eight", "columns")
        shown.append(f"{many} samples of seed 0 for each {choice.name}, in {across}")
    elif _text(entry):
        shown.append("sixteen samples of seed 0 for each text")
    elif "generate" in entry.verbs:
        shown.append(f'`zoo.load("{entry.name}").generate({_samples(entry)}, seed=0)`')
    if "reconstruct" in entry.verbs:
        shown.append(_results(entry))
    return "; then ".join(shown)


def _results(entry: Entry) -> str:
    folder = f"the images in examples/{entry.example}"
    if entry.output.kind == "audio":
        axes = "time to the right, frequency upwards, the loudest lightest"
        folder = f"the spectrograms of the sounds in examples/{entry.example} ({axes})"
    if entry.output.scale > 1:
        small = f"{folder}, {entry.output.scale} times smaller"
        return f"{small}, enlarged by bicubic interpolation and, in the middle, by the model; below as they were"
    if any(condition.kind == "mask" for condition in entry.conditions):
        return f"above {folder} with holes, in the middle as the model fills them, below as they were"
    if _choice(entry):
        names = ", ".join(condition.name for condition in entry.conditions)
        return f"above {folder}, then their copies, then a row for each of {names}, in the order of its values"
    more = ", then what is not normal in them" if "anomaly" in entry.tasks else ""
    return f"above {folder}, below what the model makes of them{more}"


def page(entries: list[Entry]) -> str:
    """docs/models.md."""
    parts = [
        "# Models\n",
        "Every checkpoint, with its samples, figures and licence. Figures are measured on the files as they are in the "
        "package; [how](#how-figures-are-measured) stands at the end, once for all. `zoo info NAME` prints the same.\n",
    ]
    for entry in entries:
        assert entry.data is not None
        parts += [
            f"## {entry.name}\n",
            f"{entry.summary} [Paper]({entry.paper}).\n",
            *([f"**{warning}**\n"] if (warning := caution(entry.data)) else []),
            f"![Samples of {entry.name}](gallery/{entry.name}.png)\n",
            f"Not chosen: {caption(entry)}.\n",
            *walk(entry),
            *nearest(entry),
            f"{values_table(entry)}\n",
            *([f"{note}\n"] if (note := wording.training_note(entry)) else []),
            f"- Weights: {(entry.bytes or 0) / 1e6:.1f} MB, float16, {entry.license}, inside the package",
            f"- Trained on: [{entry.data.name}]({entry.data.source}), {entry.data.license}",
            f"- Recipe: `{entry.recipe}`; [`zoo train {entry.name}`](training.md) runs it",
            f"- Measured by: `{entry.evaluate}`; [`zoo evaluate {entry.name}`](training.md#evaluate) runs it",
            f"- Network: `{entry.builder}` with {', '.join(f'`{k}={v}`' for k, v in entry.config.items())}\n",
            f"How it was trained, in the words of the recipe:\n\n{inspect.getdoc(code_of(entry.recipe, entry))}\n",
        ]
    return "\n".join(parts)


def walk(entry: Entry) -> list[str]:
    """A film from samples to others and back."""
    if not walks(entry):
        return []
    return [
        f"![From samples of {entry.name} to others and back](gallery/{entry.name}.walk.webp)\n",
        "Four walks, from the samples of seeds 0 to 3 to those of 4 to 7 and back; the first of them is "
        f"[`zoo interpolate {entry.name} --seeds 0 4 0 --steps 20 -o walk.webp`](guide.md#interpolate).\n",
    ]


def nearest(entry: Entry) -> list[str]:
    """Samples beside training images: drawn by `zoo privacy`, since it takes the data."""
    if not (GALLERY / f"{entry.name}.nearest.png").is_file():
        return []
    things = "molecules" if entry.output.kind == "molecules" else "images"
    return [
        f"![Samples of {entry.name} and the training {things} nearest to them](gallery/{entry.name}.nearest.png)\n",
        f"In turn a row of samples and the nearest training {things} below them, of the first 32 samples; those "
        f"{things} are of {entry.data.name if entry.data else 'the data'}: "
        f"[`zoo privacy {entry.name} --data DATA -o nearest.png`](guide.md#privacy).\n",
    ]


def protocols(entries: list[Entry]) -> str:
    """The part of docs/models.md about protocols."""
    words = "\n".join(f"- {key.replace('_', ' ')}: {what}" for key, what in BASELINES.items())
    return (
        "## How figures are measured\n\n"
        f"{protocol_list(row for entry in entries for row in entry.metrics)}\n\n"
        f"What stands beside a figure, measured in the same way:\n\n{words}\n"
    )


def overview(entries: list[Entry]) -> str:
    """The table in the README."""
    rows = [
        f"**{e.name}**<br>{e.summary}<br>`{'`, `'.join(e.verbs)}`, {(e.bytes or 0) / 1e6:.1f} MB, {e.license} "
        f'| <img src="docs/gallery/{e.name}.png" width="420" alt="Samples of {e.name}"> '
        f"| {headline(e.metrics[0])}"
        for e in entries
    ]
    return table("model | samples | figure", rows)


def headline(row: Metric) -> str:
    """The first figure of a card in a cell."""
    beside = wording.baselines(row).replace(", ", "<br>")
    return f"{wording.name(row)}: **{wording.value(row)}**{beside and f'<br>{beside}'}"


def on_the_hub(entries: list[Entry]) -> str:
    """The part of docs/models.md about files of others."""
    rows = [
        f"{e.name} | {e.summary} [Paper]({e.paper}). | {f'{e.bytes / 1e6:.1f} MB' if e.bytes else '?'} | {e.license} "
        f"| {f'[{e.hub.repo}](https://huggingface.co/{e.hub.repo})' if e.hub else ''} "
        f"| {'yes' if e.verified else 'no'}"
        for e in entries
    ]
    return (
        "## On the Hugging Face Hub\n\nFiles of others, downloaded when they are first loaded. Their networks equal "
        "the references; a file is verified once somebody of the zoo has loaded it.\n\n"
        f"{table('name | what it does | size | licence | from | verified', rows)}\n"
    )


def layouts() -> str:
    """The table in docs/import.md."""
    rows = [
        f"`{x.name}` | [{x.code.removeprefix('https://github.com/').partition('/tree')[0]}]({x.code}) | `{x.mark}` | "
        f"`zoo import {x.model} {x.files} -o mine`"
        for x in LAYOUTS
    ]
    return table("layout | of | known by | example", rows)


def ours() -> tuple[list[Entry], list[Entry]]:
    """The zoo's checkpoints: those inside the package, and those on the Hub."""
    known = [entry for entry in registry().entries.values() if entry.package == "zoo"]
    return [e for e in known if e.embedded.is_file()], [e for e in known if not e.embedded.is_file()]


def texts() -> dict[Path, str]:
    """Every file that is generated from the registry, with its text."""
    entries, others = ours()
    readme, imports = TOP / "README.md", TOP / "docs" / "import.md"
    return {
        TOP / "docs" / "models.md": f"{page(entries)}\n{protocols(entries)}\n{on_the_hub(others)}",
        readme: with_part(readme, overview(entries)),
        imports: with_part(imports, layouts()),
    }


def with_part(path: Path, part: str) -> str:
    """The text of a file, with ``part`` between the marks."""
    before, _, rest = path.read_text("utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{part}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    for checkpoint in ours()[0]:
        draw(checkpoint)
    banner().save(GALLERY / "zoo.png")
    for target, content in texts().items():
        target.write_text(content, "utf-8")
