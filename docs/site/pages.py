"""The pages of the site that no file in docs/ holds, as Markdown: of models, of the API, of notebooks.

Nothing here needs mkdocs. Facts come from the registry and the cards, by the functions that write docs/models.md and
model cards.
"""

from __future__ import annotations

import runpy
import shlex
from pathlib import Path
from types import SimpleNamespace

from zoo.cli.catalog import describe

import zoo
from zoo.authoring import publish
from zoo.registry.facts import Entry
from zoo.tasks import tasks_of

TOP = Path(__file__).parents[2]
DOCS = TOP / "docs"
build = SimpleNamespace(**runpy.run_path(str(DOCS / "build.py")))

# What of the package is for its users: titles of pages, and the modules on them.
API = {
    "Zoo": ["__init__", "errors"],
    "Samples": ["media/images", "media/audio", "media/video", "media/molecules", "media/base"],
    "Model": ["model", "inference/verbs"],
    "Tasks": ["tasks/latent", "tasks/edit", "tasks/compress", "tasks/search", "tasks/anomaly"],
    "Networks": ["models/*"],
    "Recipes": ["recipes/*"],
    "Objectives": ["training/*"],
    "Data": ["data/*"],
    "Figures": ["metrics/*"],
    "Registry": ["registry/facts", "registry/index", "registry/licenses"],
    "Import and export": ["interop/convert", "interop/layouts/base", "backends/onnx_export"],
    "Contract": ["testing/__init__"],
}
# Where the guide explains a task, if not under its name.
SECTIONS = {"index": "search", "anomaly": "find-anomalies"}


def model_page(entry: Entry) -> str:
    """All about a checkpoint."""
    name, picture = entry.name, f"../gallery/{entry.name}.png"
    takes = f"Input: {describe(entry.input)}. " if entry.input else ""
    parts = [
        f"# {name}",
        f"{entry.summary} [Paper]({entry.paper}).",
        f"[![Samples of {name}]({picture})]({picture})",
        f"Not chosen: {build.caption(entry)}.",
        *(part.strip().replace("](g", "](../g") for part in (*build.walk(entry), *build.nearest(entry))),
        "## Try it",
        tries(entry),
        f"{takes}Output: {describe(entry.output)}. Weights: {(entry.bytes or 0) / 1e6:.1f} MB, inside the package.",
        "## What else it can do",
        tasks(entry),
        "## Figures",
        publish.figures(entry),
        f"[`zoo evaluate {name}`](../training.md#evaluate) measures them again, by `{entry.evaluate}`.",
        "## Limits",
        publish.limits(entry),
        "## How it was trained",
        publish.training(entry),
        f"[`zoo train {name}`](../training.md) runs the recipe.",
        "## Licence",
        publish.licence(entry),
        f"`zoo licenses {name}` prints the same.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def tries(entry: Entry) -> str:
    """Its verbs, to be tried in a clone of the repository."""
    python, commands = [], []
    conditions = publish.example_conditions(entry)
    options = "".join(f" -c {shlex.quote(f'{key}={value}')}" for key, value in conditions.items())
    for verb in entry.verbs:
        source = f"examples/{entry.example}"
        made = publish.RESULTS[entry.output.kind] if verb == "generate" else f"{source.rpartition('/')[2]}-out/"
        given = "-n 16 --seed 0" if verb == "generate" else source
        python.append(f'model.{publish.call(entry, verb, source)}.save("{made}")')
        commands.append(f"zoo {verb} {entry.name} {given}{options} -o {made}")
    lines = "\n".join(python)
    yours = "".join(
        f"\n\nHere `{publish.EXAMPLES[c.kind]}` is a file of yours: {c.help or c.name}."
        for c in entry.conditions
        if c.required and c.kind in publish.EXAMPLES and c.kind != "text"
    )
    return (
        f'```python\nimport zoo\n\nmodel = zoo.load("{entry.name}")\n{lines}\n```\n\n'
        "```sh\n" + "\n".join(commands) + f"\n```{yours}"
    )


def tasks(entry: Entry) -> str:
    """What can be done with it beside its verbs, as `zoo info` says."""
    return "\n".join(
        f"- [`zoo {task.name}`](../guide.md#{SECTIONS.get(task.name, task.name)}): {task.summary}"
        for task in tasks_of(entry)
    )


def checkpoints() -> list[Entry]:
    """The checkpoints that are inside the package."""
    return build.ours()[0]


def cards(entries: list[Entry], up: str = "") -> str:
    """Pictures of checkpoints, each of which leads to its page."""
    items = [
        f"-   [![Samples of {e.name}]({up}gallery/{e.name}.png){{ loading=lazy }}]({up}models/{e.name}.md)\n\n"
        f"    **[{e.name}]({up}models/{e.name}.md)**: {e.summary}"
        for e in entries
    ]
    return '<div class="grid cards" markdown>\n\n' + "\n\n".join(items) + "\n\n</div>"


def gallery(entries: list[Entry]) -> str:
    """Every sheet, as large as the page."""
    parts = [
        "# Gallery",
        "Drawn at fixed seeds, or from the files in `examples/`, and never chosen.",
    ]
    for e in entries:
        parts += [
            f"## [{e.name}](models/{e.name}.md)",
            e.summary,
            f"[![Samples of {e.name}](gallery/{e.name}.png){{ loading=lazy }}](models/{e.name}.md)",
            f"{build.caption(e)[0].upper()}{build.caption(e)[1:]}.",
        ]
    return "\n\n".join(parts) + "\n"


def models(entries: list[Entry], others: list[Entry]) -> str:
    """All checkpoints in a table, then what docs/models.md says of figures and of the Hub."""
    rows = [
        f"[{e.name}](models/{e.name}.md) | {e.summary} | {', '.join(e.verbs)} | {(e.bytes or 0) / 1e6:.1f} MB "
        f"| {e.license} | {build.headline(e.metrics[0])}"
        for e in entries
    ]
    head = "name | what it does | verbs | size | licence | first figure"
    table = publish.table(head, rows)
    return f"# Models\n\n{table}\n\n{build.protocols(entries)}\n{build.on_the_hub(others)}"


def home(entries: list[Entry]) -> str:
    """The README, with pictures for its table."""
    return build.with_part(TOP / "README.md", cards(entries, up="docs/"))


def modules(patterns: list[str]) -> list[str]:
    """The names of modules that patterns stand for, without private ones."""
    found: list[str] = []
    for pattern in patterns:
        files = sorted((TOP / "zoo").glob(f"{pattern}.py"))
        assert files, pattern
        names = (file.relative_to(TOP).with_suffix("").as_posix().replace("/", ".") for file in files)
        found += [name.removesuffix(".__init__") for name in names if "*" not in pattern or "__init__" not in name]
    return found


# Classes that `zoo` names are on the pages of their modules.
_FUNCTIONS = [name for name in zoo.__all__ if name.islower() and not name.startswith("_")]


def api() -> dict[str, str]:
    """Pages of the API reference, by path."""
    options = {"zoo": f"\n    options: {{members: {_FUNCTIONS}}}"}
    return {
        f"api/{title.lower().replace(' ', '-')}.md": f"# {title}\n\n"
        + "\n\n".join(f"::: {name}{options.get(name, '')}" for name in modules(patterns))
        + "\n"
        for title, patterns in API.items()
    }


def pages() -> dict[str, str]:
    """Every page that is made, by its path on the site; links in them are as in docs/."""
    entries, others = build.ours()
    return {
        "gallery.md": gallery(entries),
        "models.md": models(entries, others),
        **{f"models/{entry.name}.md": model_page(entry) for entry in entries},
        **api(),
    }
