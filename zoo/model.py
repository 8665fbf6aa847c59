"""The contract of a model: what a contributor writes, and the two verbs made of it.

Networks take and give float tensors ``(N, C, H, W)`` in [-1, 1]; users take and give
:class:`~zoo.images.Images` in [0, 1]. A contributor writes tensors in, tensors out, in one class:

- :class:`Generator`: ``latent_shape`` and ``decode(z)``;
- :class:`Autoencoder`: ``encode(x)`` and ``decode(z)``;
- for a network from picture to picture, :class:`Model` with ``forward(x)``.

Conditions that the registry declares arrive as keywords of ``decode`` or ``forward``, one value for each
sample: a choice as the tensor ``(N,)`` of its index, a number as a float tensor ``(N,)``, a picture as a
tensor ``(N, C, H, W)`` in [-1, 1], a text as a list.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import InputError
from zoo.fast import Quick, key_of, quicken
from zoo.memory import free_memory
from zoo.reading import Array
from zoo.verbs import Verbs


class Model(nn.Module, Verbs):
    """What :func:`zoo.load` returns: a network with its facts and its verbs.

    Attributes:
        precision: how the verbs compute, as :func:`zoo.load` takes it; ``decode`` and ``forward`` are always plain.
    """

    precision: str = "exact"
    _method = "forward"

    @property
    def quick(self) -> Quick:
        """How the verbs compute: made when they are first used, and again when the weights are others."""
        quick: Quick | None = self.__dict__.get("_quick")
        if quick is None or quick.key != (self.precision, *key_of(self)):
            builder = self.entry.builder if self.entry else ""
            quick = quicken(self, self._method, builder, self.precision, self.example)
            self.__dict__["_quick"] = quick
        return quick

    @torch.inference_mode()
    def _answer(self, x: Array, conditions: Mapping[str, Any]) -> Array:
        given = self.tensor(x), {name: self.tensor(value) for name, value in conditions.items()}
        if self.training or (run := self.quick.run) is None:
            made: Tensor = getattr(self, self._method)(given[0], **given[1])
        else:
            made = run(given)
        answer: Array = made.float().cpu().numpy()
        return answer

    def _peak(self, shape: tuple[int, ...], conditions: Mapping[str, Any]) -> int | None:
        from zoo.loading import build
        from zoo.peak import OVERHEAD, peak

        parameter = next(self.parameters(), torch.empty(0))
        try:
            assert self.entry
            network = build(self.entry).eval()
            found = peak(getattr(network, self._method), shape, conditions)
        except Exception:  # a network that cannot be run without computing, or is no registered one
            return None
        return int(found * parameter.dtype.itemsize / 4 * (OVERHEAD if parameter.device.type == "cpu" else 1))

    def _free_memory(self) -> int:
        device = next(self.parameters(), torch.empty(0)).device
        if device.type != "cuda":
            return free_memory()
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept

    def tensor(self, values: Any) -> Any:
        """An array as the network takes it: on its device, and what are no numbers of their own in its precision."""
        if not isinstance(values, np.ndarray):
            return values
        parameter = next(self.parameters(), torch.empty(0))
        made = torch.from_numpy(values)
        return made.to(parameter.device, parameter.dtype if made.ndim > 1 else made.dtype)

    def __getstate__(self) -> dict[str, Any]:
        """All but the rewritten copy, which is made again."""
        return {key: value for key, value in self.__dict__.items() if key != "_quick"}

    def example(self, n: int = 2) -> tuple[Tensor, dict[str, Tensor]]:
        """Random input for ``n`` samples, and conditions: pictures of another size for another ``n``, if any is taken.

        Raises:
            InputError: for a condition that is no choice.
        """
        assert self.entry
        random = torch.Generator().manual_seed(n)
        x = self._example(n, random)
        conditions = {}
        for condition in self.entry.conditions:
            if condition.kind != "choice":
                raise InputError(f"{self._name} has a condition that is no choice: {condition.name}.")
            conditions[condition.name] = torch.randint(len(condition.choices), (n,), generator=random)
        return x, conditions

    def _example(self, n: int, random: torch.Generator) -> Tensor:
        given = self._input
        side = -(-16 // given.multiple) * given.multiple
        return torch.rand(n, given.channels or 3, *(given.size or (side * n, side * (n + 1))), generator=random) * 2 - 1

    @property
    def _needed(self) -> set[str]:
        """Keywords without which the network cannot be called."""
        method = getattr(self, "decode", self.forward)
        parameters = inspect.signature(method).parameters.values()
        return {p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD}


class Generator(Model):
    """A model that makes samples from latents.

    A subclass sets ``latent_shape`` and writes ``decode``.

    Attributes:
        latent_shape: shape of one latent.
        decode: latents ``(N, *latent_shape)``, and conditions as keywords, to pictures ``(N, C, H, W)`` in [-1, 1].
    """

    latent_shape: tuple[int, ...]
    decode: Callable[..., Tensor]  # not a method here: a subclass names its conditions
    _method = "decode"

    def _example(self, n: int, random: torch.Generator) -> Tensor:
        return torch.randn(n, *self.latent_shape, generator=random)

    def forward(self, z: Tensor, **conditions: Any) -> Tensor:
        """The same as :meth:`decode`."""
        return self.decode(z, **conditions)

    def latents(self, n: int, seed: int, first: int = 0) -> Tensor:
        """Latents of the samples ``first`` to ``first + n - 1`` of a seed: ``(n, *latent_shape)``, float32 on the CPU.

        Every sample has a random stream of its own, so that a sample is the same on every device and whatever
        else is made along with it.
        """
        return torch.from_numpy(
            np.stack([self.draw(np.random.default_rng((seed, i))) for i in range(first, first + n)])
        )


class Autoencoder(Model):
    """A model that goes through a code. A subclass writes ``encode`` and ``decode``.

    Attributes:
        encode: pictures ``(N, C, H, W)`` in [-1, 1] to codes ``(N, ...)``.
        decode: codes ``(N, ...)``, and conditions as keywords, to pictures ``(N, C, H, W)`` in [-1, 1].
    """

    encode: Callable[[Tensor], Tensor]
    decode: Callable[..., Tensor]

    def forward(self, x: Tensor, **conditions: Any) -> Tensor:
        """Pictures through the code and back, both ``(N, C, H, W)`` in [-1, 1]."""
        return self.decode(self.encode(x), **conditions)
