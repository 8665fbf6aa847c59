"""From a checkpoint or a run to a repository on the Hugging Face Hub: weights, facts, and a model card."""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import InputError, UnknownNameError, WeightsError
from zoo.metrics import wording
from zoo.metrics.protocols import protocol
from zoo.registry.datasets import caution, datasets
from zoo.registry.facts import Entry, Metric
from zoo.registry.index import code_of, info, registry
from zoo.registry.licenses import commercial, terms
from zoo.weights.folder import SAMPLES_FILE, WEIGHTS_FILE, export
from zoo.weights.resolve import find
from zoo.weights.verify import sha256_of

CARD_FILE = "README.md"
NEAREST_FILE = "nearest.png"
# Identifiers that the Hub has a page for; others are said to be "other", with their name.
HUB_LICENSES = (
    *("mit", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0"),
    *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "unknown"),
)

# What stands in a call for a file or a text of the user's, and for the file of a result.
EXAMPLES = {
    "image": "photo.jpg",
    "audio": "sound.wav",
    "video": "clip.mp4",
    "molecules": "molecules.smi",
    "mask": "mask.png",
    "keypoints": "points.json",
    "text": "a text",
}
RESULTS = {"image": "out.png", "audio": "out.wav", "video": "out.mp4", "molecules": "out.smi"}


def prepare(source: str, folder: Path, repo: str) -> Entry:
    """Write what a repository holds: the weights, ``config.json``, the card, and samples where there are some.

    Args:
        source: a name as :func:`zoo.load` takes it, or the folder of a run; a name that the registry has comes first.
        folder: a new folder, or an empty one.
        repo: ``owner/name`` of the repository, for the card.

    Returns:
        The facts of what was written.

    Raises:
        InputError: if the folder holds something.
        WeightsError: if the weights cannot be had, or the folder not be written.
    """
    entry, path = find(f"local-dir:{source}" if _is_folder(source) else source)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not an empty folder: choose another.")
    export(entry, path, folder)
    sheets = _sheets(entry, path.parent)
    try:
        for name, path in sheets.items():
            shutil.copy(path, folder / name)
        (folder / CARD_FILE).write_text(card(entry, repo, sheets), "utf-8")
    except OSError as error:
        raise WeightsError(f"{folder} cannot be written: {error.strerror or error}.") from None
    return entry


def _is_folder(source: str) -> bool:
    """Whether a source without a prefix is the folder of a run."""
    if ":" in source or not Path(source).is_dir():
        return False
    try:
        info(source)
    except UnknownNameError:
        return True
    return False


def _sheets(entry: Entry, run: Path) -> dict[str, Path]:
    """What the best weights of a run make; of a checkpoint in a checkout of the zoo the sheets of the gallery."""
    drawn = entry.folder.parent / "docs" / "gallery" / entry.name
    sheets = {SAMPLES_FILE: Path(f"{drawn}.png"), NEAREST_FILE: Path(f"{drawn}.nearest.png")}
    if entry.source:
        sheets = {SAMPLES_FILE: run / SAMPLES_FILE}
    return {name: path for name, path in sheets.items() if path.is_file()}


def card(entry: Entry, repo: str, sheets: Collection[str] = ()) -> str:
    """The model card: the header that the Hub reads, then what a person reads."""
    known = entry.license.lower() in HUB_LICENSES
    task = "unconditional-image-generation" if "generate" in entry.verbs else "image-to-image"
    task = "graph-ml" if entry.output.kind == "molecules" else task
    header: dict[str, Any] = {
        "license": entry.license.lower() if known else "other",
        **({} if known else {"license_name": entry.license.lower()}),
        "library_name": "generative-zoo",
        "pipeline_tag": task,
        "tags": ["generative-zoo", entry.model, *entry.aliases],
    }
    if entry.metrics:
        header["model-index"] = model_index(entry, task)
    parts = [
        f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---",
        f"# {entry.name}",
        f"{entry.summary} [Paper]({entry.paper})." if entry.paper else entry.summary,
    ]
    if SAMPLES_FILE in sheets:
        parts.append(f"![Samples, not chosen]({SAMPLES_FILE})")
    if NEAREST_FILE in sheets:
        parts.append(
            f"![In turn a row of samples and the training images nearest to them]({NEAREST_FILE})\n\n"
            "In turn a row of samples and the training images that are nearest to them."
        )
    parts += [
        "## Use",
        _use(entry, repo),
        "## What it is for, and what not",
        limits(entry),
        "## Training",
        training(entry),
    ]
    if entry.metrics:
        parts += ["## Figures", figures(entry)]
    parts += ["## Licence", licence(entry)]
    return "\n\n".join(parts) + "\n"


def model_index(entry: Entry, task: str) -> list[dict[str, Any]]:
    """The figures in the form that the Hub reads, each under the data set that it was measured on."""
    from huggingface_hub.repocard_data import EvalResult, eval_results_to_model_index

    results = []
    for row in entry.metrics:
        known, dataset = protocol(row.protocol), datasets().get(row.dataset)
        facts = {"protocol": row.protocol, "n": row.n, "seed": row.seed, "baselines": dict(row.baselines)}
        result = EvalResult(
            task_type=task,
            dataset_type=(dataset and dataset.hub) or row.dataset or "unknown",
            dataset_name=dataset.name if dataset else row.dataset or "unknown",
            dataset_split=row.split or None,
            metric_type=known.hub if known and known.hub else row.metric,
            metric_name=wording.name(row),
            metric_value=row.value,
            metric_args={key: x for key, x in {**facts, **row.settings}.items() if x not in ("", None, {})},
        )
        results.append(result)
    index: list[dict[str, Any]] = eval_results_to_model_index(entry.name, results)
    return index


def figures(entry: Entry) -> str:
    """The tables of its figures: the values, then how each was measured."""
    note = wording.training_note(entry)
    return "\n\n".join(filter(None, (values_table(entry), _words(note), protocol_list(entry.metrics))))


def values_table(entry: Entry) -> str:
    """The figures beside those of baselines, rows of a protocol together."""
    rows = [
        " | ".join(
            map(_words, (wording.name(row), wording.value(row), wording.baselines(row), wording.measured_on(row)))
        )
        for group in wording.by_protocol(entry.metrics)
        for row in group
    ]
    return table("figure | value | others | measured on", rows)


def protocol_list(metrics: Iterable[Metric]) -> str:
    """How figures were measured, each protocol once."""
    lines = []
    for row, *_ in wording.by_protocol(metrics):
        way = wording.better(row)
        title = f"{wording.name(row)}, {way} is better" if way else wording.name(row)
        lines.append(f"- {_words(title)}: {_words(wording.sentence(row))}")
    return "\n".join(lines)


def table(head: str, rows: list[str]) -> str:
    """A table in Markdown; columns are divided by ``|``."""
    return "\n".join(f"| {row} |" for row in (head, " | ".join(["---"] * len(head.split("|"))), *rows))


def _use(entry: Entry, repo: str) -> str:
    out = RESULTS[entry.output.kind]
    return f"""```
pip install generative-zoo
```

```python
import zoo

zoo.load("hf-hub:{repo}").{call(entry, entry.verbs[0])}.save("{out}")
```"""


def call(entry: Entry, verb: str, source: str = "") -> str:
    """A verb as it is called in Python, on ``source`` or a file of the user's."""
    given = "".join(f", {name}={value!r}" for name, value in example_conditions(entry).items())
    if verb == "generate":
        return f"generate(16, seed=0{given})"
    return f'reconstruct("{source or EXAMPLES[entry.input.kind if entry.input else "image"]}"{given})'


def example_conditions(entry: Entry) -> dict[str, Any]:
    """A value for each condition of a model that must be given, and for the first two that have some to show."""
    shown = {c.name: (*c.choices, *c.examples)[0] for c in entry.conditions if c.choices or c.examples}
    few = list(shown)[:2]
    return {
        c.name: shown.get(c.name, EXAMPLES.get(c.kind, c.minimum or 0))
        for c in entry.conditions
        if c.required or c.name in few
    }


def limits(entry: Entry) -> str:
    """What a checkpoint is for, and by which figures something that stands beside it is better."""
    kind, size = entry.output.kind, entry.output.size
    at = f"at {size[0]}x{size[1]} pixels" if size else "for images of any size" if kind == "image" else f"for {kind}"
    unknown = ""
    if kind == "molecules":
        at = f"for molecules of up to {entry.output.atoms} atoms of {', '.join(entry.output.elements or ())}"
        unknown = " Nothing is known of whether a molecule is stable, can be made, or is poisonous."
    allowed = "" if commercial(entry) else " It may not be used commercially, see the licence."
    text = (
        f"For research, teaching and comparison, {at}. It knows what its data show and nothing else, and repeats "
        f"what is lopsided in them; what it makes is not evidence of anything.{unknown}{allowed}"
    )
    if warning := caution(entry.data):
        text = f"{warning}\n\n{text}"
    behind = []
    for rows in wording.by_protocol(entry.metrics):
        others = dict.fromkeys(name for row in rows for name in wording.ahead(row))
        if others:
            behind.append(f"- {_words(wording.name(rows[0]))}: {_words(', '.join(others))}")
    if behind:
        text = "\n\n".join([text, "Others are better, in one row of its figures or more, by", "\n".join(behind)])
    return text


def training(entry: Entry) -> str:
    """How the weights were trained: what the run wrote down, or the recipe of a checkpoint that the registry has."""
    lines = []
    if entry.data:
        name, source = _words(entry.data.name), entry.data.source
        linked = f"[{name}]({source})" if re.fullmatch(r"https?://[^\s()<>]+", source) else f"{name}, {_words(source)}"
        lines.append(f"Data: {linked}, {_words(entry.data.license)}.")
    lines.append(f"Network: `{entry.builder}` with {_code(entry.config) or 'its defaults'}.")
    known = registry().entries.get(entry.name)
    if entry.training:
        lines.append("What the run wrote down:")
        facts = {key: value for key, value in entry.training.items() if value not in ("", {}, [])}
        lines.append("\n".join(f"- {_text(key)}: {_value(value)}" for key, value in facts.items()))
    elif known and entry.recipe and entry.sha256 and (known.sha256, known.recipe) == (entry.sha256, entry.recipe):
        function = code_of(known.recipe, known)
        settings = {
            key: p.default for key, p in inspect.signature(function).parameters.items() if p.default is not p.empty
        }
        lines.append(f"Recipe: `{entry.recipe}` with {_code(settings)}. {inspect.getdoc(function) or ''}".strip())
    else:
        lines.append("With which settings it was trained is not on record.")
    return "\n\n".join(lines)


def _value(value: Any) -> str:
    """A fact of a run as text."""
    if isinstance(value, Mapping):
        return _code(value)
    if isinstance(value, list):
        return " and ".join(map(_text, value))
    return _text(value)


def _words(text: str) -> str:
    """A text of a file as no more than words on one line: no link, image, heading, cell or HTML of the card."""
    line = re.sub(r"[\\`|]", r"\\\g<0>", " ".join(text.split()))
    return line.replace("](", r"]\(").replace("<", "&lt;")


def _text(value: Any) -> str:
    """In code, so that no name in a file becomes a link or a line of the card."""
    return f"`{' '.join(str(value).replace('`', chr(39)).split())}`"


def _code(values: Mapping[str, Any]) -> str:
    return ", ".join(_text(f"{key}={value}") for key, value in values.items())


def licence(entry: Entry) -> str:
    """What the licences of weights and data oblige to."""
    lines = [f"Weights: {_words(entry.license)}. What that obliges to: {terms(entry.license).duties}."]
    if entry.data:
        lines.append(f"Data: {_words(entry.data.license)}. What that obliges to: {terms(entry.data.license).duties}.")
    return "\n\n".join(lines)


def publish(folder: Path, repo: str, *, private: bool = False, token: str | None = None) -> str:
    """Upload a folder that :func:`prepare` wrote, as one commit.

    Args:
        folder: what to upload.
        repo: ``owner/name``; created if it is missing.
        private: whether a new repository is for its owner alone.
        token: of the account; by default that of `hf auth login` or ``HF_TOKEN``.

    Returns:
        The commit.

    Raises:
        WeightsError: if the Hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    api = HfApi(library_name="generative-zoo", token=token)
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        commit = api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Weights, facts and card")
    except HFValidationError:
        raise InputError(f"{repo!r} is no name of a repository: use owner/name.") from None
    except LocalTokenNotFoundError:
        raise WeightsError("You are not logged in: `hf auth login`, or set HF_TOKEN.") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        cure = "log in with `hf auth login`, and check who owns the name" if status in (401, 403) else "try again later"
        raise WeightsError(f"The Hub refuses {repo} with status {status}: {cure}.") from None
    except Exception as error:  # which ones depends on the HTTP library behind huggingface_hub
        raise WeightsError(f"{repo} could not be uploaded: {str(error).strip().splitlines()[0]}.") from None
    return str(commit.oid)


def stanza(entry: Entry, folder: Path, repo: str, commit: str) -> str:
    """The lines of ``registry.yaml`` that name what was published."""
    path = folder / WEIGHTS_FILE
    return (
        f"    {entry.checkpoint}:\n"
        f"      hub: {{repo: {repo}, revision: {commit}}}\n"
        f'      sha256: "{sha256_of(path)}"\n'
        f"      bytes: {path.stat().st_size}\n"
    )
