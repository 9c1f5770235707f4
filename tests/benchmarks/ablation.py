"""What size, data, input resolution, guidance and optimiser gain a VRN: trainings that differ in one thing each.

    python tests/benchmarks/ablation.py -o runs/ablation [--cache runs/renders] [--images 8000] [--only WORD ...]

Every training starts from nothing and sees the same number of pictures; all are judged at every voxel, on renders that
none of them saw (``vrn evaluate volumes``). The budget is a fiftieth of that of the packaged weights: what the table
says of two rows need not hold for longer trainings. A row whose weights are there is not trained again, so several
calls may share the work.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy is imported

from vrnlib.cli import main as vrn

BATCH = 8
BASE = {"size": 128, "stem": 24, "features": 48, "residuals": 1, "renders": 6400}
BASE |= {"optimizer": "rmsprop", "schedule": "cosine", "rate": 2e-3, "rotation": 3, "translation": 1.5}
SHORT = "network: vrn\nwarmup: 50\naveraging: 0.99\nscale: [0.99, 1.01]\n"
"""Those without a flag are for short trainings: the usual averaging of the weights is longer than all of them."""
ROWS: dict[str, dict[str, object]] = {
    "base": {},
    "features-24": {"features": 24},
    "features-80": {"stem": 32, "features": 80},
    "renders-100": {"renders": 100},
    "renders-800": {"renders": 800},
    "input-192": {"size": 192},
    "guided": {"kind": "guided"},
    "adamw": {"optimizer": "adamw"},
    "paper": {"schedule": "paper", "rate": 1e-4},
}
"""What differs from BASE."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the trainings and the table")
    parser.add_argument("--cache", default="runs/renders")
    parser.add_argument("--images", type=int, default=8000, help="pictures that each training sees")
    parser.add_argument("--held-out", type=int, default=200, help="renders that judge them")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    args = parser.parse_args()
    steps = args.images // BATCH
    args.out.mkdir(parents=True, exist_ok=True)
    short = args.out / "short.yml"
    short.write_text(SHORT, encoding="utf-8")
    for name in args.only:
        if finished(args.out / name, steps):
            continue
        flags = [f"--{key}={value}" for key, value in (BASE | ROWS[name]).items()]
        usual = [
            f"--config={short}",
            "--device=cpu",
            "--precision=auto",
            f"--batch={BATCH}",
            f"--steps={steps}",
            "--held-out=32",
        ]
        usual += [f"--report={max(1, steps // 3)}", "--workers=0", f"--cache={args.cache}", "--seed=1"]
        resumed = ["--resume"] if (args.out / name).exists() else []
        if vrn(["train", "vrn", "-o", str(args.out / name), *flags, *usual, *resumed]):
            return 1
    runs = {name: args.out / name for name in ROWS}
    done = [f"{name}={run / 'network.safetensors'}" for name, run in runs.items() if finished(run, steps)]
    judged = [f"--count={args.held_out}", "--no-ensemble", "-o", str(args.out / "table")]
    return vrn(["evaluate", "volumes", "--weights", *done, *judged])


def finished(run: Path, steps: int) -> bool:
    """Whether a training came to its end."""
    log = run / "log.jsonl"
    return log.is_file() and json.loads(log.read_text().splitlines()[-1])["step"] == steps


if __name__ == "__main__":
    sys.exit(main())
