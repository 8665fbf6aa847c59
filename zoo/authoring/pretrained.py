"""``save_pretrained``, ``from_pretrained`` and ``push_to_hub``, as models of other libraries have them.

Their names and habits are those of huggingface_hub's ``PyTorchModelHubMixin``; what they write and read are the folders
of the zoo.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_bytes

from zoo.authoring.publish import CARD_FILE, card, publish
from zoo.errors import InputError, UnknownNameError, WeightsError, ZooError
from zoo.files import atomic_write, read_text
from zoo.loading import load as load_model
from zoo.model import Model
from zoo.networks import assign, build, check_formats, described, read_state, to_dtype
from zoo.registry.facts import Entry
from zoo.registry.index import code_of, from_config, info, registry
from zoo.registry.schema import to_config
from zoo.registry.values import REPO
from zoo.weights.folder import CONFIG_FILE, WEIGHTS_FILE, export
from zoo.weights.resolve import entry_of, on_disk
from zoo.weights.verify import sha256_of

OURS = {WEIGHTS_FILE, CONFIG_FILE, CARD_FILE, ".gitattributes"}  # what a folder that is saved into again may hold
MADE = ("model", "config", "sha256", "bytes")  # facts that follow from the model


def load(cls: type[Model], name: str | os.PathLike[str], revision: str | None, **options: Any) -> Model:
    """As :meth:`zoo.model.Model.from_pretrained`."""
    address = _address(name, revision)
    entry = entry_of(address)
    builder = code_of(entry.builder, entry)
    if not (isinstance(builder, type) and issubclass(builder, cls)):
        raise InputError(
            f"{name} is of the class {entry.builder.rpartition(':')[2]}, not {cls.__name__}: use that class, or "
            f"zoo.load({address!r})."
        )
    model: Model = load_model(address, **options)
    return model


def _address(name: str | os.PathLike[str], revision: str | None) -> str:
    """A name as :func:`zoo.load` takes it: of a checkpoint, or with ``local-dir:`` or ``hf-hub:`` before it."""
    if not isinstance(name, (str, os.PathLike)):
        raise InputError(f"from_pretrained takes owner/repo, a folder or the name of a checkpoint, not {name!r}.")
    text = os.fspath(name)
    if text.startswith(("local-dir:", "hf-hub:")) or (isinstance(name, str) and _is_registered(text)):
        address = text
    elif os.path.isdir(os.path.expanduser(text)) or not isinstance(name, str):  # noqa: PTH111, PTH112
        address = f"local-dir:{text}"
    elif re.fullmatch(REPO, text):
        address = f"hf-hub:{text}"
    else:
        address = f"local-dir:{text}" if "/" in text else text  # which says what is wrong
    if revision is None:
        return address
    if not address.startswith("hf-hub:") or "@" in address:
        raise InputError(f"A revision is of a repository on the Hub, and {text} is none: leave it out.")
    return f"{address}@{revision}"


def _is_registered(name: str) -> bool:
    try:
        return bool(info(name))
    except UnknownNameError:
        return False


def save(model: Model, folder: str | os.PathLike[str], repo: str, dtype: Any, facts: Mapping[str, Any]) -> Path:
    """As :meth:`zoo.model.Model.save_pretrained`; ``repo`` is ``owner/name`` for the card."""
    target = Path(folder)
    _check_folder(target)
    if wrong := [key for key in facts if key in MADE]:
        raise InputError(f"{wrong[0]} follows from the model: leave it out.")
    edited = _has_edited_card(target, repo)
    source = _original(model) if dtype is None else None
    if source is not None and model.entry:
        entry = _with_facts(replace(model.entry, sha256=sha256_of(source), bytes=source.stat().st_size), facts)
        export(entry, source, target)
    else:
        entry, content = _as_saved(model, dtype, facts)
        export(entry, content, target)
    if not edited:
        try:
            with atomic_write(target / CARD_FILE) as aside:
                aside.write_text(card(entry, repo), "utf-8")
        except OSError as error:
            raise WeightsError(f"{target / CARD_FILE} cannot be written: {error.strerror or error}.") from None
    return target


def push(model: Model, repo: str, private: bool, token: str | None, dtype: Any, facts: Mapping[str, Any]) -> str:
    """As :meth:`zoo.model.Model.push_to_hub`."""
    if not isinstance(repo, str) or not re.fullmatch(REPO, repo):
        raise InputError(f"{repo!r} is no name of a repository: use owner/name.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = save(model, Path(temporary) / "model", repo, dtype, facts)
        return publish(folder, repo, private=private, token=token)


def _check_folder(folder: Path) -> None:
    """Refuse a folder with files of others: a README.md or config.json there would be another one's."""
    try:
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    except OSError as error:
        reason = "is no folder" if isinstance(error, NotADirectoryError) else f"cannot be read ({error.strerror})"
        raise InputError(f"{folder} {reason}: choose another.") from None
    if names and not {WEIGHTS_FILE, CONFIG_FILE} <= names:
        raise InputError(f"{folder} holds something, and no saved model: choose another folder.")


def _has_edited_card(folder: Path, repo: str) -> bool:
    """Whether the card in a folder is another one than was written beside its facts."""
    try:
        text = read_text(folder / CARD_FILE)
        return text != card(from_config(read_text(folder / CONFIG_FILE), str(folder / CONFIG_FILE)), repo)
    except (OSError, ZooError):
        return (folder / CARD_FILE).exists()


def _original(model: Model) -> Path | None:
    """The file that the weights of a loaded model are of, if it is on this machine and they are unchanged."""
    if not model.entry:
        return None
    state = model.state_dict()
    for path in on_disk(model.entry):
        try:
            if described(path).keys() != state.keys():
                continue
            stored = read_state(path)
        except WeightsError:
            continue
        if all(torch.equal(stored[key].to(x.dtype), x.cpu()) for key, x in state.items()):
            return path
    return None


def _with_facts(entry: Entry, facts: Mapping[str, Any]) -> Entry:
    """An entry with facts of the user's own, which are checked as those of a ``config.json``."""
    try:
        text = json.dumps({**json.loads(to_config(entry)), **facts})
    except (TypeError, ValueError):
        raise InputError(
            f"What {entry.model} was built with, or {', '.join(facts) or 'its facts'}, cannot be written as JSON: use "
            "numbers, texts and lists."
        ) from None
    return from_config(text, "save_pretrained")


def _as_saved(model: Model, dtype: Any, facts: Mapping[str, Any]) -> tuple[Entry, bytes]:
    """Facts and file of the present weights, after the network was built anew from both and has run."""
    state = {key: x.detach().cpu().clone().contiguous() for key, x in model.state_dict().items()}
    if dtype is not None:
        wanted = to_dtype(dtype)
        state = {key: x.to(wanted) if x.is_floating_point() else x for key, x in state.items()}
    for key, x in state.items():
        if x.is_floating_point() and not torch.isfinite(x).all():
            raise WeightsError(
                f"{key} has values that are NaN, infinite, or too large for {x.dtype}: nothing is saved."
            )
    entry = _with_facts(_fine_tuned(model.entry) if model.entry else _built(model), facts)
    content = to_bytes(state, {"format": "pt"})
    entry = replace(entry, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    twin = build(entry)
    assign(twin, state, Path(f"this {type(model).__name__}"), torch.float32)
    twin.eval()
    if not model.entry:
        entry = _with_formats(twin, entry, facts)
    twin.entry = entry
    check_formats(twin, entry)
    return entry, content


def _fine_tuned(entry: Entry) -> Entry:
    """The facts of weights that were trained further: figures and recipe are of the others."""
    name = entry.source if entry.source.startswith("hf-hub:") else entry.name  # a folder's path is nobody's business
    start = {"started from": name, **({"sha256 of the start": entry.sha256} if entry.sha256 else {})}
    return replace(
        entry,
        checkpoint="fine-tuned",
        hub=None,
        recipe="",
        metrics=(),
        origin=None,
        verified=True,
        source="",
        training=start,
    )


def _built(model: Model) -> Entry:
    """The facts of a network that was built by hand, but for what it takes and gives."""
    cls = type(model)
    name = f"{cls.__module__}:{cls.__qualname__}"
    known = [entries for entries in registry().models.values() if entries[0].builder == name]
    if not known:
        raise InputError(f"{cls.__name__} is the builder of no registered model: `zoo.register` its stanza first.")
    config = _config(model)
    whole = {**_defaults(cls), **config}
    fitting = [entries for entries in known if any({**_defaults(cls), **entry.config} == whole for entry in entries)]
    first = (fitting or known)[0][0]  # of several models with one builder, that of these arguments
    return replace(
        first,
        checkpoint="local",
        config=config,
        license="unknown",
        hub=None,
        data=None,
        recipe="",
        metrics=(),
        origin=None,
        verified=True,
        training={},
    )


def _config(model: Model) -> dict[str, Any]:
    """The arguments that a network was built with, by name."""
    args, keywords = model.arguments
    signature = inspect.signature(type(model))
    config: dict[str, Any] = {}
    for key, value in signature.bind(*args, **keywords).arguments.items():
        kind = signature.parameters[key].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            raise InputError(f"{type(model).__name__} was built with arguments that have no names: name them.")
        config.update(value if kind is inspect.Parameter.VAR_KEYWORD else {key: value})
    return {key: list(value) if isinstance(value, tuple) else value for key, value in config.items()}


def _defaults(cls: type[Model]) -> dict[str, Any]:
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


@torch.inference_mode()
def _with_formats(model: Model, entry: Entry, facts: Mapping[str, Any]) -> Entry:
    """An entry with what a network takes and gives, where ``facts`` do not say it.

    It takes what the model's first checkpoint does, but for arguments named ``size`` and ``channels``; what it gives is
    seen when it is run.
    """
    if entry.input and "input" not in facts:
        settings = {**_defaults(type(model)), **entry.config}
        side, channels = settings.get("size"), settings.get("channels", entry.input.channels)
        size = (side, side) if entry.input.size and isinstance(side, int) else entry.input.size
        entry = replace(entry, input=replace(entry.input, size=size, channels=channels))
    if "output" in facts or entry.output.kind != "image":
        return entry
    model.entry = entry
    call = model.calls[-1]
    try:
        x, conditions = model.smallest_batch(call)
        y = getattr(model, call)(model.tensor(x), **{name: model.tensor(value) for name, value in conditions.items()})
        _, channels, height, width = y.shape
    except Exception as error:  # whatever a network's code makes of it
        said = next(iter(str(error).splitlines()), type(error).__name__)[:200].rstrip(".")
        raise InputError(
            f"{entry.model} does not take {entry.input}, {said}: say what it takes and gives, with `input` and "
            "`output` as in config.json."
        ) from None
    if entry.input and entry.input.kind == "image" and not entry.input.size:
        return replace(entry, output=replace(entry.output, channels=channels, size=None, scale=height // x.shape[-2]))
    return replace(entry, output=replace(entry.output, channels=channels, size=(height, width), scale=1))
