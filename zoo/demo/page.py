"""The page: for any model of the registry its controls, results, card, and the code that does the same."""

from __future__ import annotations

import os
import secrets
import shlex
import tempfile
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

import gradio as gr

import zoo
from zoo.authoring import publish
from zoo.demo.controls import control, given, painted, source
from zoo.errors import InputError, ZooError
from zoo.files import is_file
from zoo.media.base import Samples
from zoo.media.inputs import named_inputs
from zoo.model import Model
from zoo.registry.facts import Condition, Entry
from zoo.registry.index import registry
from zoo.registry.licenses import commercial, terms
from zoo.tasks.latent import interpolate
from zoo.weights.resolve import entry_of

KEPT = 4  # models in memory
MOST = 64  # samples at once
UPLOAD = "50mb"
WAITING = 200  # requests in the queue
FONT, FONT_MONO = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]  # none from elsewhere


def entries_of(names: Sequence[str]) -> list[Entry]:
    """The entries that names stand for; without names all whose weights are on this machine."""
    if names:
        return [entry_of(name) for name in names]
    return [entry for entry in registry().entries.values() if is_file(entry.embedded)]


@lru_cache(maxsize=KEPT)
def loaded(address: str, precision: str) -> Model:
    """A model, which stays in memory until :data:`KEPT` others were used after it."""
    return zoo.load(address, precision=precision)


def page(names: Sequence[str] = ()) -> gr.Blocks:
    """The page of some models, as gradio has it; :func:`launch` serves it.

    Args:
        names: as :func:`zoo.load` takes them; those whose weights are on this machine by default.
    """
    entries = {entry.address: entry for entry in entries_of(names)}
    if not entries:
        raise InputError("No model has its weights on this machine: name one, and it is downloaded.")
    verbs = ["any", *dict.fromkeys(verb for entry in entries.values() for verb in entry.verbs)]
    kinds = ["any", *dict.fromkeys(entry.output.kind for entry in entries.values())]
    with gr.Blocks(title="zoo", analytics_enabled=False, delete_cache=(600, 3600)) as blocks:
        gr.Markdown("# zoo\nAutoencoders and GANs, on this machine. Nothing that you put in leaves it.")
        with gr.Row():
            verb = gr.Radio(verbs, value="any", label="What it does")
            kind = gr.Radio(kinds, value="any", label="What it gives", visible=len(kinds) > 2)
            first = next(iter(entries))
            model = gr.Dropdown(_options(entries, "any", "any"), value=first, label="Model", interactive=True)
        for choice in (verb, kind):
            choice.change(partial(_narrowed, entries), [verb, kind, model], model, show_progress="hidden")

        @gr.render(inputs=model)  # type: ignore[untyped-decorator]
        def show(address: str) -> None:
            _model_page(entries[address])

    queued: gr.Blocks = blocks.queue(max_size=WAITING)
    return queued


def launch(
    names: Sequence[str] = (), *, host: str | None = None, port: int | None = None, browser: bool = False
) -> None:
    """Serve the page until ctrl-C. Uploads and results are in a temporary folder, which is gone afterwards.

    Args:
        names: as for :func:`page`.
        host: where it listens; this machine only by default.
        port: the first free one from 7860 by default.
        browser: whether to open it.

    Raises:
        InputError: for a port that is taken.
    """
    with tempfile.TemporaryDirectory(prefix="zoo-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        tempfile.tempdir = folder  # results, too
        try:
            blocks = page(names)
            blocks.launch(
                server_name=host,
                server_port=port,
                inbrowser=browser,
                share=False,
                max_file_size=UPLOAD,
                theme=gr.themes.Default(font=FONT, font_mono=FONT_MONO),
                ssr_mode=False,
            )
        except OSError as error:
            raise InputError(f"The page cannot be served: {error}") from None
        finally:
            tempfile.tempdir = None


def _options(entries: dict[str, Entry], verb: str, kind: str) -> list[tuple[str, str]]:
    return [
        (f"{entry.name}: {entry.summary}", address)
        for address, entry in entries.items()
        if verb in ("any", *entry.verbs) and kind in ("any", entry.output.kind)
    ]


def _narrowed(entries: dict[str, Entry], verb: str, kind: str, chosen: str) -> gr.Dropdown:
    """The menu with models that do this and give that; the chosen one stays if it is among them."""
    options = _options(entries, verb, kind)
    addresses = [address for _, address in options]
    return gr.Dropdown(options, value=chosen if chosen in addresses else next(iter(addresses), None))


def _model_page(entry: Entry) -> None:
    """Everything about one model."""
    if not commercial(entry):
        gr.Markdown(f"**No commercial use.** Licence of the weights: {entry.license} ({terms(entry.license).duties}).")
    with gr.Tabs(selected=entry.verbs[0]):
        if "generate" in entry.verbs:
            with gr.Tab("Generate", id="generate"):
                _generate_tab(entry)
            if entry.output.kind == "image":
                with gr.Tab("Morph", id="morph"):
                    _morph_tab(entry)
        if "reconstruct" in entry.verbs:
            with gr.Tab("Reconstruct", id="reconstruct"):
                _reconstruct_tab(entry)
        with gr.Tab("Card", id="card"):
            gr.Markdown(_card(entry))


def _generate_tab(entry: Entry) -> None:
    conditions = list(entry.conditions)
    with gr.Row():
        with gr.Column():
            number = gr.Slider(1, MOST, 16, step=1, label="Number")
            with gr.Row():
                seed = gr.Number(0, label="Seed", precision=0, minimum=0)
                again = gr.Button("Another seed")
            precision = _precision()
            controls = [control(condition) for condition in conditions]
            button = gr.Button("Generate", variant="primary")
        with gr.Column():
            outputs = _outputs(entry)
    again.click(lambda: secrets.randbits(32), None, seed, show_progress="hidden")
    run = _safely(partial(_generate, entry, conditions))
    gr.on([button.click, seed.submit], run, [number, seed, precision, *controls], outputs)


def _generate(
    entry: Entry, conditions: Sequence[Condition], n: int, seed: int | None, precision: str, *values: Any
) -> tuple[Any, ...]:
    if seed is None:
        raise InputError("The seed is empty: give a whole number from 0.")
    keywords = given(conditions, values)
    samples = loaded(entry.address, precision).generate(int(n), seed=int(seed), progress=True, **keywords)
    ending = _ending(samples)
    python = f'zoo.load("{entry.address}").generate({_call(int(n), seed=int(seed), **keywords)}).save("out{ending}")'
    command = f"zoo generate {entry.address} -n {int(n)} --seed {int(seed)}{_options_of(keywords)} -o out{ending}"
    return _delivered(entry, samples, python, command)


def _morph_tab(entry: Entry) -> None:
    conditions = list(entry.conditions)
    with gr.Row():
        with gr.Column():
            first, second = (
                gr.Number(value, label=label, precision=0) for value, label in ((0, "From seed"), (1, "To seed"))
            )
            place = gr.Slider(0, 1, 0.5, step=0.05, label="Place between them")
            controls = [control(condition) for condition in conditions]
        shown = gr.Image(label="Between the seeds", type="filepath", format="png", interactive=False, height=480)
    run = _safely(partial(_morph, entry, conditions))
    inputs = [first, second, place, *controls]
    gr.on([place.release, first.submit, second.submit], run, inputs, shown, show_progress="minimal")


def _morph(entry: Entry, conditions: Sequence[Condition], first: int, second: int, place: float, *values: Any) -> str:
    model = loaded(entry.address, "exact")
    steps = 20
    way = interpolate(model, seeds=[int(first), int(second)], steps=steps, **given(conditions, values))
    return str(_written(way[round(place * steps)]))


def _reconstruct_tab(entry: Entry) -> None:
    assert entry.input is not None
    masks = [c for c in entry.conditions if c.kind == "mask" and c.aligned and entry.input.kind == "image"]
    conditions = [c for c in entry.conditions if c not in masks[:1]]
    with gr.Row():
        with gr.Column():
            taken = source(entry.input, bool(masks))
            if not masks and (examples := _examples(entry)):
                gr.Examples(examples, taken, label="Examples")
            films = entry.input.kind == entry.output.kind == "image" and not masks
            film = gr.Video(label="Or a video", sources=["upload"], visible=films)
            precision = _precision()
            controls = [control(condition) for condition in conditions]
            button = gr.Button("Reconstruct", variant="primary")
        with gr.Column():
            outputs = _outputs(entry)
            moving = gr.Video(label="Video", visible=False)
    run = _safely(partial(_reconstruct, entry, masks[0] if masks else None, conditions))
    button.click(run, [taken, film, precision, *controls], [*outputs, moving])


def _reconstruct(
    entry: Entry,
    mask: Condition | None,
    conditions: Sequence[Condition],
    taken: Any,
    film: Any,
    precision: str,
    *values: Any,
) -> tuple[Any, ...]:
    keywords = given(conditions, values)
    shown = dict(keywords)
    if mask:
        taken, drawn = painted(taken)
        if drawn is not None:
            keywords[mask.name], shown[mask.name] = drawn, f"{mask.name}.png"
    if film is None and taken is None:
        raise InputError("There is no input yet: upload one, or click an example.")
    model = loaded(entry.address, precision)
    result = model.reconstruct(zoo.Video.of(film) if film else taken, progress=True, **keywords)
    ending = _ending(result)
    name = f"input{Path(film or taken).suffix}" if film or isinstance(taken, str) else "input.png"
    python = f'zoo.load("{entry.address}").reconstruct({_call(name, **shown)}).save("out{ending}")'
    command = f"zoo reconstruct {entry.address} {name}{_options_of(shown)} -o out{ending}"
    picture, *rest = _delivered(entry, result, python, command)
    if film:
        return None, *rest, gr.Video(picture, visible=True)
    return picture, *rest, gr.Video(visible=False)


def _precision() -> gr.Radio:
    return gr.Radio(
        ["exact", "fast"], value="exact", label="Precision", info="fast: bfloat16 where the hardware has it"
    )


def _outputs(entry: Entry) -> list[gr.components.Component]:
    """What a result is shown in, its file, and the code that makes it."""
    match entry.output.kind:
        case "image":
            shown: gr.components.Component = gr.Image(
                label="Result", type="filepath", format="png", interactive=False, height=480
            )
        case "audio":
            shown = gr.Audio(label="Result", type="filepath", interactive=False)
        case "video":
            shown = gr.Video(label="Result", interactive=False)
        case _:
            shown = gr.Image(label="Result", type="filepath", interactive=False)
    file = gr.DownloadButton("Download")
    python = gr.Code(label="The same in Python", language="python", interactive=False, lines=1)
    command = gr.Code(label="The same as a command", language="shell", interactive=False, lines=1)
    return [shown, file, python, command]


def _delivered(entry: Entry, samples: Samples, python: str, command: str) -> tuple[Any, ...]:
    """The values of :func:`_outputs`."""
    path = _written(samples)
    shown = path
    if entry.output.kind == "molecules":
        shown = path.with_suffix(".png")
        samples.save(shown)
    return str(shown), str(path), f"import zoo\n\n{python}", command


def _written(samples: Samples) -> Path:
    """Samples in a file of their own in the temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="zoo-"))
    path = folder / f"{samples.noun}{_ending(samples)}"
    samples.save(path)
    return path


def _ending(samples: Samples) -> str:
    """Of the file of a result: a video's is what browsers play."""
    return ".mp4" if samples.kind == "video" else samples.ending(None)


def _safely(work: Callable[..., Any]) -> Callable[..., Any]:
    """The work with its errors and warnings as sentences on the page, and its bars there, too."""
    tracked = gr.Progress(track_tqdm=True)

    def run(progress: gr.Progress = tracked, *values: Any) -> Any:  # gradio fills in what has such a default
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always", UserWarning)
                result = work(*values)
            for warning in said:
                gr.Warning(str(warning.message))
            return result
        except (ZooError, OSError, ValueError, TypeError, MemoryError) as error:
            raise gr.Error(str(error) or "There is not enough memory.", print_exception=False) from None

    return run


def _examples(entry: Entry) -> list[str]:
    """Files that a checkout has for a checkpoint."""
    folder = entry.folder.parent / "examples" / entry.example
    if not entry.example or not folder.is_dir() or entry.input is None:
        return []
    return [str(path) for _, path in named_inputs(entry.input.kind, folder)][:8]


def _card(entry: Entry) -> str:
    """What is known about a model, in Markdown."""
    parts = [
        entry.summary,
        f"Paper: {entry.paper}" if entry.paper else "",
        publish.limits(entry),
        publish.figures(entry) if entry.metrics else "No figures are on record.",
        publish.training(entry),
        publish.licence(entry),
    ]
    return "\n\n".join(filter(None, parts))


def _call(*values: Any, **keywords: Any) -> str:
    return ", ".join([*map(repr, values), *(f"{name}={value!r}" for name, value in keywords.items())])


def _options_of(conditions: dict[str, Any]) -> str:
    return "".join(f" -c {name}={shlex.quote(str(value))}" for name, value in conditions.items())
