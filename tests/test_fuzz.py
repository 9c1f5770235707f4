"""`bash build.sh fuzz` has something to damage, and notices what goes wrong."""

import os
import signal
import sys
import time
from collections import Counter

import pytest

pytest.importorskip("hypothesis", reason="the extra 'test' is not installed")
if sys.platform == "win32":
    pytest.skip("the readers are tried in processes that fork", allow_module_level=True)

from fuzz import __main__ as fuzz
from fuzz.readers import READERS, Reader, told

from tddfa.files import read_file

NEEDED = {"shards": "webdataset", "videos": "av"}
REFUSED = {"regressors' weights"}
"""Readers whose small files are no whole networks."""


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_every_reader_reads_what_is_whole(reader, tmp_path):
    if reader.name in NEEDED:
        pytest.importorskip(NEEDED[reader.name], reason="an extra is not installed")
    for files in reader.seeds()[:2]:
        fuzz.put(files, tmp_path / "work")
        if reader.name in REFUSED:
            with pytest.raises(ValueError, match="Expected"):
                reader.read(tmp_path / "work")
        else:
            reader.read(tmp_path / "work")


def odd_reader(what) -> Reader:
    def read(folder):
        if read_file(folder / "a.json", largest=99, what="a small file") != b"{}":
            what()

    return Reader("odd", lambda: [{"a.json": b"{}"}], read)


def no_such_key():
    return {}["width"]


def die():
    os.kill(os.getpid(), signal.SIGKILL)  # as a crash, without its trace on the screen


def hang():
    time.sleep(60)


@pytest.mark.parametrize(
    ("what", "message"), [(no_such_key, "KeyError: 'width'"), (die, "ended the process"), (hang, "took more than 1 s")]
)
def test_errors_dead_processes_and_hangs_are_faults(what, message, tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "KEPT", tmp_path)
    monkeypatch.setattr(fuzz, "SLOW", 1 if what is hang else 30)
    monkeypatch.setattr(fuzz, "MOST_FAULTS", 1)
    counts, faults = fuzz.watch(odd_reader(what), 4, 7)
    assert counts["tried"] >= 1 and len(faults) == 1 and message in faults[0]
    assert any(tmp_path.iterdir()), "the input is kept"


def test_a_sentence_is_no_fault(tmp_path, monkeypatch):
    def refuse():
        raise ValueError("Expected an empty object, got something else; write {}.")

    monkeypatch.setattr(fuzz, "KEPT", tmp_path)
    counts, faults = fuzz.watch(odd_reader(refuse), 2, 7)
    assert not faults and counts["refused"] >= 3 and counts["read"] >= 1
    assert isinstance(counts, Counter)
    with pytest.raises(AssertionError, match="UnicodeDecodeError"):
        told(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "a text that is none at all"))
