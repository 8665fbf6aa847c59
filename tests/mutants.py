"""Models that keep the contract, and for each of its rules one that breaks that rule and no other.

Paper: https://arxiv.org/abs/0000.00001
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.media.images import Images
from zoo.model import Autoencoder, Generator, Model

PAPER = "https://arxiv.org/abs/0000.00001"


class Draws(Generator):
    """A class-conditional generator.

    Args:
        latent: numbers of a latent.
    """

    def __init__(self, latent: int = 4) -> None:
        super().__init__()
        self.latent_shape = (latent,)
        self.linear = nn.Linear(latent, 64)

    def decode(self, z: Tensor, digit: Tensor) -> Tensor:
        """Latents ``(N, latent)`` and digits ``(N,)`` to images ``(N, 1, 8, 8)``."""
        return torch.tanh(self.linear(z) + digit.to(z.dtype)[:, None] / 10).unflatten(1, (1, 8, 8))


class Paints(Model):
    """Another image, of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, padding_mode="replicate")
        self.receptive_radius = 1

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` to as many."""
        return torch.tanh(self.conv(x))


class Copies(Autoencoder):
    """An image through eight numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(64, 8)
        self.decoder = nn.Linear(8, 64)

    def encode(self, x: Tensor) -> Tensor:
        """Images ``(N, 1, 8, 8)`` to codes ``(N, 8)``."""
        return self.encoder(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        """Codes ``(N, 8)`` to images ``(N, 1, 8, 8)``."""
        return torch.tanh(self.decoder(z)).unflatten(1, (1, 8, 8))


class CopiesAndDraws(Copies):
    """An image through eight numbers, which are drawn, too."""

    latent_shape = (8,)

    def decode(self, z: Tensor, digit: Tensor) -> Tensor:
        """Codes ``(N, 8)`` and digits ``(N,)`` to images ``(N, 1, 8, 8)``."""
        return torch.tanh(self.decoder(z) + digit.to(z.dtype)[:, None] / 10).unflatten(1, (1, 8, 8))


class Fills(Model):
    """Parts of an image from others, with conditions of several kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 3, 3, padding=1, padding_mode="replicate")
        self.receptive_radius = 1

    def forward(self, x: Tensor, mask: Tensor, examples: Tensor, strength: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)``, masks ``(N, 1, H, W)``, examples ``(N, K, 3, 4, 4)`` and numbers to as many."""
        filled = torch.tanh(self.conv(torch.cat([x * (1 - mask), mask], 1)) + examples.mean((1, 3, 4))[..., None, None])
        part = mask * strength.to(x.dtype)[:, None, None, None]
        return x * (1 - part) + filled * part


GOOD: tuple[type[Model], ...] = (Draws, Paints, Copies, CopiesAndDraws, Fills)
# What the registry says of the conditions of Fills.
FILLS = {
    "mask": {"kind": "mask", "aligned": True, "required": True},
    "examples": {"kind": "image", "size": [4, 4], "count": [1, 3], "required": True},
    "strength": {"kind": "number", "minimum": 0, "maximum": 1, "default": 0.5},
}


class Verbs(Draws):
    """Reconstructs without saying so."""

    def reconstruct(self, inputs: Any, **options: Any) -> Images:
        return Images.of(inputs)


class Tasks(Copies):
    """Has an encoder that the registry does not know."""


class License(Draws):
    """Under a licence that is none."""


class Paper(Draws):
    """The network of a paper that is not named."""


class Docstrings(Paints):
    """A network that does not say what goes in."""

    def forward(self, x: Tensor) -> Tensor:
        """Another image."""
        return super().forward(x)


class Keywords(Paints):
    """Takes what the registry does not know."""

    def forward(self, x: Tensor, strength: float = 1.0) -> Tensor:
        """Images ``(N, 3, H, W)`` to as many."""
        return super().forward(x)


class Recorded(Draws):
    """Weights that could be any."""


class VerbsRun(Draws):
    """Falls over."""

    def decode(self, z: Tensor, digit: Tensor) -> Tensor:
        """Latents ``(N, latent)`` and digits ``(N,)`` to images ``(N, 1, 8, 8)``."""
        return super().decode(z[:, :1], digit)


class Output(Draws):
    """Nine rows where eight were promised."""

    def decode(self, z: Tensor, digit: Tensor) -> Tensor:
        """Latents ``(N, latent)`` and digits ``(N,)`` to images ``(N, 1, 9, 8)``."""
        return F.pad(super().decode(z, digit), (0, 0, 0, 1))


class ValueRange(Draws):
    """Pixels from -255 to 255."""

    def decode(self, z: Tensor, digit: Tensor) -> Tensor:
        """Latents ``(N, latent)`` and digits ``(N,)`` to images ``(N, 1, 8, 8)``."""
        return 255 * super().decode(z, digit)


class InputsMatter(Paints):
    """Always the same image."""

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` to as many."""
        return super().forward(torch.zeros_like(x))


class InputsKept(Paints):
    """Scribbles on what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` to as many."""
        return super().forward(x.mul_(0.5))


class AnySize(Paints):
    """At most 32 pixels wide."""

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` to as many."""
        return super().forward(x)[..., :32]


class Tiles(Paints):
    """Sees further than it says."""

    def __init__(self) -> None:
        super().__init__()
        self.receptive_radius = 0


class Codes(Copies):
    """A code as large as the image."""

    def encode(self, x: Tensor) -> Tensor:
        """Images ``(N, 1, 8, 8)`` to codes ``(N, 64)``."""
        return self.encoder(x.flatten(1)).repeat(1, 8)

    def decode(self, z: Tensor) -> Tensor:
        """Codes ``(N, 64)`` to images ``(N, 1, 8, 8)``."""
        return super().decode(z[:, :8])


class Seeds(Draws):
    """The seed does not matter."""

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return super().draw(np.random.default_rng(0))


class Batches(Draws):
    """Batch norm that was forgotten."""

    def decode(self, z: Tensor, digit: Tensor) -> Tensor:
        """Latents ``(N, latent)`` and digits ``(N,)`` to images ``(N, 1, 8, 8)``."""
        return super().decode(z - z.mean(0) / 2, digit)


class RandomState(Draws):
    """Noise from outside."""

    def decode(self, z: Tensor, digit: Tensor) -> Tensor:
        """Latents ``(N, latent)`` and digits ``(N,)`` to images ``(N, 1, 8, 8)``."""
        return super().decode(z, digit) + 0 * torch.randn(1, dtype=z.dtype)


class EvalMode(Draws):
    """Goes back to training."""

    def decode(self, z: Tensor, digit: Tensor) -> Tensor:
        """Latents ``(N, latent)`` and digits ``(N,)`` to images ``(N, 1, 8, 8)``."""
        self.linear.train()
        return super().decode(z, digit)


class Strict(Draws):
    """A parameter that no file has."""

    def __init__(self, latent: int = 4) -> None:
        super().__init__(latent)
        self.more = nn.ParameterList([nn.Parameter(torch.zeros(1, device="cpu"))])

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return {key: value for key, value in super().state_dict(*args, **kwargs).items() if key != "more.0"}

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        return super().load_state_dict(state_dict, False, assign)


class Weights(Draws):
    """Every instance is a little different."""

    made = 0

    def __init__(self, latent: int = 4) -> None:
        super().__init__(latent)
        Weights.made += 1
        self.shift = Weights.made / 1000

    def decode(self, z: Tensor, digit: Tensor) -> Tensor:
        """Latents ``(N, latent)`` and digits ``(N,)`` to images ``(N, 1, 8, 8)``."""
        return super().decode(z + self.shift, digit)


class Edits(Draws):
    """Remembers its first weights."""

    kept: tuple[Tensor, Tensor] | None = None

    def decode(self, z: Tensor, digit: Tensor) -> Tensor:
        """Latents ``(N, latent)`` and digits ``(N,)`` to images ``(N, 1, 8, 8)``."""
        if self.kept is None:
            self.kept = self.linear.weight.detach().clone(), self.linear.bias.detach().clone()
        shift = digit.to(z.dtype)[:, None] / 10
        return torch.tanh(F.linear(z, *self.kept) + shift).unflatten(1, (1, 8, 8))


class Precision(Draws):
    """Knows float32 only."""

    def decode(self, z: Tensor, digit: Tensor) -> Tensor:
        """Latents ``(N, latent)`` and digits ``(N,)`` to images ``(N, 1, 8, 8)``."""
        return super().decode(z + torch.zeros(1), digit)


class Pickles(Draws):
    """Holds a function without a name."""

    def __init__(self, latent: int = 4) -> None:
        super().__init__(latent)
        self.activation = lambda x: x


class Memory(Draws):
    """Forgets nothing."""

    kept: tuple[Tensor, ...] = ()

    def decode(self, z: Tensor, digit: Tensor) -> Tensor:
        """Latents ``(N, latent)`` and digits ``(N,)`` to images ``(N, 1, 8, 8)``."""
        self.kept += (z,)
        return super().decode(z, digit)


class WrongConditions(Draws):
    """Takes whatever comes."""

    def prepare_conditions(self, given: Any, n: int, call: str) -> dict[str, Any]:
        digit = given.get("digit", 0)
        return super().prepare_conditions({"digit": digit if isinstance(digit, (int, list)) else 0}, n, call)


class ConditionsMatter(Draws):
    """Does not look at its condition."""

    def decode(self, z: Tensor, digit: Tensor) -> Tensor:
        """Latents ``(N, latent)`` and digits ``(N,)`` to images ``(N, 1, 8, 8)``."""
        return super().decode(z, 0 * digit)


def name_of(cls: type) -> str:
    """``AnySize`` to ``any-size``."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in cls.__name__).strip("-")


def stanza(classes: Iterable[type[Model]], folder: Path) -> dict[str, Any]:
    """What stands in the registry about these models, whose weights lie in the folder."""
    made = {}
    for cls in classes:
        image = {"kind": "image", "channels": 1, "size": [8, 8]}
        facts: dict[str, Any] = {"license": "MIT", "output": image}
        model: dict[str, Any] = {
            "builder": f"{cls.__module__}:{cls.__name__}",
            "summary": "A toy.",
            "verbs": ["generate"],
        }
        if issubclass(cls, Generator | CopiesAndDraws):
            model["conditions"] = {"digit": {"choices": list(range(10)), "default": 0}}
        if issubclass(cls, Fills):
            model["conditions"] = FILLS
        if not issubclass(cls, Generator):
            model["verbs"] = ["generate", "reconstruct"] if issubclass(cls, CopiesAndDraws) else ["reconstruct"]
            facts["output"] = image if issubclass(cls, Autoencoder) else {"kind": "image", "channels": 3}
            facts["input"] = facts["output"]
        if issubclass(cls, Autoencoder) and cls.__name__ != "Tasks":
            model["encoder"] = True
        model["paper"] = PAPER if cls.__name__ != "Paper" else "https://arxiv.org/abs/0000.00002"
        if cls.__name__ != "Recorded":
            content = (folder / f"{name_of(cls)}.toy.safetensors").read_bytes()
            facts |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        if cls.__name__ == "License":
            facts["license"] = "do what you like"
        made[name_of(cls)] = {**model, "checkpoints": {"toy": facts}}
    return made
