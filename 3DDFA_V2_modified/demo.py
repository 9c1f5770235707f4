"""A photo of faces becomes one of 3DDFA_V2's nine outputs.

python3 demo.py -f PHOTO -o 3d
python3 demo.py -f PHOTO -o obj --onnx -c configs/mb05_120x120.yml --show_flag false

Without -c the official weights and face model are used where they are at hand, else the open ones of this repository.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tddfa import TDDFA, FaceBoxes, MorphableModel, read_config
from tddfa.console import run_command
from tddfa.images import read_photo
from tddfa.outputs import MESHES, OUTPUTS, check_arrays_target, find_faces, save_arrays, save_output

RESULTS = Path("examples/results")


def main(argv: Sequence[str] | None = None) -> int:
    """Gives the exit code: 0; after one sentence on stderr 1, or 130 for Ctrl-C."""
    arguments = _parser().parse_args(argv)
    return run_command("demo", lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="A photo of faces becomes one of 3DDFA_V2's nine outputs.")
    parser.add_argument("-f", "--img_fp", type=Path, required=True, metavar="PHOTO", help="JPEG, PNG, TIFF, WebP, ...")
    parser.add_argument("-o", "--opt", default="2d_sparse", choices=OUTPUTS, help="default: 2d_sparse")
    parser.add_argument("-c", "--config", type=Path, metavar="YML", help="models, such as configs/mb05_120x120.yml")
    parser.add_argument("--bfm", type=Path, metavar="FILE", help="a face model instead of the configuration's")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="weights instead of the configuration's")
    parser.add_argument("-m", "--mode", default="cpu", choices=("cpu",), help="the networks run on the CPU")
    parser.add_argument("--onnx", action="store_true", help="run the networks with ONNX Runtime")
    parser.add_argument("--show_flag", type=_yes_or_no, default=True, metavar="true|false", help="open a window")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER", help=f"default: {RESULTS}")
    parser.add_argument("--arrays", type=Path, metavar="FILE.npz", help="save boxes, parameters, vertices, poses too")
    return parser


def _yes_or_no(word: str) -> bool:
    """The words that 3DDFA_V2 takes for true and false."""
    if word.lower() in ("yes", "true", "t", "y", "1"):
        return True
    if word.lower() in ("no", "false", "f", "n", "0"):
        return False
    raise argparse.ArgumentTypeError(f"expected true or false, got {word!r}")


def _run(arguments: argparse.Namespace) -> int:
    image = read_photo(arguments.img_fp)
    if arguments.arrays is not None:
        check_arrays_target(arguments.arrays, source=arguments.img_fp)
    detector, tddfa = open_models(arguments)
    faces = find_faces(image, detector, tddfa)
    if not len(faces):
        raise ValueError(f"No face was found in {arguments.img_fp}; try a photo in which a face is larger.")
    print(f"Detect {len(faces)} faces")
    ending = arguments.opt if arguments.opt in MESHES else "jpg"
    path = arguments.out / f"{arguments.img_fp.stem}_{arguments.opt}.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = save_output(arguments.opt, path, image, faces, tddfa.model, source=arguments.img_fp)
    if arguments.opt == "pose":
        for yaw, pitch, roll in faces.pose_deg:
            print(f"yaw: {yaw:.1f}, pitch: {pitch:.1f}, roll: {roll:.1f}")
    print(f"Save the result to {path}")
    if arguments.arrays is not None:
        print(f"Save the arrays to {save_arrays(arguments.arrays, faces)}")
    if picture is not None and arguments.show_flag:
        show(picture)
    return 0


def open_models(arguments: argparse.Namespace) -> tuple[FaceBoxes, TDDFA]:
    """The detector and the regressor that the arguments name."""
    runtime = "onnx" if arguments.onnx else "torch"
    weights, model = arguments.checkpoint, None
    if arguments.config is not None:
        config = read_config(arguments.config, checkpoint=weights, face_model=arguments.bfm)
        weights, model = config.checkpoint, config.load_model()
    elif arguments.bfm is not None:
        model = MorphableModel.load(arguments.bfm)
        weights = weights or ("open" if arguments.bfm.suffix == ".npz" else "official")
    tddfa = TDDFA(weights, model=model, runtime=runtime)
    if weights is None and tddfa.model.name == "open":
        print("The official files are not at hand, so the open weights and face model are used.")
    return FaceBoxes(runtime=runtime), tddfa


def show(picture: np.ndarray) -> None:
    """Open a window with the picture and wait until it is closed, where windows can be had."""
    import matplotlib.pyplot as plt

    if plt.get_backend().lower() == "agg":
        print("No window can be opened here; look at the file.")
        return
    height, width = picture.shape[:2]
    plt.figure(figsize=(12, 12 * height / width))
    plt.subplots_adjust(left=0, right=1, top=1, bottom=0)
    plt.axis("off")
    plt.imshow(picture)
    plt.show()


if __name__ == "__main__":
    raise SystemExit(main())
