"""A zoo of autoencoders and GANs with trained weights.

>>> import zoo
>>> zoo.load("dcgan").generate(16, seed=7).save("grid.png")
>>> zoo.load("conv-ae").reconstruct("photo.jpg").save("copy.png")
>>> zoo.list_models("*gan*", verb="generate")
>>> zoo.train("pix2pix", data=["A", "B"], out="runs/mine")
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo import hooks
from zoo.errors import ZooError
from zoo.version import __version__

if TYPE_CHECKING:
    from zoo.loading import load
    from zoo.media.audio import Audio
    from zoo.media.images import Images
    from zoo.media.molecules import Molecules
    from zoo.media.video import Video
    from zoo.registry.facts import Entry
    from zoo.registry.index import info, list_models, register
    from zoo.training.launch import train

__all__ = [
    "Audio",
    "Entry",
    "Images",
    "Molecules",
    "Video",
    "ZooError",
    "__version__",
    "info",
    "list_models",
    "load",
    "register",
    "train",
]
# Imported when it is first asked for: `import zoo` and `zoo --help` must start fast.
_LAZY = {
    "Audio": "zoo.media.audio",
    "Entry": "zoo.registry.facts",
    "Images": "zoo.media.images",
    "Molecules": "zoo.media.molecules",
    "Video": "zoo.media.video",
    "info": "zoo.registry.index",
    "list_models": "zoo.registry.index",
    "load": "zoo.loading",
    "register": "zoo.registry.index",
    "train": "zoo.training.launch",
}

hooks.pretrained = partial(import_module, "zoo.authoring.pretrained")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
