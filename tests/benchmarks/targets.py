"""Volume targets on one core: one process for all pictures beside a process per picture, the original generator's way.

    python tests/benchmarks/targets.py [--pictures 300] [--rounds 5] [--how photo] [--runtime torch]

The original's way is a fresh Python that imports, loads the networks and the face model, and makes one target with the
same code. The pictures are as large as 300W-LP's. Both take turns; the times are the processor's.

With ``VRN_ASSETS`` set the networks are the official ones (with the stand-in of the face model where the original file
is missing), without it the open ones.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import numpy as np
from timing import Row, Times, run

WAYS = {"crop": "a crop", "mat": "the parameters of 300W-LP's .mat files", "photo": "a photo of 450 x 450"}


def choice(how: str, runtime: str):
    from tddfa.assets import available
    from tddfa.fitters import FitterChoice

    model = None
    standin = Path(os.environ.get("VRN_ASSETS", ""), "official/configs/bfm_noneck_v3.standin.pkl")
    if not available("bfm_noneck_v3.pkl") and standin.is_file():
        model = str(standin)
    weights = "mb05" if available("mb05_120x120.pth") and (model or available("bfm_noneck_v3.pkl")) else "open"
    return FitterChoice(how=how, weights=weights, model=model, runtime=runtime)


def make(how: str, runtime: str, out: Path, paths: list[Path]) -> list[str]:
    """The whole life of a process: the names of the pictures that got a target."""
    from tddfa.targets import make_targets
    from vrnlib.images import read_photo

    chosen = choice(how, runtime)
    return make_targets(paths, out, root=paths[0].parent, read=read_photo, choice=chosen, progress=False).made


def make_pictures(folder: Path, count: int, how: str) -> list[Path]:
    from PIL import Image
    from scipy.io import savemat

    from vrnlib.synthetic.faces import FaceRenderer, render_pair

    renderer, folder = FaceRenderer(), folder / how
    folder.mkdir()
    options = {"size": 192} if how == "crop" else {"size": 384, "canvas": 450}
    paths = [folder / f"{index:05d}.jpg" for index in range(count)]
    for index, path in enumerate(paths):
        Image.fromarray(render_pair(9, index, model=renderer, **options).image).save(path, quality=95)
        if how == "mat":  # a mean face in the middle: what it looks like takes no time
            pose = np.array([[0.1, 0.4, 0.0, 225.0, 225.0, 0.0, 1.2e-3]])
            savemat(
                path.with_suffix(".mat"),
                {"Pose_Para": pose, "Shape_Para": np.zeros((199, 1)), "Exp_Para": np.zeros((29, 1))},
            )
    return paths


def process(how: str, runtime: str, out: Path, chosen: list[Path]) -> float:
    """Milliseconds of the processor that a process needs for these targets, its start included."""

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return 1e3 * (usage.ru_utime + usage.ru_stime)

    before = spent()
    subprocess.run([sys.executable, __file__, "make", how, runtime, out, *chosen], check=True)
    return spent() - before


def rows(pictures: int, rounds: int, how: str, runtime: str) -> Iterator[Row]:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for way in WAYS if how == "all" else (how,):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            paths = make_pictures(folder, pictures, way)
            made = set(make(way, runtime, folder / "first", paths))  # files are cached, ONNX is exported
            faces = [path for path in paths if path.name in made]
            turns = [
                (process(way, runtime, folder / f"a{k}", faces[:1]), process(way, runtime, folder / f"b{k}", faces))
                for k in range(rounds)
            ]
        each, whole = np.array(turns).T
        together = (whole - each) / (len(faces) - 1)  # the start is paid once
        times, theirs = (Times(float(of.min()), float(np.median(of))) for of in (together, each))
        yield Row(job=f"a target from {WAYS[way]}", here=times, peer="a process per picture", theirs=theirs)


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(*sys.argv[2:4], Path(sys.argv[4]), [Path(name) for name in sys.argv[5:]])
    else:
        run(__doc__, rows, pictures=300, rounds=5, how=("all", *WAYS), runtime=("onnx", "torch"))
