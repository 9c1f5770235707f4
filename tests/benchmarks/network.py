"""From a crop to a volume: the open VRN, and the released size, beside the original's graph run layer by layer.

    python tests/benchmarks/network.py [--runs 5] [--threads 1]

The original's graph is ``VRN(VRNConfig.reference())`` in PyTorch, normalisations included, with random weights, which
take as long as others. The open VRN sees a crop four times, as it does by default.
"""

import os
import tempfile
from collections.abc import Iterator

import torch
from timing import Row, measured, run

from vrnlib.ensemble import FlipShiftEnsemble, OnnxVRN
from vrnlib.network import VRN, VRNConfig
from vrnlib.weight_files import load_vrn


def rows(runs: int, threads: int) -> Iterator[Row]:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    crop = torch.rand(1, 3, 192, 192)
    released, small = VRN(VRNConfig.reference()).eval(), load_vrn("vrn_open")
    words = "" if threads == 1 else f", {threads} threads"
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        os.environ["VRN_CACHE"] = folder  # random weights are not worth keeping
        peer, original = "the original's graph", measured(lambda: released(crop), runs)
        quick = OnnxVRN(released, threads=threads)
        times = measured(lambda: quick(crop), runs)
        yield Row(job=f"released size, ONNX Runtime{words}", here=times, peer=peer, theirs=original)
        ours = OnnxVRN(small, threads=threads)
        best = measured(lambda: ours(crop), runs)
        yield Row(job=f"open VRN, ONNX Runtime{words}", here=best, peer=peer, theirs=original)
        yield Row(job=f"open VRN, ONNX Runtime{words}", here=best, peer="released size, ONNX Runtime", theirs=times)
        four = FlipShiftEnsemble(small)
        plain = measured(lambda: four(crop), runs)
        yield Row(job=f"open VRN, ONNX Runtime{words}", here=best, peer="the same in PyTorch", theirs=plain)


if __name__ == "__main__":
    run(__doc__, rows, runs=5, threads=1)
