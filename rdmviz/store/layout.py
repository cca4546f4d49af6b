"""How a run lies in a Zarr v3 store.

::

    zarr.json            attribute "rdmviz": schema, rows (the commit counter), name, attrs, id, columns,
                         cuts (rows left, each time some were dropped), lost (gaps: first and last step, rows)
    loss   (step, sample)   chunks of about 4 MB, each holding whole rows
    step   (step)           int64
    metrics/<column>        float64 (step)
    probe/<column>          numbers and booleans as they are (sample); text as UTF-8 bytes, with
    probe/<column>_ends     the byte after each text, int64 (sample)
    probe/<column>          pictures: uint8 or float32 (sample, row, column[, channel]), whole in a chunk
    snapshots/...           weights, representations, Gaussian 2RDM at sparser steps (rdmviz.store.snapshots)
    cache/<name>.npz        no part of the run: what was computed from it, and may be deleted
    notes/<digest>.json     what a person wrote about steps of the run (rdmviz.store.notes)

Beside it lie ``.<name>.lock`` while it is recorded (rdmviz.store.locks) and ``.<name>.<digits>.new`` while
it is made. A process that is killed leaves them, and the next recorder of the path clears them away.

Arrays may be longer than the counter says: the counter is written last, and only the rows it counts are
read. Text is kept as plain bytes because Zarr v3 has no settled string type; nothing is ever pickled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import numpy as np
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec

__all__ = [
    "CODECS",
    "COMPRESSORS",
    "KEY",
    "PLAIN",
    "SCHEMA",
    "array_names",
    "chunk_rows",
    "decode_text",
    "encode_text",
    "is_array_name",
    "is_store_file",
]

SCHEMA: Final = 2
PLAIN: Final = 1  # without pictures: what every rdmviz reads
KEY: Final = "rdmviz"
# Blosc alone reads a chunk that was cut short without a word, and past its end; the checksum comes first.
COMPRESSORS: Final = (BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle"), Crc32cCodec())
CODECS: Final = (BytesCodec, BloscCodec, Crc32cCodec)
_CHUNK_BYTES: Final = 4 * 2**20
_ROWS_PER_SMALL_CHUNK: Final = 4096
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# A process that is killed may leave what Zarr was writing beside the file that it was to become.
_FILE = re.compile(
    rf"((loss|step|(metrics|probe)/{_PLAIN.pattern})/)?((metrics|probe)/)?"
    r"(zarr(\.json|\.[0-9a-f]+\.partial)|c/\d+(/\d+){0,3}(\.[0-9a-f]+\.partial)?)"
    r"|snapshots/((step|(weights|singular_values|representations|gaussian)"
    rf"(/{_PLAIN.pattern})?)/)?(zarr(\.json|\.[0-9a-f]+\.partial)|c/\d+(/\d+)*(\.[0-9a-f]+\.partial)?)"
    r"|cache/(\w+\.npz|\.\w+\.npz\.[0-9a-f]+\.part)"  # rdmviz.store.beside
    r"|notes/([0-9a-f]+\.json|\.[0-9a-f]+\.json\.[0-9a-f]+\.part)"  # rdmviz.store.notes
)


def chunk_rows(samples: int, itemsize: int) -> int:
    """Return how many whole rows make a chunk of about 4 MB."""
    return int(np.clip(_CHUNK_BYTES // (samples * itemsize), 1, _ROWS_PER_SMALL_CHUNK))


def array_names(columns: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return an array name for each column: its own where every file system can hold it, else a number."""
    names: dict[str, str] = {}
    used = {name.lower() for name in taken}
    for index, column in enumerate(columns, start=len(used)):
        plain = _PLAIN.fullmatch(column) and not column.endswith((".", "_ends", ".json"))
        name = column if plain and column.lower() not in used else f"column.{index}"
        while name.lower() in used:
            name += "x"
        used.add(name.lower())
        names[column] = name
    return names


def is_array_name(name: object) -> bool:
    """Return whether a name read from a store can be one that :func:`array_names` gave."""
    return isinstance(name, str) and _PLAIN.fullmatch(name) is not None


def is_store_file(name: str) -> bool:
    """Return whether a file, by its name within a store, can be one that rdmviz wrote."""
    return _FILE.fullmatch(name) is not None


def encode_text(texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return UTF-8 bytes of all texts, uint8, and the byte after each, int64 (n,)."""
    # surrogatepass: file names and scraped text hold lone surrogates, and must come back as they were
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts.tolist()]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), ends


def decode_text(data: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the texts that :func:`encode_text` wrote.

    Raises
    ------
    ValueError
        The ends do not cut the bytes into texts.
    """
    if data.dtype != np.uint8 or ends.dtype != np.int64 or ends.size == 0:
        raise ValueError(f"text is stored as {data.dtype} with ends {ends.dtype}; expected uint8 and int64")
    starts = np.concatenate([[0], ends[:-1]])
    if (ends < starts).any() or ends[-1] != data.size:
        raise ValueError(f"text ends do not increase to the {data.size} bytes there are")
    raw = data.tobytes()
    pieces = zip(starts.tolist(), ends.tolist(), strict=True)
    return np.array([raw[start:end].decode("utf-8", "surrogatepass") for start, end in pieces], dtype=np.str_)
