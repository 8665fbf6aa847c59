"""The contract of a model: what a contributor writes, and the two verbs built on it.

Networks take and give batches of float tensors: images ``(N, C, H, W)`` and audio ``(N, C, T)`` in [-1, 1], video
``(N, T, C, H, W)`` in [-1, 1], a tuple of tensors for graphs. Users take and give samples, such as
:class:`~zoo.media.images.Images` in [0, 1]. A contributor writes tensors in, tensors out, in one class:

- :class:`Generator`: ``latent_shape`` and ``decode(z)``;
- :class:`Autoencoder`: ``encode(x)`` and ``decode(z)``;
- for a network from input to output, :class:`Model` with ``forward(x)``.

Conditions that the registry declares arrive as keywords of ``decode`` or ``forward``, one value for each sample:

- a choice as the tensor ``(N,)`` of its index, an integer as int64, a number as float32 ``(N,)``; ``(N, T)`` with a
  value for each frame;
- a text as int64 ``(N, T)``, the numbers of its words in the ``vocabulary`` of the network's configuration, from 1, and
  0 behind the last; as a list of N texts without one;
- an image, audio or video as the batch that it would be as an input; ``(N, K, ...)`` with several for a sample;
- a mask as ``(N, 1, H, W)`` of 0 and 1, keypoints as ``(N, K, 2)``, x and y in pixels.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from zoo import hooks
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


def to_arrays(output: Any) -> Any:
    """What a network gave as float32 arrays on the CPU: an array, or a tuple of them."""
    if isinstance(output, tuple):
        return tuple(map(to_arrays, output))
    return output.float().cpu().numpy()


class Backend(Protocol):
    """What computes the verbs of a model; see :class:`zoo.backends.torch_backend.TorchBackend`."""

    def run(self, model: Model, call: str, x: Any, conditions: Mapping[str, Any]) -> Any:
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

    def _run(self, call: str, x: Any, conditions: Mapping[str, Any]) -> Any:
        if self.backend is None:
            return self.run_plain(call, x, conditions)
        return self.backend.run(self, call, x, conditions)

    @torch.inference_mode()
    def run_plain(self, call: str, x: Any, conditions: Mapping[str, Any]) -> Any:
        """The result of ``decode`` or ``forward`` for an array and conditions, float32; the modules run as they are."""
        keywords = {name: self.tensor(value) for name, value in conditions.items()}
        return to_arrays(getattr(self, call)(self.tensor(x), **keywords))

    def train(self, mode: bool = True) -> Self:
        """As in torch; the first time, the parameters of a loaded model become trainable.

        If some parameters are trainable already, such as those of the head, the others stay frozen. Parameters that are
        frozen after the first ``train()`` stay frozen, too.
        """
        if mode and self.frozen:
            self.frozen = False
            if not any(parameter.requires_grad for parameter in self.parameters()):
                self.requires_grad_(True)
        return super().train(mode)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """As in torch; optimised copies are dropped, and built again when needed."""
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
        """An array as the network takes it: on its device, and floats with more than one axis in its precision.

        A tuple of arrays becomes a tuple of tensors; what is no array, such as a list of texts, stays.
        """
        if isinstance(values, tuple):
            return tuple(map(self.tensor, values))
        if not isinstance(values, np.ndarray):
            return values
        parameter = next(self.parameters(), torch.empty(0))
        tensor = torch.from_numpy(values)
        cast = tensor.ndim > 1 and tensor.is_floating_point()
        return tensor.to(parameter.device, parameter.dtype if cast else tensor.dtype)

    def example(self, call: str, n: int = 2) -> tuple[Any, dict[str, Any]]:
        """Synthetic input of ``decode`` or ``forward`` for ``n`` samples, and all conditions, as tensors on the CPU.

        Inputs are of another size for another ``n``, if the network takes any.
        """
        return _tensors(self.example_batch(call, n))

    def probes(self, call: str) -> list[tuple[Any, dict[str, Any]]]:
        """Batches of the kinds of input that occur, by which two ways to compute are compared; as :meth:`example`."""
        return [_tensors(batch) for batch in self.probe_batches(call)]

    def required_conditions(self, call: str) -> set[str]:
        """Keywords without which ``decode`` or ``forward`` cannot be called."""
        parameters = list(inspect.signature(getattr(self, call)).parameters.values())
        if any(p.kind is p.VAR_KEYWORD for p in parameters) and hasattr(self, "decode"):  # which are handed on to it
            parameters = list(inspect.signature(getattr(self, "decode")).parameters.values())  # noqa: B009 - not declared
        return {p.name for p in parameters[1:] if p.default is p.empty and p.kind is not p.VAR_KEYWORD}

    def latents(self, n: int, seed: int, first: int = 0) -> Tensor:
        """Latents of the samples ``first`` to ``first + n - 1`` of a seed: ``(n, *latent_shape)``, float32 on the CPU.

        Every sample has a random stream of its own, so that a sample is the same on every device and in every batch.
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
        model: Self = hooks.pretrained().load(cls, name, revision, device=device, dtype=dtype, precision=precision)
        return model

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
            repo: ``owner/name``; created if it is missing.
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


def _tensors(batch: tuple[Any, dict[str, Any]]) -> tuple[Any, dict[str, Any]]:
    def tensor(values: Any) -> Any:
        if isinstance(values, tuple):
            return tuple(map(tensor, values))
        return torch.from_numpy(values) if isinstance(values, np.ndarray) else values

    x, conditions = batch
    return tensor(x), {name: tensor(value) for name, value in conditions.items()}


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
