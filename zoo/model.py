"""The contract of a model: what a contributor writes, and the two verbs made of it.

Networks take and give float tensors ``(N, C, H, W)`` in [-1, 1]; users take and give
:class:`~zoo.media.images.Images` in [0, 1]. A contributor writes tensors in, tensors out, in one class:

- :class:`Generator`: ``latent_shape`` and ``decode(z)``;
- :class:`Autoencoder`: ``encode(x)`` and ``decode(z)``;
- for a network from image to image, :class:`Model` with ``forward(x)``.

Conditions that the registry declares arrive as keywords of ``decode`` or ``forward``, one value for each
sample: a choice as the tensor ``(N,)`` of its index, a number as a float tensor ``(N,)``, an image as a
tensor ``(N, C, H, W)`` in [-1, 1], a text as a list.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo import hooks
from zoo.arrays import Array
from zoo.errors import InputError
from zoo.inference.verbs import Verbs
from zoo.memory import free_memory

if TYPE_CHECKING:
    from typing_extensions import Self


class Rewrites(NamedTuple):
    """The rewrites that make a network faster, in this order: names of :data:`zoo.backends.rewrites.STEPS`, and "pack".

    Attributes:
        exact: those for float32.
        fast: those for bfloat16.
    """

    exact: tuple[str, ...] = ()
    fast: tuple[str, ...] = ()


class Backend(Protocol):
    """What computes the verbs of a model; see :class:`zoo.backends.torch_backend.TorchBackend`."""

    def run(self, model: Model, call: str, x: Array, conditions: Mapping[str, Any]) -> Array:
        """The result of ``decode`` or ``forward``."""
        ...

    def peak(self, model: Model, call: str, shape: tuple[int, ...], conditions: Mapping[str, Any]) -> int | None:
        """Bytes of memory that one input takes."""
        ...

    def forget(self) -> None:
        """Drop what was derived from the weights."""
        ...


class Model(nn.Module, Verbs):
    """What :func:`zoo.load` returns: a network with its facts and its verbs.

    Attributes:
        backend: what computes the verbs of a loaded model; None for the modules as they are.
        precision: how the verbs compute, as :func:`zoo.load` takes it; ``decode`` and ``forward`` are always plain, and
            so are the verbs of a network in training mode, with hooks, or changed since they were first used.
        rewrites: the rewrites that were measured to make the network faster on a CPU.
        frozen: whether no parameter asks for gradients, as after :func:`zoo.load`, until ``train()`` is first called.
        arguments: what it was built with, in order and by keyword.
    """

    rewrites: ClassVar[Rewrites] = Rewrites()
    backend: Backend | None = None
    precision: str = "exact"
    frozen: bool = False
    arguments: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    def __new__(cls, *args: Any, **keywords: Any) -> Self:
        """Remember what the network is built with, for ``config.json``."""
        model = super().__new__(cls)
        model.__dict__["arguments"] = args, keywords  # nn.Module sets attributes only after its own __init__
        return model

    def _run(self, call: str, x: Array, conditions: Mapping[str, Any]) -> Array:
        if self.backend is None:
            return self.run_plain(call, x, conditions)
        return self.backend.run(self, call, x, conditions)

    @torch.inference_mode()
    def run_plain(self, call: str, x: Array, conditions: Mapping[str, Any]) -> Array:
        """The result of ``decode`` or ``forward`` for an array and conditions, float32; the modules run as they are."""
        keywords = {name: self.tensor(value) for name, value in conditions.items()}
        result: Array = getattr(self, call)(self.tensor(x), **keywords).float().cpu().numpy()
        return result

    def train(self, mode: bool = True) -> Self:
        """As in torch; the first time, the parameters of a loaded model become trainable.

        Who has made some of them trainable before, as the head alone, has chosen: then the others stay frozen. So does
        what is frozen after the first ``train()``.
        """
        if mode and self.frozen:
            self.frozen = False
            if not any(parameter.requires_grad for parameter in self.parameters()):
                self.requires_grad_(True)
        return super().train(mode)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """As in torch; optimised copies are made anew."""
        if self.backend:
            self.backend.forget()
        return super().load_state_dict(*args, **kwargs)

    def _apply(self, *args: Any, **kwargs: Any) -> Any:  # to(), half(), cuda() and the like
        if self.backend:
            self.backend.forget()
        return super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]

    def _peak(self, call: str, shape: tuple[int, ...], conditions: Mapping[str, Any]) -> int | None:
        return self.backend.peak(self, call, shape, conditions) if self.backend else None

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

    def example(self, call: str, n: int = 2) -> tuple[Tensor, dict[str, Tensor]]:
        """Random input of ``decode`` or ``forward`` for ``n`` samples, and conditions.

        Images are of another size for another ``n``, if the network takes any.

        Raises:
            InputError: for a condition that is no choice.
        """
        random = torch.Generator().manual_seed(n)
        return self._example(call, n, random), self._choices(n, random)

    def probes(self, call: str) -> list[tuple[Tensor, dict[str, Tensor]]]:
        """Batches of the kinds of input that occur, by which two ways to compute are compared; as :meth:`example`."""
        random = torch.Generator().manual_seed(0)
        return [(x, self._choices(len(x), random)) for x in self._kinds(call, random)]

    def _choices(self, n: int, random: torch.Generator) -> dict[str, Tensor]:
        conditions = {}
        for condition in self.entry.conditions if self.entry else ():
            if condition.kind != "choice":
                raise InputError(f"{self._name} has a condition that is no choice: {condition.name}.")
            conditions[condition.name] = torch.randint(len(condition.choices), (n,), generator=random)
        return conditions

    @property
    def _least_side(self) -> int:
        """A side that the network takes, if it takes any size: from 16 pixels on."""
        return -(-16 // self._input.multiple) * self._input.multiple

    def _example(self, call: str, n: int, random: torch.Generator) -> Tensor:
        if call == "decode":
            assert self.latent_shape is not None
            return torch.randn(n, *self.latent_shape, generator=random)
        size = self._input.size or (self._least_side * n, self._least_side * (n + 1))
        return torch.rand(n, self._input.channels or 3, *size, generator=random) * 2 - 1

    def _kinds(self, call: str, random: torch.Generator) -> list[Tensor]:
        """Inputs of the kinds that occur.

        Latents: four, one between two of them, the mean of all, and one three times as far as usual. Images: noise, a
        texture, edges, a gradient, low contrast, black, grey and white; the first two larger, too.
        """
        if call == "decode":
            z = self._example(call, 5, random)
            return [torch.cat([z[:4], (z[:1] + z[1:2]) / 2, torch.zeros_like(z[:1]), 3 * z[4:]])]
        size = self._input.size
        if size:
            return [self._images(*size, random)]
        return [self._images(side, side, random)[:n] for side, n in ((self._least_side, 8), (3 * self._least_side, 2))]

    def _images(self, height: int, width: int, random: torch.Generator) -> Tensor:
        noise = torch.rand(1, self._input.channels or 3, height, width, generator=random) * 2 - 1
        y = torch.linspace(-1, 1, height)[:, None].expand(height, width)
        x = torch.linspace(-1, 1, width).expand(height, width)
        coarse = [F.interpolate(noise[..., ::i, ::i], (height, width), mode="bilinear") for i in (1, 2, 4, 8)]
        texture = sum(coarse, torch.zeros_like(noise)) / 3
        edges = (1 - 2 * ((3 * x > y) ^ (y > 0.3)).float()).expand_as(noise)
        gradient = ((x + y) / 2).expand_as(noise)
        flat = [torch.full_like(noise, value) for value in (-1, 0, 1)]
        return torch.cat([noise, texture, edges, gradient, 0.02 * coarse[2] - 0.3, *flat]).clamp(-1, 1)

    def required_conditions(self, call: str) -> set[str]:
        """Keywords without which ``decode`` or ``forward`` cannot be called."""
        parameters = list(inspect.signature(getattr(self, call)).parameters.values())
        if any(p.kind is p.VAR_KEYWORD for p in parameters) and hasattr(self, "decode"):  # which are handed on to it
            parameters = list(inspect.signature(getattr(self, "decode")).parameters.values())  # noqa: B009 - not declared
        return {p.name for p in parameters[1:] if p.default is p.empty and p.kind is not p.VAR_KEYWORD}

    def latents(self, n: int, seed: int, first: int = 0) -> Tensor:
        """Latents of the samples ``first`` to ``first + n - 1`` of a seed: ``(n, *latent_shape)``, float32 on the CPU.

        Every sample has a random stream of its own, so that a sample is the same on every device and whatever
        else is made along with it.
        """
        return torch.from_numpy(
            np.stack([self.draw(np.random.default_rng((seed, i))) for i in range(first, first + n)])
        )

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        revision: str | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | str = "float32",
        precision: str = "exact",
    ) -> Self:
        """A model of this class with trained weights, in eval mode, as :func:`zoo.load`.

        Args:
            name: ``owner/repo`` on the Hub, a folder that :meth:`save_pretrained` wrote, or the name of a checkpoint.
                Names of the registry come before folders, and folders before the Hub.
            revision: branch, tag or commit of the repository.
            device: as for :func:`zoo.load`.
            dtype: likewise.
            precision: likewise.

        Raises:
            InputError: for a name that does not exist, and for weights of another class.
            WeightsError: if the weights cannot be had, are corrupted or do not fit.
        """
        made: Self = hooks.pretrained().load(cls, name, revision, device=device, dtype=dtype, precision=precision)
        return made

    def save_pretrained(
        self, folder: str | os.PathLike[str], *, dtype: torch.dtype | str | None = None, **facts: Any
    ) -> Path:
        """Write ``model.safetensors``, ``config.json`` and a model card: a folder that :meth:`from_pretrained` reads.

        The file of a loaded model whose weights are unchanged is copied as it is, with its figures. Other weights are
        written in the precision that they have, float32 for most, and say what they started from. A network that was
        built by hand must be of a registered class.

        Args:
            folder: a new or empty one, or one with a saved model, which is replaced; a card that is there stays.
            dtype: of the numbers in the file, such as "float16", which halves it.
            facts: for ``config.json``, in the form of the registry, such as ``license="MIT"``. For a network that was
                built by hand they may say what it takes and gives, with ``input`` and ``output``; by default that is
                found out.

        Returns:
            The folder.

        Raises:
            InputError: for a folder with other files, a class that no registry has, or a wrong fact.
            WeightsError: for weights that are not finite or not of the network, and where the disk does not take them.
        """
        written: Path = hooks.pretrained().save(self, folder, "OWNER/NAME", dtype, facts)
        return written

    def push_to_hub(
        self,
        repo: str,
        *,
        private: bool = False,
        token: str | None = None,
        dtype: torch.dtype | str | None = None,
        **facts: Any,
    ) -> str:
        """Put what :meth:`save_pretrained` writes into a repository on the Hugging Face Hub, as one commit.

        Args:
            repo: ``owner/name``; made if it is missing.
            private: whether a new repository is for its owner alone.
            token: of the account; by default that of `hf auth login` or ``HF_TOKEN``.
            dtype: as for :meth:`save_pretrained`.
            facts: likewise.

        Returns:
            The commit.

        Raises:
            InputError: as :meth:`save_pretrained`, and for a name that is none.
            WeightsError: likewise, and if the Hub cannot be reached or refuses.
        """
        commit: str = hooks.pretrained().push(self, repo, private, token, dtype, facts)
        return commit


class Generator(Model):
    """A model that makes samples from latents.

    A subclass sets ``latent_shape`` and writes ``decode``.

    Attributes:
        latent_shape: shape of one latent.
        decode: latents ``(N, *latent_shape)``, and conditions as keywords, to images ``(N, C, H, W)`` in [-1, 1].
    """

    latent_shape: tuple[int, ...]
    decode: Callable[..., Tensor]  # not a method here: a subclass names its conditions

    def forward(self, z: Tensor, **conditions: Any) -> Tensor:
        """The same as :meth:`decode`."""
        return self.decode(z, **conditions)


class Autoencoder(Model):
    """A model that goes through a code. A subclass writes ``encode`` and ``decode``.

    One whose codes are distributed as :meth:`draw` draws them, such as a variational autoencoder, sets ``latent_shape``
    and generates, too.

    Attributes:
        encode: images ``(N, C, H, W)`` in [-1, 1] to codes ``(N, ...)``.
        decode: codes ``(N, ...)``, and conditions as keywords, to images ``(N, C, H, W)`` in [-1, 1].
    """

    encode: Callable[[Tensor], Tensor]
    decode: Callable[..., Tensor]

    def forward(self, x: Tensor, **conditions: Any) -> Tensor:
        """Images through the code and back, both ``(N, C, H, W)`` in [-1, 1]."""
        return self.decode(self.encode(x), **conditions)
