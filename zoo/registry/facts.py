"""The facts of a model, as objects: what a registry file says, after it was checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zoo.errors import InputError, near

FORMATS = ("safetensors", "safetensors-fp16", "state-dict", "onnx")  # that a model can be exported in
VERBS = ("generate", "reconstruct")
FORMAT_KEYS = {  # what a format of each kind may say
    "image": ("channels", "size", "multiple", "scale"),
    "audio": ("channels", "rate", "length", "window", "multiple"),
    "video": ("channels", "size", "fps", "frames", "multiple", "scale"),
    "molecules": ("elements", "atoms", "valid"),
}
KINDS = tuple(FORMAT_KEYS)
MANY = 60  # choices, from which on an error does not name all
AS_IT_IS = "as it is"  # in place of a choice or number that may be left out: nothing is passed
# Kinds of conditions, and of what kind of format they are, if they are samples.
CONDITION_KINDS = {
    "choice": "",
    "integer": "",
    "number": "",
    "text": "",
    "keypoints": "",
    "image": "image",
    "mask": "image",
    "audio": "audio",
    "video": "video",
}


@dataclass(frozen=True)
class Format:
    """What goes into a model or comes out of it.

    Attributes:
        kind: image, audio, video or molecules; each has the attributes that :data:`FORMAT_KEYS` names.
        channels: of images and video: 1 for grey, 3 for RGB; of audio: 1 for mono, 2 for stereo. None for any.
        size: height and width in pixels; None for any size.
        multiple: height and width, or the length of audio, must be divisible by this in an input; others are padded.
        scale: how many times larger the output is than the input.
        rate: of audio, in hertz.
        length: of audio, in samples for each channel; None for any length.
        window: of audio of any length, in samples for each channel: what is longer goes through in windows.
        fps: of video, frames in a second; None for any.
        frames: of video, how many; None for any number.
        elements: of molecules, the symbols of the atoms there may be, in the order of the network's numbers.
        atoms: of molecules, the most that one may have.
        valid: of molecules, whether invalid ones are drawn again.
    """

    kind: str = "image"
    channels: int | None = None
    size: tuple[int, int] | None = None
    multiple: int = 1
    scale: int = 1
    rate: int | None = None
    length: int | None = None
    window: int | None = None
    fps: float | None = None
    frames: int | None = None
    elements: tuple[str, ...] | None = None
    atoms: int | None = None
    valid: bool | None = None


@dataclass(frozen=True)
class Condition:
    """A named extra input of a verb: the Python keyword, the option ``-c name=value``, and their errors.

    Attributes:
        name: the keyword.
        kind: a key of :data:`CONDITION_KINDS`.
        choices: the allowed values of a choice; the network gets their index.
        default: the value where the user passes none.
        required: whether the user must pass a value.
        help: one line for users.
        minimum: the least that an integer or a number may be.
        maximum: the most.
        format: of an image, a mask, audio or video: what the network takes.
        aligned: whether an image, a mask or keypoints belong to places of the input, and so go through the same crop,
            resizing, padding and tiles.
        transparency: whether the transparent part of the input is the mask where none is given: of an aligned mask. The
            result is opaque then.
        count: the least and the most values of one sample, as several images for few-shot; None for one value. Of
            keypoints, how many points.
        per: "sample", or "frame" for one value for each frame of a video.
        vocabulary: of a text: the words that the network knows, whose numbers it gets; empty for one that takes texts.
        examples: of a text: what the gallery, cards and the page are shown with.
    """

    name: str
    kind: str
    choices: tuple[str | int, ...] = ()
    default: Any = None
    required: bool = False
    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    format: Format | None = None
    aligned: bool = False
    transparency: bool = False
    count: tuple[int, int] | None = None
    per: str = "sample"
    vocabulary: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()

    @property
    def optional(self) -> bool:
        """Whether there may be no value: what it says stays as it is then, or the latent chooses."""
        return self.default is None and not self.required and not self.transparency

    def check(self, value: Any) -> Any:
        """A choice, integer, number or text, or :class:`~zoo.errors.InputError` that says what it may be."""
        if self.kind == "choice":
            named = {str(choice): choice for choice in self.choices}
            if str(value) in named:
                return named[str(value)]
            for name, choice in named.items():
                if isinstance(value, str) and name.lower() == value.lower():
                    return choice
            guess, names = near(str(value), named), list(named)
            cure = f"{guess} Choose" if guess else ": choose"
            some = ", ".join(names) if len(names) <= MANY else f"{len(names):,}, such as {names[0]} or {names[1]}"
            raise InputError(f"{self.name} cannot be {value!r}{cure} one of {some}.")
        if self.kind in ("integer", "number"):
            return self._check_number(value)
        if not isinstance(value, str):
            raise InputError(f"{self.name} must be a text, not {value!r}.")
        return value

    def _check_number(self, value: Any) -> float:
        to_number, word = (int, "a whole number") if self.kind == "integer" else (float, "a number")
        try:
            number = to_number(value)
            cut = to_number is int and not isinstance(value, str) and number != value
            if not math.isfinite(number) or cut or isinstance(value, bool):
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{self.name} must be {word}, not {value!r}.") from None
        if (self.minimum is not None and number < self.minimum) or (self.maximum is not None and number > self.maximum):
            bounds = [
                f"{side} {bound:g}"
                for side, bound in (("from", self.minimum), ("to", self.maximum))
                if bound is not None
            ]
            raise InputError(f"{self.name} must be {word} {' '.join(bounds)}, not {value!r}.")
        return number


def with_choices(conditions: Sequence[Condition], choices: Mapping[str, Sequence[str | int]]) -> tuple[Condition, ...]:
    """Conditions of a model that was trained on other data: those with choices are the ones that the data have.

    Args:
        conditions: of the model as it is registered.
        choices: of the data, by name; with none, all conditions stay as they are.
    """
    known = {c.name: c for c in conditions if c.kind != "choice" or c.name in choices or not choices}
    named = {name: known.get(name, Condition(name, "choice")) for name in choices}
    of_data: dict[str, Any] = {"kind": "choice", "minimum": None, "maximum": None}
    chosen = {name: replace(c, choices=tuple(choices[name]), **of_data) for name, c in named.items()}
    return tuple((known | chosen).values())


@dataclass(frozen=True)
class Hub:
    """Where a file is on the Hugging Face Hub.

    Attributes:
        repo: ``owner/name``.
        file: its path there.
        revision: branch, tag or commit.
        mirrors: links to the same file on other servers, tried after the Hub; the hash says that it is the same.
    """

    repo: str
    file: str = "model.safetensors"
    revision: str = "main"
    mirrors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Data:
    """What a checkpoint was trained on.

    Attributes:
        name: of the data set, and which part of it.
        license: of the data, as an SPDX identifier where there is one.
        source: a link to the page of the data set's authors.
        id: of the data set in ``zoo/data/datasets.yaml``, if it stands there.
    """

    name: str
    license: str
    source: str
    id: str = ""


@dataclass(frozen=True)
class Metric:
    """A row of a card: a measured figure, and what it was measured by and on.

    Attributes:
        metric: what it is, such as ``kid``.
        value: the figure.
        note: words about this row, or how it was measured where ``protocol`` is none of the zoo's.
        protocol: an identifier that :mod:`zoo.metrics.protocols` explains.
        dataset: an identifier in ``zoo/data/datasets.yaml``, or what somebody calls data of their own.
        split: which part of the data; ``unsplit`` where they have none.
        n: how many images of the model were measured.
        seed: of those that were generated.
        baselines: what others get by the same protocol, such as real images or the input itself.
        settings: of the evaluation, where they are not the only ones there are.
        features: the first digits of a sha256 of the weights of the feature extractor.
        data: the first digits of a sha256 of all images that were read.
        weights: the first digits of the sha256 of the weights that were measured.
    """

    metric: str
    value: float
    note: str = ""
    protocol: str = ""
    dataset: str = ""
    split: str = ""
    n: int | None = None
    seed: int | None = None
    baselines: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    features: str = ""
    data: str = ""
    weights: str = ""


@dataclass(frozen=True)
class Origin:
    """Which files of other people's code weights were imported from.

    Attributes:
        files: sha256 by name.
        layout: a name in :data:`zoo.interop.layouts.table.LAYOUTS`.
        renamed: their name of each module that has another one here.
        taken: where in a file the weights lay, by the file's name, if they were not all of it.
        left_out: what else a file held, by its name.
    """

    files: Mapping[str, str]
    layout: str
    renamed: Mapping[str, str]
    taken: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """All facts of one checkpoint and of the model it belongs to.

    Attributes:
        name: ``model.checkpoint``.
        package: the installed package that brings it: ``zoo``, or a plugin's.
        folder: that package's folder; embedded weights lie in its ``checkpoints``.
        builder: the class the weights are loaded into, as ``module:Class``.
        config: keyword arguments of the builder.
        sha256: what identifies the weights, wherever they come from. None for a folder of the user's own.
        bytes: size of the weights.
        summary: one line about the checkpoint, or about the model where it has none of its own.
        model_summary: one line about the model, whatever it was trained on.
        recipe: the function that trained it, as ``module:function``.
        evaluate: the function that measures it, as ``module:function``.
        extractors: which feature extractors had a part in training: in a ``loss`` or discriminator, in the
            ``selection`` of the weights.
        metrics: the measured figures; those of a registry are read from ``cards/MODEL.yaml`` when they are asked for.
        example: the folder in ``examples/`` that it is shown on.
        verified: whether we have loaded these weights; False for files that were only read about.
        license: of the weights, as an SPDX identifier where there is one.
        origin: the files that the weights were imported from, if they were.
        source: ``local-dir:FOLDER`` or ``hf-hub:OWNER/REPO`` as it was asked for, of what no registry names.
        training: what the training run of the weights recorded: recipe, settings, data, steps, machine.
        encoder: whether the network has ``encode``, whose codes ``decode`` takes.
        tasks: arguments that tasks take of this checkpoint, by task: ``{"anomaly": {"threshold": 0.13}}``.
    """

    model: str
    checkpoint: str
    package: str
    folder: Path
    builder: str
    summary: str
    verbs: tuple[str, ...]
    output: Format
    license: str
    paper: str = ""
    aliases: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    input: Format | None = None
    hub: Hub | None = None
    sha256: str | None = None
    bytes: int | None = None
    data: Data | None = None
    recipe: str = ""
    evaluate: str = ""
    extractors: Mapping[str, str] = field(default_factory=dict)
    metrics: Sequence[Metric] = field(default=(), repr=False)  # which would read a file
    example: str = ""
    model_summary: str = ""
    verified: bool = True
    origin: Origin | None = None
    source: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    encoder: bool = False
    tasks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The name under which :func:`zoo.load` and every command find these weights."""
        return self.source or self.name

    @property
    def name(self) -> str:
        """``model.checkpoint``, or ``model`` alone for a network that the zoo has no weights for."""
        return f"{self.model}.{self.checkpoint}" if self.checkpoint else self.model

    @property
    def embedded(self) -> Path:
        """Where the embedded weights are, if the package has them."""
        return self.folder / "checkpoints" / f"{self.name}.safetensors"
