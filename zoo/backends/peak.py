"""How much memory a network takes, known without running it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Beside the tensors that live at once, the processor's kernels hold others in their own layout. Resident memory,
# at 384 x 384 pixels or more, was 0.6 (srgan, which is rewritten), 1.3 (sd-vae), 1.8 (taesd) and 2.1 times as much
# (cyclegan).
OVERHEAD = 2.1


RECURRENT = (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)


class _Recurrent(TorchFunctionMode):
    """Takes a recurrent layer as one operation.

    On the meta device torch goes through its time steps one by one, in Python: minutes for minutes of sound.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in RECURRENT or not isinstance(args[2], list):  # which a packed sequence has in another place
            return func(*args, **(kwargs or {}))
        x, state, weights, *_, bidirectional, _ = args
        states = state if isinstance(state, tuple) else (state,)
        gates = x.new_empty(*x.shape[:-1], len(weights[0]))  # of all time steps at once
        output = x.new_empty(*x.shape[:-1], states[0].shape[-1] * (2 if bidirectional else 1))
        del gates
        return output, *states


class _Living(TorchDispatchMode):
    """Counts the bytes of tensors that are allocated inside the block, and the most that there were at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now: int = 0
        self.most: int = 0
        self.known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(output):
            if isinstance(tensor, Tensor) and (storage := tensor.untyped_storage()) not in self.known:
                self.known.add(storage)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._gone, storage.nbytes())
        self.most = max(self.most, self.now)
        return output

    def _gone(self, size: int) -> None:
        self.now -= size


@torch.inference_mode()
def peak(run: Callable[..., Tensor], shape: tuple[int, ...], conditions: Mapping[str, Any]) -> int:
    """Bytes of float32 tensors that a network holds at once, its weights left out.

    Args:
        run: a method of a network on the meta device, where nothing is computed and no memory is taken.
        shape: of its first argument.
        conditions: numpy arrays, or what a network takes else, as its keywords.
    """
    with _Living() as living, _Recurrent():
        on_meta = {
            name: torch.from_numpy(value).to("meta") if hasattr(value, "dtype") else value
            for name, value in conditions.items()
        }
        run(torch.empty(shape, device="meta"), **on_meta)
    return int(living.most)
