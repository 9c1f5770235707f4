"""Tasks shared out: by processes here (see also test_targets), and by a Dask cluster that loses workers."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from labelled_faces import save_image
from test_targets import TruthChoice, TruthFitter, make, photos, samples, truth  # noqa: F401

from tddfa import targets_command, workers


@dataclass(frozen=True)
class DeadlyPictureChoice(TruthChoice):
    """Its fitter's process dies of the picture "killer"."""

    def build(self):
        return DeadlyPictureFitter(self)


class DeadlyPictureFitter(TruthFitter):
    def __call__(self, image, path):
        if path.stem == "killer":
            os._exit(3)
        return super().__call__(image, path)


def test_a_cluster_that_loses_workers_makes_all_that_can_be_made(photos, samples, truth, tmp_path):  # noqa: F811
    pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    import dask
    from distributed import LocalCluster

    save_image(photos / "killer.png", samples[0])
    save_image(photos / "stranger.png", samples[0])
    settings = {"distributed.scheduler.allowed-failures": 0}  # a worker is slow to start
    with (
        dask.config.set(settings),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
    ):
        address = cluster.scheduler_address
        summary = make(photos, tmp_path / "out", DeadlyPictureChoice(truth), dask=address)
        assert sorted(summary.made + summary.kept) == ["AFW/face1.png", "face0.png", "face2.png"]
        with open(tmp_path / "out" / "failures.csv", newline="") as file:
            reasons = dict(csv.reader(file))
        assert "several died" in reasons["killer.png"] and "found none" in reasons["stranger.png"]
        (photos / "killer.png").unlink()
        assert len(make(photos, tmp_path / "out", DeadlyPictureChoice(truth), dask=address).kept) == 3
    make(photos, tmp_path / "alone", TruthChoice(truth))
    for name in ("face0.npz", "face0.png", "AFW/face1.npz"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_a_cluster_that_is_not_there_is_told(monkeypatch):
    pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    monkeypatch.setattr(workers, "CONNECT", 0.5)
    with pytest.raises(OSError, match=r"Expected a Dask scheduler at tcp://127\.0\.0\.1:1, got no answer .*; start it"):
        list(workers.outcomes([1], str, dask="tcp://127.0.0.1:1"))


def test_processes_or_a_cluster(tmp_path, capsys):
    arguments = [str(tmp_path), "-o", str(tmp_path / "out"), "-j", "2", "--dask", "tcp://nobody:1"]
    assert targets_command.main(arguments) == 1
    assert "Expected -j or --dask, got both" in capsys.readouterr().err
    assert not Path(tmp_path / "out").exists()
