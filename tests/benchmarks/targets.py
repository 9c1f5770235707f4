"""Times volume targets on one core: ``python tests/benchmarks/targets.py [--pictures 300] [--rounds 5] [--torch]``.

``vrn targets`` is one process for all pictures. Beside it runs what it replaces, a process per picture, as the original
generator had it: a fresh Python that imports, loads the networks and the face model, and makes one target with the same
code. The pictures are as large as 300W-LP's. Both take turns, and the best turn of each counts; CPU time is what
compares on a busy machine.

With ``VRN_ASSETS`` set the networks are the official ones (with the stand-in of the face model where the original file
is missing), without it the open ones.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import numpy as np

WHOLE = 122_450  # pictures of 300W-LP, flipped ones included


def choice(how: str, torch: bool):
    from tddfa.assets import available
    from tddfa.fitters import FitterChoice

    model = None
    standin = Path(os.environ.get("VRN_ASSETS", ""), "official/configs/bfm_noneck_v3.standin.pkl")
    if not available("bfm_noneck_v3.pkl") and standin.is_file():
        model = str(standin)
    weights = "mb05" if available("mb05_120x120.pth") and (model or available("bfm_noneck_v3.pkl")) else "open"
    return FitterChoice(how=how, weights=weights, model=model, runtime="torch" if torch else "onnx")


def make(how: str, torch: bool, out: Path, paths: list[Path]) -> list[str]:
    """The whole life of a process: the names of the pictures that got a target."""
    from tddfa.targets import make_targets
    from vrnlib.images import read_photo

    chosen = choice(how, torch)
    return make_targets(paths, out, root=paths[0].parent, read=read_photo, choice=chosen, progress=False).made


def pictures(folder: Path, count: int, how: str) -> list[Path]:
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


def seconds(function: Callable[[], object]) -> np.ndarray:
    """Wall and CPU seconds of the processes that a function starts."""

    def spent() -> np.ndarray:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return np.array([time.perf_counter(), usage.ru_utime + usage.ru_stime])

    before = spent()
    function()
    return spent() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=300, help="pictures for one process (default 300)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way (default 5)")
    parser.add_argument("--torch", action="store_true", help="both by torch instead of ONNX Runtime")
    parser.add_argument("--how", choices=("photo", "crop", "mat"), default="photo")
    parser.add_argument("--make", nargs="+", type=Path, metavar=("OUT", "PICTURE"), help="make these targets and end")
    args = parser.parse_args()
    if args.make:
        make(args.how, args.torch, args.make[0], args.make[1:])
        return

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = pictures(folder, args.pictures, args.how)
        made = set(make(args.how, args.torch, folder / "first", paths))  # files are cached, ONNX is exported
        faces = [path for path in paths if path.name in made]
        print(f"{len(faces)} of {len(paths)} pictures have a face that is found")

        def process(number: int, chosen: list[Path]) -> np.ndarray:
            command = [sys.executable, __file__, "--how", args.how, *(["--torch"] if args.torch else []), "--make"]
            return seconds(lambda: subprocess.run([*command, folder / f"out{number}", *chosen], check=True))

        turns = [(process(2 * k, faces[k : k + 1]), process(2 * k + 1, faces)) for k in range(args.rounds)]
    each, whole = np.min(turns, axis=0)
    together = (whole - each) / (len(faces) - 1)  # the start is paid once
    print(f"{args.how}, {'torch' if args.torch else 'ONNX Runtime'}, one core{'':<22}{'wall s':>10}{'CPU s':>10}")
    rows = {"a process per picture": each, "one process, per picture": together}
    rows |= {f"300W-LP in hours, {label.split(',')[0]}": times * WHOLE / 3600 for label, times in rows.items()}
    for label, times in rows.items():
        print(f"{label:<46}{times[0]:>10.3f}{times[1]:>10.3f}")
    ratio = each / together
    print(f"{'ratio':<46}{ratio[0]:>9.0f}x{ratio[1]:>9.0f}x")


if __name__ == "__main__":
    main()
