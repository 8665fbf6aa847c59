"""Pickles of ``torch.save``, looked through before they are read.

``torch.load(weights_only=True)`` runs no code from a file. But what it does allow can still fill the memory:
texts that are encoded again and again, tensors of any size over one number, storages that are not in the file. So the
opcodes are followed first, on a stack of names in place of values; no object is built.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import IO, Any

from zoo.errors import WeightsError

OPCODES = 3_000_000  # of a pickle: a state dict has about twenty for each tensor
MAGIC = 0x1950A86A20F9469CFC6C  # what files of torch.save begin with that are no zip archive
# The opcodes that torch's reader knows.
KNOWN = """
GLOBAL NEWOBJ REDUCE BUILD APPEND APPENDS SETITEM SETITEMS MARK TUPLE TUPLE1 TUPLE2 TUPLE3 NONE NEWFALSE NEWTRUE
EMPTY_TUPLE EMPTY_LIST EMPTY_DICT EMPTY_SET BININT BININT1 BININT2 BINFLOAT BINUNICODE SHORT_BINSTRING BINPERSID
BINGET LONG_BINGET BINPUT LONG_BINPUT LONG1 PROTO STOP
"""
CONTAINERS = ("collections.OrderedDict", "collections.Counter", "builtins.set")
REBUILT = tuple(f"torch._utils._rebuild_{what}" for what in ("tensor", "tensor_v2", "tensor_v3"))
# What may be called. All else that torch's reader allows makes no plain tensor, or memory without content.
CALLED = (
    *CONTAINERS,
    *REBUILT,
    "_codecs.encode",
    "builtins.complex",
    "torch.Size",
    "torch.device",
    "torch.nn.parameter.Parameter",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._tensor._rebuild_from_type_v2",
    "torch.serialization._get_layout",
)
# Plain values that stand beside weights in many checkpoints. They are passed over: an empty object takes their place.
PASSED_OVER = re.compile(
    r"numpy\.(_?core\.(multiarray\.(scalar|_reconstruct)|numeric\._frombuffer)|ndarray|dtype|dtypes\.\w+)"
    r"|argparse\.Namespace|types\.SimpleNamespace|pathlib\.(_local\.)?\w*Path|datetime\.(datetime|date|timedelta)"
)
OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # of Python 2
CODE = (
    "{} holds {}, and reading that would run code from the file. If you trust it, load it with its own code, save "
    "`model.state_dict()` alone, and import that."
)


class _Name(str):
    """What a pickle refers to by its name."""


class _Made(str):
    """What a call of this name makes."""


class _Mark:
    """Where the items of a container begin."""


class PassedOver:
    """Stands in for a value that is not read: takes whatever makes one, and keeps nothing."""

    def __new__(cls, *args: object) -> PassedOver:
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        """Ignore it."""


def stand_ins(names: set[str]) -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """For ``torch.serialization.safe_globals``: a class for each name, which is called like it."""
    return [(type(name, (PassedOver,), {}), name) for name in sorted(names)]


def is_torch(file: IO[bytes]) -> bool:
    """Whether the first pickle of a file is the number that ``torch.save`` begins with."""
    first = islice(pickletools.genops(file), 8)
    return [arg for op, arg, _ in first if op.name.startswith("LONG")] == [MAGIC]


def look_through(file: IO[bytes], path: Path, size: int) -> set[str]:
    """Make sure that a pickle is one of a checkpoint, and makes nothing that is larger than the file.

    Args:
        file: stands at the pickle's first byte, and afterwards behind its last.
        path: for errors.
        size: of the file, in bytes.

    Returns:
        The names in it of what is to be passed over.

    Raises:
        WeightsError: if it holds more than tensors and plain values, or declares more than there is.
        Exception: any other if it is no sound pickle.
    """
    walk = _Walk(path, size)
    for number, (op, arg, _) in enumerate(pickletools.genops(file)):
        if number > OPCODES:
            raise WeightsError(f"{path} holds more than {OPCODES:,} values beside its tensors: save the weights alone.")
        walk.step(op.name, arg)
    return walk.names


class _Walk:
    """The stack of a pickle machine, with names in place of values."""

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        self.known = frozenset(KNOWN.split())
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.names: set[str] = set()
        self.protocol = 0

    def step(self, op: str, arg: Any) -> None:
        stack = self.stack
        if op not in self.known and self.protocol == 2:
            raise ValueError(f"it has the opcode {op}")
        if op not in self.known:
            raise WeightsError(
                f"{self.path} was saved with pickle protocol {self.protocol or '0 or 1'}, which torch reads only where "
                "it may run code: torch.load it where you trust it, and torch.save the state dict again with the "
                "default protocol."
            )
        if op == "PROTO":
            self.protocol = arg
        elif op == "GLOBAL":
            stack.append(self.named(arg))
        elif op in ("REDUCE", "NEWOBJ"):
            args = stack.pop()
            stack[-1] = self.called(stack[-1], args, op == "NEWOBJ")
        elif op == "BINPERSID":
            stack[-1] = self.storage(stack[-1])
        elif op in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[arg])
        elif op in ("BINPUT", "LONG_BINPUT"):
            self.memo[arg] = stack[-1]
        elif op == "MARK":
            stack.append(_Mark)
        elif op in ("APPENDS", "SETITEMS", "TUPLE"):
            items = self.since_mark()
            if op == "TUPLE":
                stack.append(tuple(items))
            elif isinstance(stack[-1], list):
                stack[-1].extend(items)
        elif op in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(op[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif op == "APPEND":
            item = stack.pop()
            if isinstance(stack[-1], list):
                stack[-1].append(item)
        elif op == "SETITEM":
            del stack[-2:]
        elif op == "BUILD":
            if _tensor(stack.pop()) or _tensor(stack[-1]):  # which would give a tensor another size
                raise self.refused("a tensor that is changed after it was made")
        elif op != "STOP":
            stack.append({"EMPTY_TUPLE": (), "EMPTY_LIST": []}.get(op, arg))

    def since_mark(self) -> list[Any]:
        items = []
        while (item := self.stack.pop()) is not _Mark:
            items.append(item)
        return items[::-1]

    def refused(self, what: str) -> WeightsError:
        return WeightsError(CODE.format(self.path, what))

    def named(self, arg: str) -> _Name:
        module, _, name = arg.partition(" ")
        symbol = _Name(f"{OLD_MODULES.get(module, module)}.{name}")
        if PASSED_OVER.fullmatch(symbol):
            self.names.add(str(symbol))
        elif symbol.startswith("torch._utils._rebuild_") and symbol not in CALLED:
            raise WeightsError(
                f"{self.path} holds a sparse, quantized or otherwise special tensor ({symbol[:100]}): save the state "
                "dict of the plain network."
            )
        elif symbol not in CALLED and not re.fullmatch(r"torch\.((cuda|storage)\.)?\w+", symbol):
            raise self.refused(f"more than tensors ({symbol[:100]})")
        return symbol

    def called(self, what: Any, args: Any, new: bool) -> Any:
        """What a call makes, if it is one that makes nothing larger than the file."""
        name = str(what)[:100] if isinstance(what, _Name) else type(what).__name__
        if not isinstance(what, _Name) or not isinstance(args, tuple):
            raise self.refused(f"a call of {name}")
        if name in self.names:
            return _Made(name)
        if name not in CALLED or (new and name != "torch.nn.parameter.Parameter"):
            raise self.refused(f"more than tensors ({name})")
        if name == "torch._tensor._rebuild_from_type_v2":
            return self.called(args[0], args[2], new=False)
        if name in REBUILT:
            shape = args[2]
            if not isinstance(shape, tuple) or not all(isinstance(side, int) and side >= 0 for side in shape):
                raise self.refused("a tensor whose shape is computed")
            if math.prod(shape) > self.size:
                raise self.too_large(f"a tensor of {math.prod(shape):,} values")
        inner = [item for each in args for item in (each if isinstance(each, list) else [each])]
        if name in CONTAINERS and any(_tensor(item) for item in inner):
            raise self.refused(f"a call of {name} on a tensor")
        if name == "_codecs.encode" and not (isinstance(args[0], str) and args[1:] in (("latin1",), ("latin-1",))):
            raise self.refused("bytes that are computed")
        return args[0] if name == "torch.Size" and len(args) == 1 else _Made(name)

    def storage(self, place: Any) -> _Made:
        """A storage, if the file can hold it."""
        if not isinstance(place, tuple) or len(place) < 5 or place[0] != "storage" or not isinstance(place[4], int):
            raise self.refused("a reference to something other than a storage")
        if not 0 <= place[4] <= self.size:
            raise self.too_large(f"a storage of {place[4]:,} values")
        return _Made("torch.storage")

    def too_large(self, what: str) -> WeightsError:
        return WeightsError(f"{self.path} declares {what} and has {self.size:,} bytes: get it again.")


def _tensor(value: Any) -> bool:
    return isinstance(value, _Made) and value.startswith("torch.")
