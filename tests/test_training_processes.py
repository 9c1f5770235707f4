"""Training by several processes, and by one that is killed: the results are those of one that is left alone."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_training_loop import config, task

from vrnlib.training.batches import rgb_input
from vrnlib.training.engine import SharedBatchNorm, check_shares, share_statistics
from vrnlib.training.loop import Task, fit
from vrnlib.training.vrn import volume_iou, voxel_loss

SHORT = {"steps": 8, "report": 1, "device": "cpu"}
LONG = {"steps": 40, "report": 4, "device": "cpu"}


def log_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def exact_task() -> Task[Any]:
    """In float64: RMSProp makes steps of full length of gradients that are nothing but rounding."""
    made = task()
    made.network.double()

    def loss(network, batch):
        return voxel_loss(network.lattice_logits(rgb_input(batch[0]).double()), batch[1])

    def score(network, batch):
        return volume_iou(network.lattice_logits(rgb_input(batch[0]).double()), batch[1])

    return replace(made, loss=loss, score=score)


def train_as_one_of_two(rank: int, folder: str, port: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    made = exact_task()
    fit(made, config(**SHORT), folder, progress=False)
    torch.save(made.network.state_dict(), f"{folder}/weights_{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_have_the_losses_of_one_with_the_same_batch(tmp_path, free_port):
    """With batch normalisation in the network, so its statistics are those of the whole batch too."""
    torch.multiprocessing.start_processes(
        train_as_one_of_two, (str(tmp_path / "two"), free_port), nprocs=2, start_method="forkserver"
    )
    fit(exact_task(), config(**SHORT), tmp_path / "one", progress=False)
    one, two = log_of(tmp_path / "one"), log_of(tmp_path / "two")
    for key in ("loss", "held_out_iou"):
        assert [line[key] for line in two] == pytest.approx([line[key] for line in one], abs=1e-5), key
    assert one[-1]["loss"] < 0.9 * one[0]["loss"], "something was learnt, so the gradients matter"
    first, second = (torch.load(tmp_path / f"two/weights_{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(first[key], second[key]) for key in first), "the processes drifted apart"


def test_shared_statistics_keep_keys_and_evaluate_as_before():
    network = task().network.eval()
    image, keys = torch.rand(2, 3, 32, 32), list(network.state_dict())
    before = network.lattice_logits(image)
    share_statistics(network, torch.device("cpu"))
    assert any(type(module) is SharedBatchNorm for module in network.modules())
    assert list(network.state_dict()) == keys and torch.equal(network.lattice_logits(image), before)


def test_a_batch_that_the_processes_cannot_share_is_a_sentence(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    check_shares(config(batch=8, accumulate=4))
    with pytest.raises(ValueError, match="Expected a batch that is a multiple of 2 .* got 7"):
        check_shares(config(batch=7))


def train_alone(folder: str) -> None:
    torch.set_num_threads(1)
    fit(task(), config(**LONG), folder, resume=True, progress=False)


def start(folder: Path) -> Any:
    """A process of its own that trains; those after the first start quickly."""
    context = torch.multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["vrnlib.training.loop"])
    process = context.Process(target=train_alone, args=(str(folder),))
    process.start()
    return process


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX's")
def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path):
    """Killed twice, at moments that nobody chose: between two reports, or while a file is written."""
    folder = tmp_path / "killed"
    for _ in range(2):
        before = len(log_of(folder)) if (folder / "log.jsonl").exists() else 0
        process = start(folder)
        while process.is_alive() and (not (folder / "log.jsonl").exists() or len(log_of(folder)) < before + 2):
            time.sleep(0.003)
        time.sleep(0.001 * (time.time_ns() % 37))
        process.kill()
        process.join()
    (folder / ".checkpoint.pt.1-abc.part").write_bytes(b"half")
    last = start(folder)
    last.join()
    assert last.exitcode == 0
    assert not list(folder.glob(".*.part")), "what was written by halves is gone"

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        fit(task(), config(**LONG), tmp_path / "whole", progress=False)
    finally:
        torch.set_num_threads(threads)
    assert (folder / "log.jsonl").read_text() == (tmp_path / "whole/log.jsonl").read_text(), "bit-equal losses"
    names = ("network.safetensors", "config.yml")
    assert all((folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes() for name in names)


@pytest.mark.skipif(os.name != "posix", reason="a limit on files stands for the full disk")
def test_a_full_disk_is_a_sentence_and_keeps_what_was_finished(tmp_path):
    import resource

    def fill_up(log: list[dict]) -> None:
        if len(log) == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match=r"Expected to write .*network.safetensors, got: File too large; check"):
            fit(task(), config(steps=8, report=2), tmp_path, progress=False, on_report=fill_up)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [line["step"] for line in log_of(tmp_path)] == [2] and not list(tmp_path.glob(".*"))
    fit(task(), config(steps=8, report=2), tmp_path, progress=False, resume=True)
    fit(task(), config(steps=8, report=2), tmp_path / "whole", progress=False)
    assert log_of(tmp_path) == log_of(tmp_path / "whole")
