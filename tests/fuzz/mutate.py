"""Damage of all kinds; the same for the same :class:`Chance`."""

from __future__ import annotations

import io
import json
import pickletools
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any, TypeVar

from . import words

T = TypeVar("T")


class Chance(random.Random):
    """Numbers of a case; ``calm`` leaves out all damage, which shows what the sound files do."""

    calm = False

    def one_in(self, n: int) -> bool:
        return self.randrange(n) == 0

    def pick(self, sound: Sequence[T], hostile: Sequence[T] = ()) -> T:
        return self.choice(hostile) if hostile and not self.calm and self.one_in(8) else self.choice(sound)

    def quiet(self) -> Chance:
        """One that is calm."""
        other = Chance(self.random())
        other.calm = True
        return other

    def rounds(self) -> range:
        """How many times to damage something."""
        return range(0 if self.calm else self.choice((1, 1, 1, 2, 3, 8)))


def damaged(rng: Chance, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Bytes with flips, cuts, splices, insertions, swaps and extreme numbers."""
    out = bytearray(data)
    for _ in rng.rounds():
        at = int(len(out) * rng.random() ** rng.choice((1, 3)))  # headers come first
        n = rng.choice((1, 2, 4, 8, rng.randrange(1, 64)))
        kind = rng.randrange(8)
        if kind == 0 and out:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at : at + 1] = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80", b"-", b"9", b"\n"))
        elif kind == 2:
            width = rng.choice((1, 2, 4, 8))
            number = rng.choice(words.INTS) % (1 << 8 * width)
            out[at : at + width] = number.to_bytes(width, rng.choice(("little", "big")))
        elif kind == 3:
            del out[at : at + n]
        elif kind == 4:
            out[at:at] = rng.randbytes(n)
        elif kind == 5:
            out[at:at] = out[at : at + n] * rng.choice((1, 1, 2, 100))
        elif kind == 6:
            there = rng.randrange(len(out) + 1)
            out[at : at + n], out[there : there + n] = out[there : there + n], out[at : at + n]
        elif rng.one_in(2):
            del out[at:]
        elif others:
            out[at:] = (other := rng.choice(others))[min(at, len(other)) :]
    return bytes(out)


def _copied(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _copied(value) for key, value in tree.items()}
    return [_copied(value) for value in tree] if isinstance(tree, list) else tree


def _slots(root: list[Any]) -> tuple[list[tuple[Any, Any]], int]:
    """All places of values, each as its container and key; and how deep the deepest is."""
    found, level, depth = [], [root], 0
    while level:
        inside = [(box, key) for box in level for key in (box if isinstance(box, dict) else range(len(box)))]
        level = [box[key] for box, key in inside if isinstance(box[key], (dict, list))]
        found += inside
        depth += 1
    return found, depth


def shaken(rng: Chance, tree: T) -> T:
    """A tree of dicts and lists with values, keys and branches changed, swapped, removed or doubled."""
    root = [_copied(tree)]
    for _ in rng.rounds():
        slots, depth = _slots(root)
        if depth > 200 or len(slots) > 2000:
            break
        box, key = rng.choice(slots)
        there, other = rng.choice(slots)
        kind = rng.randrange(9)
        if kind == 0 and isinstance(box, dict):
            del box[key]
        elif kind == 1:
            box[key], there[other] = _copied(there[other]), _copied(box[key])
        elif kind == 2:
            box[key] = _copied(there[other])
        elif kind == 3:
            box[key] = rng.choice(([box[key]], {"x": box[key]}))
        elif kind == 4 and isinstance(box, dict):
            box[rng.choice((*words.TEXTS, str(other), f"{key}x"))] = box.pop(key)
        elif kind == 5 and isinstance(box[key], int):
            box[key] += rng.choice((-1, 1))
        elif kind == 6:
            for _ in range(rng.choice((9, 60))):
                box[key] = [box[key]]
        else:
            box[key] = _copied(rng.choice(words.VALUES))
    return root[0]


def as_json(tree: Any, rng: Chance) -> bytes:
    return json.dumps(tree, ensure_ascii=rng.calm or not rng.one_in(4)).encode("utf-8", "surrogatepass")


def with_tokens(rng: Chance, text: bytes, tokens: Sequence[bytes]) -> bytes:
    """Text with words of its language where they do not belong."""
    for _ in rng.rounds():
        at = rng.randrange(len(text) + 1)
        at = next((i for i in range(at, min(at + 40, len(text))) if text[i] in b'\n ,:"[{'), at)
        text = text[:at] + rng.choice(tokens) + text[at + rng.choice((0, 0, 1)) :]
    return text


def opcodes(data: bytes) -> list[bytes]:
    """The opcodes of pickles, one after the other, each with its argument; what follows the last is one more."""
    stream, starts = io.BytesIO(data), [0]
    try:
        while stream.tell() < len(data):
            starts += [at for _, _, at in pickletools.genops(stream)]
    except ValueError:
        starts.append(max(starts[-1], data.rindex(b".", 0, stream.tell()) + 1))
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True) if a < b]


def repickled(rng: Chance, ops: Sequence[bytes], pool: Sequence[bytes]) -> bytes:
    """Pickles with opcodes put in, replaced, removed, doubled or swapped."""
    out = list(ops)
    for _ in rng.rounds():
        i, j = rng.randrange(len(out)), rng.randrange(len(out))
        new = rng.choice(rng.choice((pool, words.OPCODES)))
        kind = rng.randrange(6)
        if kind == 0:
            out[i] = damaged(rng, out[i])
        elif kind == 1:
            out[i], out[j] = out[j], out[i]
        elif kind == 2 and len(out) > 1:
            del out[i]
        else:
            out[i : i + (kind == 3)] = [new] if kind < 5 else out[min(i, j) : max(i, j)]
    return b"".join(out)


def zipped(rng: Chance, members: dict[str, bytes], stored: bool = False) -> bytes:
    """A zip file, with members and records damaged."""
    items = list(members.items())
    for _ in rng.rounds():
        i, kind = rng.randrange(len(items)), rng.randrange(12)
        name, content = items[i]
        if kind == 0:
            items[i] = (rng.choice(words.MEMBERS), content)
        elif kind == 1:
            items.append((name, damaged(rng, content)))
        elif kind == 2 and len(items) > 1:
            del items[i]
        elif kind < 6:
            items[i] = (name, damaged(rng, content))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive._didModify = True  # an end is written for none, too
        for name, content in items:
            info = zipfile.ZipInfo(name)
            info.compress_type = 0 if stored else rng.pick((0, 8), (8, 12, 14))
            if not name or name in archive.NameToInfo:
                archive.NameToInfo.pop(name, None)  # a name that comes twice is no warning here
            archive.writestr(info, content)
    return records(rng, stream.getvalue())


def records(rng: Chance, data: bytes) -> bytes:
    """A zip file with fields of its records set to other numbers."""
    out = bytearray(data)
    for _ in rng.rounds():
        signature = rng.choice(list(words.RECORDS))
        found = [match.start() for match in re.finditer(re.escape(signature), out)] if rng.one_in(2) else []
        if not found:
            continue
        offset, width = rng.choice(words.RECORDS[signature])
        number = rng.choice((*words.INTS, rng.randrange(300))) % (1 << 8 * width)
        at = rng.choice(found) + offset
        out[at : at + width] = number.to_bytes(width, "little")
    return damaged(rng, bytes(out)) if rng.one_in(6) else bytes(out)


def chunked(rng: Chance, data: bytes, pool: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A PNG with chunks changed, put in, removed and moved, all with right checksums."""
    chunks, at = [], 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    for _ in rng.rounds():
        i, kind = rng.randrange(len(chunks)), rng.randrange(5)
        if kind == 0 and len(chunks) > 1:
            chunks.insert(rng.randrange(len(chunks)), chunks.pop(i))
        elif kind == 1 and len(chunks) > 1:
            del chunks[i]
        elif kind == 2:
            chunks.insert(i, rng.choice(pool))
        else:
            chunks[i] = (chunks[i][0], damaged(rng, chunks[i][1]))
    made = (struct.pack(">I", len(c)) + t + c + struct.pack(">I", zlib.crc32(t + c)) for t, c in chunks)
    return data[:8] + b"".join(made)


def retagged(rng: Chance, data: bytes) -> bytes:
    """A file with a TIFF directory in it (TIFF, EXIF), with tags, types, counts and values changed."""
    start = max(data.find(b"II*\0"), data.find(b"MM\0*"))
    if start < 0 or len(data) < start + 8:
        return damaged(rng, data)
    order = "<" if data[start] == 73 else ">"
    out = bytearray(data)
    first = start + struct.unpack_from(f"{order}I", out, start + 4)[0]
    for _ in rng.rounds():
        count = struct.unpack_from(f"{order}H", out, first)[0] if first + 2 <= len(out) else 0
        at = first + 2 + 12 * rng.randrange(max(1, min(count, 40)))
        if at + 12 > len(out):
            break
        field, form, top = rng.choice(((0, "H", 0xFFFF), (2, "H", 20), (4, "I", 0xFFFFFFFF), (8, "I", 0xFFFFFFFF)))
        tag = rng.choice(words.TIFF_TAGS)
        number = rng.choice((*words.INTS, tag, rng.randrange(20))) % (top + 1)
        struct.pack_into(f"{order}{form}", out, at + field, number)
    return bytes(out)
