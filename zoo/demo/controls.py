"""What a condition looks like on the page, and what the component there gives a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from zoo.inference.conditions import space
from zoo.registry.facts import AS_IT_IS, Condition, Format


def control(condition: Condition) -> gr.components.Component:
    """A menu for a choice, a slider or field for a number, an upload for a file, a field for the rest."""
    label, info = condition.name.replace("_", " "), condition.help or None
    if condition.count and condition.kind in ("image", "audio", "video"):
        return gr.File(label=label, file_count="multiple", type="filepath")
    match condition.kind:
        case "choice":
            choices = [str(choice) for choice in condition.choices]
            choices = [AS_IT_IS] * condition.optional + choices
            first = choices[0] if condition.default is None else str(condition.default)
            return gr.Dropdown(choices, value=first, label=label, info=info)
        case "integer" | "number":
            step = 1 if condition.kind == "integer" else None
            if condition.minimum is None or condition.maximum is None:
                return gr.Number(condition.default, label=label, info=info, precision=0 if step else None)
            value = condition.minimum if condition.default is None else condition.default
            return gr.Slider(condition.minimum, condition.maximum, value, step=step, label=label, info=info)
        case "image" | "mask":
            return gr.Image(label=label, type="filepath", image_mode=None, sources=["upload", "clipboard"])
        case "audio":
            return gr.Audio(label=label, type="filepath")
        case "video":
            return gr.Video(label=label)
    return gr.Textbox(condition.default or "", label=label, info=info, placeholder=next(iter(condition.examples), None))


def given(conditions: Sequence[Condition], values: Sequence[Any]) -> dict[str, Any]:
    """The conditions that a user has set, as keywords of a verb.

    Args:
        conditions: those on the page.
        values: what their components hold, in the same order.

    Raises:
        InputError: for a text that cannot be read.
    """
    keywords: dict[str, Any] = {}
    for condition, value in zip(conditions, values, strict=True):
        if value is None or value in ("", AS_IT_IS) or value == []:
            continue
        if condition.kind == "choice":
            value = condition.check(value)
        elif isinstance(value, str) and condition.kind not in ("image", "mask", "audio", "video"):
            value = space(condition).parse(value)
        keywords[condition.name] = value
    return keywords


def source(takes: Format, paints: bool) -> gr.components.Component:
    """Where an input of a model comes from: a file or the clipboard, a recorder, or an image to paint a mask on."""
    if takes.kind == "audio":
        return gr.Audio(label="Sound", type="filepath", sources=["upload", "microphone"])
    if takes.kind == "video":
        return gr.Video(label="Video", sources=["upload"])
    if takes.kind != "image":
        return gr.File(label=takes.kind.capitalize(), type="filepath")
    if paints:
        brush = gr.Brush(colors=["#ffffff"], color_mode="fixed", default_size=24)
        tools: list[Any] = ["upload", "clipboard"]
        return gr.ImageEditor(
            label="Image; paint what is to be filled", type="pil", image_mode="RGBA", brush=brush, sources=tools
        )
    return gr.Image(label="Image", type="filepath", image_mode=None, sources=["upload", "clipboard"])


def painted(value: Any) -> tuple[Any, Any]:
    """The image of an editor and the mask that was painted on it, white where there is paint; None for none."""
    if not value or value.get("background") is None:
        return None, None
    from PIL import Image, ImageChops

    mask = Image.new("L", value["background"].size)
    for layer in value["layers"]:
        mask = ImageChops.lighter(mask, layer.getchannel("A").point(lambda alpha: 255 * (alpha > 0)))
    return value["background"], mask if mask.getbbox() else None
