"""The training loop on a toy task: it learns, it resumes exactly, and it loses nothing when interrupted."""

import json
from dataclasses import replace

import pytest
import torch
from torch.utils.data import Dataset

from tddfa.console import run_command
from vrnlib.network import FAN, VRN, FANConfig, VRNConfig, VRNMultitask, landmark_channels
from vrnlib.training.checkpoints import plot_log
from vrnlib.training.fan import fan_task, landmark_loss
from vrnlib.training.loop import StepSampler, TrainingConfig, fit, learning_rate
from vrnlib.training.vrn import volume_iou, voxel_loss, vrn_task

TINY = VRNConfig(stem=8, features=16, hourglasses=1, depth=2, slices=12)


class Balls(Dataset):
    """Discs of random size; their solids are cylinders on the network's lattice."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key):
        index = key[0] if isinstance(key, tuple) else key
        generator = torch.Generator().manual_seed(index)
        radius = 4 + 3 * torch.rand(1, generator=generator).item()
        y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
        disc = (x - 15.5).square() + (y - 15.5).square() < radius**2
        image = (disc * 200).to(torch.uint8).expand(3, 32, 32).contiguous()
        solid = torch.zeros(12, 8, 8, dtype=torch.bool)
        solid[3:9] = disc[2::4, 2::4]
        return image, solid


def task(seed: int = 0):
    torch.manual_seed(seed)
    return vrn_task(VRN(TINY), Balls(32), Balls(4), step=4)


def config(**changes) -> TrainingConfig:
    return TrainingConfig(**{"steps": 40, "batch": 8, "rate": 3e-3, "warmup": 4, "report": 20, "workers": 0} | changes)


def test_a_task_and_a_configuration_are_one_line():
    assert repr(task()) == "Task(VRN on Balls, held_out_iou)"
    assert "\n" not in repr(config()) and "steps=40" in repr(config())


def test_it_learns(tmp_path):
    network = fit(task(), config(steps=80, averaging=0.9), tmp_path, progress=False)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < 0.5 * log[0]["loss"] and log[-1]["held_out_iou"] > 0.6
    assert not network.training


def test_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole = fit(task(), config(), tmp_path / "whole", progress=False)

    class Stop(Exception):
        pass

    def stop(log):
        raise Stop

    with pytest.raises(Stop):
        fit(task(), config(), tmp_path / "halves", progress=False, on_report=stop)
    resumed = fit(task(seed=9), config(), tmp_path / "halves", resume=True, progress=False)
    for key, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key
    assert (tmp_path / "whole/log.jsonl").read_text() == (tmp_path / "halves/log.jsonl").read_text()


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    fit(task(), config(steps=2, report=2), tmp_path, progress=False)
    with pytest.raises(FileExistsError, match="--resume"):
        fit(task(), config(steps=2, report=2), tmp_path, progress=False)
    with pytest.raises(ValueError, match="other settings of rate"):
        fit(task(), config(steps=2, report=2, rate=1.0), tmp_path, resume=True, progress=False)


def test_adamw_learns_too(tmp_path):
    fit(task(), config(steps=80, averaging=0.9, optimizer="adamw"), tmp_path, progress=False)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < 0.7 * log[0]["loss"]


def test_a_batch_in_pieces_is_seen_once_and_gives_one_step():
    whole, pieces = (list(StepSampler(32, config(steps=3, accumulate=n), 0, process=1, processes=2)) for n in (1, 2))
    assert [len(batch) for batch in whole] == [4] * 3 and [len(batch) for batch in pieces] == [2] * 6
    assert sorted(sum(pieces[:2], [])) == sorted(whole[0])


def test_gradients_of_pieces_add_up_to_those_of_the_batch(tmp_path):
    """Without batch normalisation, which looks at each piece alone, pieces change nothing."""
    losses = []
    for pieces in (1, 4):
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Conv2d(3, 12, 4, stride=4))
        network.lattice_logits = network.forward
        plain = replace(vrn_task(network, Balls(32), Balls(4), step=4), save=lambda path, net, notes: None)
        fit(plain, config(steps=6, report=1, accumulate=pieces), tmp_path / str(pieces), progress=False)
        lines = (tmp_path / str(pieces) / "log.jsonl").read_text().splitlines()
        losses.append([json.loads(line)["loss"] for line in lines])
    assert losses[1] == pytest.approx(losses[0], abs=1e-6)


def test_a_checkpoint_of_another_size_is_a_sentence(tmp_path):
    fit(task(), config(steps=2, report=2), tmp_path, progress=False)
    other = vrn_task(VRN(replace(TINY, features=24)), Balls(32), Balls(4), step=4)
    with pytest.raises(ValueError, match="got another architecture's"):
        fit(other, config(steps=2, report=2), tmp_path, resume=True, progress=False)


def test_damaged_checkpoint_is_a_sentence(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="cannot be read"):
        fit(task(), config(), tmp_path, resume=True, progress=False)


@pytest.mark.parametrize("part", ["config", "network", "average", "optimizer", "log"])
@pytest.mark.parametrize("content", [[1], {"a": 3}, "text", [{"loss": 1.0}]])
def test_a_checkpoint_with_other_parts_is_a_sentence(tmp_path, part, content):
    fit(task(), config(steps=1, report=1), tmp_path, progress=False)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    torch.save({**saved, part: content}, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="cannot be read|was made with other settings|holds no optimiser"):
        fit(task(), config(steps=1, report=1), tmp_path, resume=True, progress=False)


def test_an_error_stands_below_the_bar(tmp_path, capsys):
    def full(log):
        raise OSError("Expected to write a file, got a full disk; make room.")

    def job() -> int:
        fit(task(), config(steps=2, report=1), tmp_path, on_report=full)
        return 0

    assert run_command("vrn", job) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("vrn: Expected to write a file")


def test_sampler_continues_where_it_stopped():
    settings = config(steps=10)
    whole, rest = list(StepSampler(32, settings, 0)), list(StepSampler(32, settings, 6))
    assert whole[6:] == rest
    first_epoch = [index for batch in whole[:4] for index, _ in batch]
    assert sorted(first_epoch) == list(range(32)), "an epoch must see every face once"
    with pytest.raises(ValueError, match="at least as many renders"):
        StepSampler(4, settings, 0)


def test_rate_rises_then_falls_to_a_hundredth():
    settings = config(steps=1000, warmup=100, rate=1.0)
    assert learning_rate(0, settings, 50) == pytest.approx(0.01)
    assert learning_rate(99, settings, 50) == pytest.approx(1.0)
    assert learning_rate(999, settings, 50) == pytest.approx(0.01, abs=1e-3)


def test_the_papers_rate_is_a_tenth_after_forty_epochs(tmp_path):
    settings = config(schedule="paper", rate=1e-4, steps=100, drop_after=2, report=4)
    assert [learning_rate(step, settings, 4) for step in (3, 7, 8, 99)] == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])
    fit(task(), config(schedule="paper", rate=1e-4, steps=12, drop_after=2, report=4), tmp_path, progress=False)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["rate"] for line in log] == pytest.approx([1e-4, 1e-4, 1e-5]), "32 discs are 4 batches an epoch"


def test_voxel_loss_is_a_mean_over_voxels_and_not_a_softmax_over_depth():
    logits = torch.full((1, 4, 2, 2), 10.0)  # every slice of every column is solid and predicted so
    solid = torch.ones(1, 4, 2, 2, dtype=torch.bool)
    assert voxel_loss(logits, solid) < 1e-4  # a softmax over 4 equal slices would cost log(4)
    assert voxel_loss(torch.zeros(1, 4, 2, 2), solid).item() == pytest.approx(0.6931, abs=1e-4)


def test_iou_sees_swapped_axes():
    solid = torch.zeros(1, 8, 8, 8, dtype=torch.bool)
    solid[0, 1:3, 2:8, 3:5] = True
    logits = solid.float() * 20 - 10
    assert volume_iou(logits, solid).item() == 1.0
    assert volume_iou(logits.permute(0, 3, 2, 1), solid).item() < 0.5


def test_landmark_loss_prefers_the_truth_and_wants_flat_maps_without_a_face():
    torch.manual_seed(0)
    network = FAN(FANConfig(stem=8, features=8, depth=2, points=2, size=64)).eval()
    network.head = torch.nn.Identity()
    image = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    target = torch.tensor([[[21.5, 33.5, 0.0], [41.5, 17.5, 0.0]]])  # cells (5, 8) and (10, 4)
    right, wrong = torch.full((1, 4, 16, 16), -6.0), torch.full((1, 4, 16, 16), -6.0)
    right[:, 2:], wrong[:, 2:] = 0, 0
    right[0, 0, 8, 5] = right[0, 1, 4, 10] = 6.0
    wrong[0, 0, 5, 8] = wrong[0, 1, 10, 4] = 6.0  # x and y swapped
    flat = torch.zeros(1, 4, 16, 16)

    def loss(maps, is_face):
        network.trunk.forward = lambda image: maps
        return landmark_loss(network, [image, target, torch.tensor([is_face])]).item()

    assert loss(right, True) < loss(flat, True) < loss(wrong, True)
    assert loss(flat, False) < loss(right, False)


def test_fan_task_runs_and_the_log_can_be_drawn(tmp_path):
    class Points(Balls):
        def __getitem__(self, key):
            image, _ = super().__getitem__(key)
            return image, torch.tensor([[10.0, 12.0, 0.0], [20.0, 22.0, 0.0]]), True

    network = FAN(FANConfig(stem=8, features=8, depth=2, points=2, size=32))
    seen = []
    fit(
        fan_task(network, Points(16), Points(4)),
        config(steps=4, report=2),
        tmp_path,
        progress=False,
        on_report=lambda log: seen.append(len(log)),
    )
    assert seen == [1, 2]
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    figure = plot_log(log)
    assert [axis.get_ylabel() for axis in figure.axes] == ["loss", "held out error percent"]


def test_multitask_learns_both_answers_and_its_maps_have_the_landmarks_in_their_cells():
    torch.manual_seed(0)
    network = VRNMultitask(TINY)
    image, solid = (part[None] for part in Balls(1)[0])
    cells = 1 + 5 * torch.rand(1, 68, 2)
    landmarks = 4 * cells + 1.5  # cell (i, j) lies at the image's pixel (4i + 1.5, 4j + 1.5)
    volume = solid.float() * 12 - 6

    def loss(volume, found):
        network.lattice_logits = lambda image: (volume, landmark_channels(found, (8, 8)).clamp(1e-4, 1 - 1e-4).logit())
        return vrn_task(network, Balls(32), Balls(4), step=4).loss(network, [image, solid, landmarks]).item()

    right = loss(volume, cells)
    for wrong in (cells + 0.375, cells.flip(2), cells / 4):
        assert right < loss(volume, wrong)
    assert loss(-volume, cells) - right == pytest.approx(6, abs=0.01), "both count with a weight of 1"
