"""What readers are tried with: whole files with bytes changed, cut or moved, also behind a checksum, and made-up ones.

Everything is drawn by hypothesis, so that a number gives the same inputs again.
"""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Files = dict[str, bytes]
"""A folder: what is in each file by its name."""

ODD = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
"""Numbers at which sizes and places overflow."""

ODD_TEXTS = ("", "..", "/dev/zero", "/", "\0", "é", "a" * 300, "http://127.0.0.1:1/x", "nan", "1e999", "-1", "{}", "[]")


@st.composite
def changed_bytes(draw: Any, data: bytes) -> bytes:
    """The bytes with one to four changes; most places are near the ends, where the sizes stand."""
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        size = len(out)
        last = max(size - 1, 0)
        at = draw(
            st.one_of(st.integers(0, min(200, last)), st.integers(0, last), st.integers(max(0, last - 200), last))
        )
        how = draw(st.sampled_from(("flip", "set", "number", "cut", "drop", "insert", "repeat", "zeros")))
        count = draw(st.sampled_from((1, 2, 4, 8, 60)))
        if how == "flip" and size:
            out[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "set" and size:
            out[at] = draw(st.integers(0, 255))
        elif how == "number":
            width, order = draw(st.sampled_from((1, 2, 4, 8))), draw(st.sampled_from(("little", "big")))
            number = draw(st.sampled_from(ODD)) % 256**width
            out[at : at + width] = number.to_bytes(width, order)
        elif how == "cut":
            del out[at:]
        elif how == "drop":
            del out[at : at + count]
        elif how == "insert":
            out[at:at] = draw(st.binary(min_size=1, max_size=count))
        elif how == "repeat":
            out[at:at] = out[at : at + count]
        else:
            out[at : at + count] = bytes(min(count, max(size - at, 0)))
    return bytes(out)


@st.composite
def changed_files(draw: Any, seeds: list[Files]) -> Files:
    """One of the folders with one of its files changed, as it stands or inside its container, which stays in order."""
    files = dict(draw(st.sampled_from(seeds)))
    name = draw(st.sampled_from(sorted(files)))
    data = files[name]
    inside = next((change for begins, change in CONTAINERS if begins(name, data)), None)
    if inside is not None and draw(st.integers(0, 2)):
        files[name] = draw(inside(data))
    else:
        files[name] = draw(changed_bytes(data))
    return files


@st.composite
def changed_zip(draw: Any, data: bytes) -> bytes:
    """A zip with one entry changed, renamed, left out or doubled, and with the right checksums."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(entry.filename, archive.read(entry), entry.compress_type) for entry in archive.infolist()]
    at = draw(st.integers(0, len(entries) - 1))
    name, content, method = entries[at]
    how = draw(st.sampled_from(("change", "change", "change", "header", "drop", "double", "name")))
    if how == "drop":
        del entries[at]
    elif how == "double":
        entries.append(entries[at])
    elif how == "name":
        entries[at] = (draw(st.sampled_from((*ODD_TEXTS[1:4], "x.npy", name.upper()))), content, method)
    elif how == "header" and content.startswith(b"\x93NUMPY"):
        entries[at] = (name, draw(changed_npy(content)), method)
    else:
        entries[at] = (name, draw(changed_bytes(content)), method)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content, method in entries:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


@st.composite
def changed_npy(draw: Any, data: bytes) -> bytes:
    """An .npy file with another type, shape or order in its header, or other numbers."""
    length = struct.unpack("<H", data[8:10])[0]
    body = data[10 + length :]
    types = ("<f4", "<f8", "<i8", "|u1", "|b1", "|O", "<c16", "<U5", "|S3", "|V8", "<M8[s]", ">i4", "<f2", "<i4")
    side = st.one_of(st.integers(0, 300), st.sampled_from((-1, 2**31, 2**40, 2**63)))
    shape = tuple(draw(st.lists(side, max_size=4)))
    header = {"descr": draw(st.sampled_from(types)), "fortran_order": draw(st.booleans()), "shape": shape}
    text = repr(header) if draw(st.booleans()) else data[10 : 10 + length].decode("latin1")
    if draw(st.booleans()):
        body = draw(changed_bytes(body))
    raw = text.encode("latin1").ljust(118) + b"\n"
    return data[:8] + struct.pack("<H", len(raw)) + raw + body


@st.composite
def changed_tar(draw: Any, data: bytes) -> bytes:
    """A tar file with one member changed, renamed or made a link, and with the right checksums."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = [(entry.name, archive.extractfile(entry).read()) for entry in archive.getmembers()]
    at = draw(st.integers(0, len(members) - 1))
    name, content = members[at]
    how = draw(st.sampled_from(("change", "change", "json", "name", "drop", "link")))
    kind = tarfile.REGTYPE
    if how == "drop":
        del members[at]
    elif how == "name":
        members[at] = (draw(st.sampled_from((*ODD_TEXTS[1:4], "x.pyd", "x.pickle", name.upper()))), content)
    elif how == "link":
        kind = draw(st.sampled_from((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)))
    elif how == "json":
        members[at] = (name, json.dumps(draw(JSON)).encode())
    else:
        members[at] = (name, draw(inside_of(content)))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number, (name, content) in enumerate(members):
            entry = tarfile.TarInfo(name)
            entry.size, entry.type = len(content), kind if number == at else tarfile.REGTYPE
            archive.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
    return out.getvalue()


def inside_of(content: bytes) -> Any:
    """What may become of a member: a change in its own container, or anywhere."""
    return changed_zip(content) if content.startswith(b"PK") else changed_bytes(content)


@st.composite
def changed_safetensors(draw: Any, data: bytes) -> bytes:
    """A safetensors file with another header of the right length."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tree = draw(changed_json(header))
    text = json.dumps(tree).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


@st.composite
def changed_json(draw: Any, tree: Any) -> Any:
    """A tree of JSON with one to three of its leaves, keys or branches replaced."""
    tree = json.loads(json.dumps(tree))
    for _ in range(draw(st.integers(1, 3))):
        branch = tree
        while isinstance(branch, dict | list) and len(branch):
            key: Any = draw(st.sampled_from(sorted(branch) if isinstance(branch, dict) else range(len(branch))))
            below = branch[key]
            packed = isinstance(below, str) and below[:1] == "{"
            if packed and draw(st.integers(0, 3)):  # JSON in a text, as in the headers of weights
                branch[key] = json.dumps(draw(changed_json(json.loads(below))))
                break
            if isinstance(below, dict | list) and len(below) and draw(st.integers(0, 3)):
                branch = below
                continue
            how = draw(st.integers(0, 4))
            if how == 0:
                del branch[key]
            elif how == 1 and isinstance(branch, dict):
                branch[draw(st.sampled_from(ODD_TEXTS))] = branch.pop(key)
            else:
                branch[key] = draw(JSON)
            break
    return tree


@st.composite
def changed_mat(draw: Any, data: bytes) -> bytes:
    """A .mat file with one of its compressed arrays changed and compressed again, else with any change."""
    parts, at = [], 128
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind != 15:
            return draw(changed_bytes(data))
        parts.append(zlib.decompress(data[at + 8 : at + 8 + size]))
        at += 8 + size
    chosen = draw(st.integers(0, len(parts) - 1))
    parts[chosen] = draw(changed_bytes(parts[chosen]))
    packed = [zlib.compress(part) for part in parts]
    return data[:128] + b"".join(struct.pack("<II", 15, len(part)) + part for part in packed)


@st.composite
def changed_png(draw: Any, data: bytes) -> bytes:
    """A PNG with one chunk changed, left out or doubled, and with the right checksums."""
    chunks, at = [], 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += size + 12
    chosen = draw(st.integers(0, len(chunks) - 1))
    how = draw(st.sampled_from(("change", "change", "change", "drop", "double")))
    if how == "drop":
        del chunks[chosen]
    elif how == "double":
        chunks.insert(chosen, chunks[chosen])
    else:
        chunks[chosen] = (chunks[chosen][0], draw(changed_bytes(chunks[chosen][1])))
    return data[:8] + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


@st.composite
def changed_text(draw: Any, data: bytes) -> bytes:
    """Text with words exchanged or lines doubled, moved or left out."""
    lines = data.decode("utf-8").splitlines()
    at = draw(st.integers(0, len(lines) - 1))
    how = draw(st.sampled_from(("word", "word", "word", "drop", "double", "line")))
    if how == "drop":
        del lines[at]
    elif how == "double":
        lines.insert(draw(st.integers(0, len(lines))), lines[at])
    elif how == "line":
        lines[at] = draw(st.text(max_size=40))
    else:
        words = lines[at].replace(",", " , ").replace(":", " : ").split(" ")
        place = draw(st.integers(0, len(words) - 1))
        words[place] = draw(st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=5), st.integers().map(str)))
        lines[at] = " ".join(words)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


CONTAINERS: tuple[tuple[Callable[[str, bytes], bool], Callable[[bytes], Any]], ...] = (
    (lambda name, data: data.startswith(b"PK\x03\x04"), changed_zip),
    (lambda name, data: data.startswith(b"\x93NUMPY"), changed_npy),
    (lambda name, data: data.startswith(b"\x89PNG"), changed_png),
    (lambda name, data: name.endswith(".safetensors"), changed_safetensors),
    (lambda name, data: name.endswith(".tar"), changed_tar),
    (lambda name, data: name.endswith(".mat"), changed_mat),
    (lambda name, data: name.endswith(".json"), lambda data: changed_json(json.loads(data)).map(json_bytes)),
    (lambda name, data: name.endswith((".yml", ".csv", ".pts", ".list", ".sha256")), changed_text),
)
"""How to know a container, and how to change what is in it."""

LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 300),
    st.sampled_from((*ODD, -(2**63), 0.5, 1e308, -1e-308, float("nan"), float("inf"))),
    st.sampled_from(ODD_TEXTS),
    st.text(max_size=8),
)
JSON: Any = st.recursive(
    LEAF, lambda part: st.one_of(st.lists(part, max_size=4), st.dictionaries(st.text(max_size=6), part, max_size=4))
)
"""Anything that JSON and YAML can say."""


def json_bytes(tree: Any) -> bytes:
    return json.dumps(tree).encode()
