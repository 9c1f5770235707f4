"""A process that is killed while it writes (kill -9, a lost machine) leaves nothing half, and the next run goes on."""

import json
import os
import signal

import numpy as np
import pytest
from PIL import Image
from test_crop_command import crop, photo  # noqa: F401
from test_reconstruct import found  # noqa: F401

from tddfa import files, staging
from tddfa.files import clear_killed, left_by_killed, temporary_name
from tddfa.target_folder import Summary, fill_folder
from vrnlib.export import ENDINGS, save

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kill -9 and fork are POSIX's")


def killed(job) -> None:
    """Do a job in a process that kills itself on the way."""
    pid = os.fork()
    if pid == 0:
        try:
            job()
        finally:
            os._exit(3)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def kill_at(monkeypatch, module, call: int, *, after: bool = False):
    """Let the process die at a module's so many-th os.replace."""
    real, calls = os.replace, []

    def replace(source, target):
        calls.append(target)
        if len(calls) == call and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        real(source, target)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(module.os, "replace", replace)


def hidden(folder) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def test_a_name_tells_whose_process_is_no_more(monkeypatch):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    mine = temporary_name("a.b.npz")
    os.waitpid(pid, 0)
    other = mine.replace(f".{os.getpid()}-", f".{pid}-")
    assert mine.startswith(".a.b.npz.") and not left_by_killed(mine) and left_by_killed(other)
    assert not any(map(left_by_killed, ("a.npz", ".a.npz", f".a.{pid}-x.part", other[1:])))
    monkeypatch.setattr(files.platform, "node", lambda: "another machine of the cluster")
    assert not left_by_killed(other), "of a process there nobody here knows whether it runs"


@pytest.mark.parametrize("call", [1, 2, 5, 9, 13])
def test_results_of_a_killed_run_are_completed_by_the_next(found, tmp_path, monkeypatch, call):  # noqa: F811
    """Killed after so many renames, of the old files away and the new ones into their place."""
    save(found[1], tmp_path, "a")
    old = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with monkeypatch.context() as patch:
        kill_at(
            patch, staging, call + len(ENDINGS) + 1
        )  # after those that gave each file its name in the hidden folder
        killed(lambda: save(found[0], tmp_path, "a"))
    assert hidden(tmp_path)
    assert staging.finish_killed(tmp_path) and hidden(tmp_path) == []
    now = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    save(found[0], tmp_path / "whole", "a")
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    assert now.keys() == old.keys() and now == whole


def test_results_of_a_first_run_that_was_killed_are_no_strangers(found, tmp_path, monkeypatch):  # noqa: F811
    with monkeypatch.context() as patch:
        kill_at(patch, staging, len(ENDINGS) + 3)
        killed(lambda: save(found[0], tmp_path, "a"))
    assert not (tmp_path / "a_0.npz").exists() and (tmp_path / f"a_0{sorted(ENDINGS)[0]}").exists()
    save(found[1], tmp_path, "a")
    assert {path.name for path in tmp_path.iterdir()} == {f"a_0{ending}" for ending in ENDINGS}


@pytest.mark.parametrize("moves", ['["../outside"]', '["/outside"]', "[3]", "{}", "no list"])
def test_a_list_from_elsewhere_deletes_nothing_outside_of_its_folder(moves, tmp_path):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    folder = tmp_path / "results"
    stage = folder / temporary_name("vrn").replace(f".{os.getpid()}-", f".{pid}-")
    stage.mkdir(parents=True)
    (tmp_path / "outside").write_text("mine")
    (stage / staging.MOVES).write_text(
        moves.replace("/outside", f"{tmp_path}/outside") if moves.startswith('["/') else moves
    )
    (stage / "theirs.png").touch()
    staging.finish_killed(folder)
    assert (tmp_path / "outside").read_text() == "mine" and not (folder / "theirs.png").exists()


def test_what_was_not_complete_is_cleared_and_old_results_stay(found, tmp_path, monkeypatch):  # noqa: F811
    save(found[0], tmp_path, "a")
    old = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with monkeypatch.context() as patch:
        kill_at(patch, staging, 3)
        killed(lambda: save(found[1], tmp_path, "a"))
    assert staging.finish_killed(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == old


@pytest.mark.parametrize("call", range(1, 5))
def test_a_killed_crop_is_made_again(photo, tmp_path, monkeypatch, call):  # noqa: F811
    """Two faces are four files; until the last one is there, --resume does not take the photo for done."""
    points = np.load(tmp_path / "points.npy")
    np.save(tmp_path / "points.npy", np.stack([points, points * 0.5]))
    assert crop(photo, tmp_path / "whole") == 0
    out = tmp_path / "out"
    assert crop(photo, out) == 0
    with monkeypatch.context() as patch:
        kill_at(patch, files, call, after=call % 2 == 0 and call < 4)
        killed(lambda: crop(photo, out))
    for path in out.glob("*.png"):
        Image.open(path).load()
    for path in out.glob("*.json"):
        json.loads(path.read_text())
    (out / "dots_1.json").unlink(missing_ok=True)
    assert crop(photo, out, "--resume") == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()
    }


def test_halves_of_a_killed_run_are_cleared_from_a_folder_of_targets(tmp_path, monkeypatch):
    out = tmp_path / "out"

    def attempt(task: str) -> str:
        files.write_bytes(out / f"{task}.npz", b"whole")
        return "made"

    def fill() -> None:
        fill_folder(out, ["a", "b"], attempt, names=str, summary=Summary(), progress=False)

    with monkeypatch.context() as patch:
        kill_at(patch, files, 2)  # the table comes first
        killed(fill)
    assert len(hidden(out)) == 1
    mine = out / temporary_name("of a run beside this one")
    mine.write_bytes(b"half")
    fill()
    assert hidden(out) == [mine.name] and (out / "a.npz").read_bytes() == b"whole"
    mine.unlink()
    clear_killed(tmp_path / "nothing there")
