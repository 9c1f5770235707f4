"""``vrn evaluate``: what `vrnlib.evaluation` measures, as a table, and with --out as JSON and a figure too."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vrnlib.evaluation import crops, distances, judging, landmarks, pictures, report
from vrnlib.evaluation.cases import AFLW2000, Cases, Pairs, Renders
from vrnlib.evaluation.methods import MethodChoice
from vrnlib.weight_files import OPEN_VRNS

CROP_DETECTORS = ("open", "tddfa", "fan")
"""Those of `vrnlib.landmarks.detectors` that find faces by themselves."""

DATA_SETS = ("renders", "pairs", "aflw2000")
"""What volumes and surfaces are judged on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand per measure."""
    measures = parser.add_subparsers(title="measures", metavar="MEASURE", dest="measure", required=True)

    measure = measures.add_parser("volumes", help="VRNs' volumes against true solids: IoU, depth of the front")
    measure.set_defaults(evaluate=evaluate_volumes)
    _add_cases(measure)

    measure = measures.add_parser("surfaces", help="VRNs' surfaces against true ones: NME, Chamfer, normals")
    measure.set_defaults(evaluate=evaluate_surfaces)
    _add_cases(measure)
    usual = distances.Options()
    text = "which true vertices (default: face; for pairs, which know no more, visible)"
    measure.add_argument("--vertices", choices=distances.VERTICES, help=text)
    for name, words in (
        ("correspondence", distances.CORRESPONDENCES),
        ("direction", distances.DIRECTIONS),
        ("depth", distances.DEPTHS),
    ):
        text = "see vrnlib.evaluation.distances (default: %(default)s)"
        measure.add_argument(f"--{name}", choices=words, default=getattr(usual, name), help=text)

    measure = measures.add_parser("landmarks", help="68 landmarks against labelled photos, e.g. AFLW2000-3D")
    measure.set_defaults(evaluate=evaluate_landmarks)
    text = "aflw2000: as 3DDFA ships it, or photos and .mat; folder: photos with .pts, .npy or .mat"
    measure.add_argument("--dataset", choices=pictures.DATA_SETS, default="aflw2000", help=text)
    measure.add_argument("--root", type=Path, required=True, metavar="DIR", help="where the data set lies")
    measure.add_argument("--detector", choices=landmarks.DETECTORS, default="tddfa")
    text = "tddfa: official, mb1, mb05, resnet22, open or a file; open: a FAN's weights"
    measure.add_argument("--weights", help=text)
    measure.add_argument("--bfm", metavar="FILE", help="tddfa: the face model, if not the one of the weights")
    measure.add_argument("--onnx", action="store_true", help="tddfa: run by ONNX Runtime")
    measure.add_argument("--photos", action="store_true", help="aflw2000: photos and .mat even where crops are there")
    _add_out(measure)

    measure = measures.add_parser("crops", help="which faces are found, and how well they are cropped")
    measure.set_defaults(evaluate=evaluate_crops)
    text = "rendered on the spot: portraits, composites, crowds; from --root: aflw2000, folder"
    choices = (*pictures.RENDERED, *pictures.DATA_SETS)
    measure.add_argument("--dataset", choices=choices, default="portraits", help=text)
    measure.add_argument("--count", type=int, default=400, help="rendered pictures")
    measure.add_argument("--root", type=Path, metavar="DIR", help="where the data set lies")
    measure.add_argument("--detector", choices=CROP_DETECTORS, default="open")
    measure.add_argument("--fan", metavar="FILE", help="open: other weights of the FAN")
    _add_out(measure)


def _add_cases(measure: argparse.ArgumentParser) -> None:
    """What volumes and surfaces have in common."""
    text = "renders: of a stream that no training saw; pairs: a folder of vrn targets; aflw2000: photos and .mat files"
    measure.add_argument("--dataset", choices=DATA_SETS, default="renders", help=text)
    measure.add_argument("--count", type=int, help="faces (default: 500 renders, all of a folder)")
    measure.add_argument("--root", type=Path, metavar="DIR", help="where pairs or aflw2000 lie")
    measure.add_argument("--bfm", type=Path, metavar="FILE", help="aflw2000: the Basel Face Model, if not at hand")
    text = f"VRNs, guided or multitask or neither, by a name or a file (default: {', '.join(OPEN_VRNS)})"
    measure.add_argument("--weights", nargs="+", default=OPEN_VRNS, metavar="[NAME=]FILE", help=text)
    measure.add_argument("--no-ensemble", action="store_true", help="show each crop once, see vrnlib.ensemble")
    text = "find and crop the faces by our detector, instead of cropping at the true landmarks"
    measure.add_argument("--found", action="store_true", help=text)
    text = "processes (default: as many as the machine has cores)"
    measure.add_argument("--workers", type=int, default=os.cpu_count() or 1, help=text)
    _add_out(measure)


def _add_out(measure: argparse.ArgumentParser) -> None:
    text = "write MEASURE.json, .md and .png there; without it the table is shown only"
    measure.add_argument("-o", "--out", type=Path, metavar="DIR", help=text)


def run(args: argparse.Namespace) -> int:
    """Show the report of a measure, and write it where one asks for it."""
    if args.out is not None:
        report.check_folder(args.out, args.measure)
    result = args.evaluate(args)
    print(report.markdown(result), end="")
    if args.out is not None:
        for path in report.write(result, args.out):
            print(path)
    return 0


def evaluate_volumes(args: argparse.Namespace) -> dict[str, Any]:
    """The report of ``vrn evaluate volumes``."""
    return _judged(args, distances.Options(), {})


def evaluate_surfaces(args: argparse.Namespace) -> dict[str, Any]:
    """The report of ``vrn evaluate surfaces``."""
    vertices = args.vertices or ("visible" if args.dataset == "pairs" else "face")
    options = distances.Options(
        vertices=vertices, correspondence=args.correspondence, direction=args.direction, depth=args.depth
    )
    return _judged(args, options, asdict(options))


def _judged(args: argparse.Namespace, options: distances.Options, said: dict[str, Any]) -> dict[str, Any]:
    if args.workers < 1:
        raise ValueError(f"Expected at least one of --workers, got {args.workers}.")
    cases, data = _cases(args)
    choice = MethodChoice(_weights(args.weights), ensemble=not args.no_ensemble)
    job = judging.Job(cases=cases, choice=choice, what=args.measure, options=options, found=args.found)
    verdict = judging.judge(job, workers=args.workers)
    cropped = "found by our detector" if args.found else "the true landmarks"
    surfaces = args.measure == "surfaces"
    usual = options == distances.Options()
    return report.make_report(
        evaluation=args.measure,
        data=f"{len(verdict.names)} {data}",
        names=verdict.names,
        yaws=verdict.yaws,
        errors=verdict.errors,
        options={"crops": cropped, "shown": "once" if args.no_ensemble else "as often as reconstruct does", **said},
        references=report.paper_rows(args.dataset, default_options=usual) if surfaces else (),
    )


def _cases(args: argparse.Namespace) -> tuple[Cases, str]:
    """The faces, and what they are."""
    if (args.dataset != "renders") != (args.root is not None):
        raise ValueError("Expected --root with --dataset pairs or aflw2000, and only there; give or leave it out.")
    if args.dataset == "renders":
        count = 500 if args.count is None else _at_least_one(args.count)
        return Renders(count, wide=args.found), "rendered faces of a stream that no training saw"
    root = _folder(args.root)
    cases = Pairs(root, _limit(args)) if args.dataset == "pairs" else AFLW2000(root, args.bfm, _limit(args))
    return cases, "crops with volumes" if args.dataset == "pairs" else "photos with .mat files"


def _limit(args: argparse.Namespace) -> int | None:
    return None if args.count is None else _at_least_one(args.count)


def _weights(given: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(name, file) of NAME=FILE, or of a name or path alone, whose stem is its name then."""
    pairs = []
    for text in given:
        name, equals, file = text.partition("=")
        pairs.append((name, file) if equals else (Path(text).stem, text))
    if any(not name or not file for name, file in pairs):
        raise ValueError(f"Expected --weights as NAME=FILE or FILE, got {' '.join(given)}.")
    return tuple(pairs)


def evaluate_landmarks(args: argparse.Namespace) -> dict[str, Any]:
    """The report of ``vrn evaluate landmarks``."""
    root = _folder(args.root)
    predict = landmarks.predictor(args.detector, weights=args.weights, model=args.bfm, onnx=args.onnx)
    ((kind, faces),) = pictures.data_sets(args.dataset, root, photos=args.photos).items()
    details = landmarks.evaluate_landmarks(faces, predict)
    each = details.pop("each")
    return report.make_report(
        evaluation="landmarks",
        data=f"{len(faces)} faces of {args.dataset} ({kind})",
        names=[face.path.relative_to(root).as_posix() for face in faces],
        yaws=each.pop("yaw"),
        errors={args.detector: each},
        options={"detector": args.detector, "weights": args.weights or "the usual ones"},
        details=details,
    )


def evaluate_crops(args: argparse.Namespace) -> dict[str, Any]:
    """The report of ``vrn evaluate crops``."""
    from vrnlib.landmarks.detectors import make_detector

    if (args.dataset in pictures.DATA_SETS) != (args.root is not None):
        names = " or ".join(pictures.DATA_SETS)
        raise ValueError(f"Expected --root with --dataset {names}, and only there; give or leave it out.")
    root, count = args.root and _folder(args.root), _at_least_one(args.count)
    detector = make_detector(args.detector, fan=args.fan)
    if root is not None:
        labelled, expected = pictures.labelled_pictures(args.dataset, root), None
    else:
        labelled, expected = pictures.RENDERED[args.dataset](count), count
    details = crops.evaluate_crops(labelled, detector, count=expected)
    each = details.pop("each")
    return report.make_report(
        evaluation="crops",
        data=f"{details['faces']} faces of {details['pictures']} pictures ({args.dataset})",
        names=[f"face {number}" for number in range(details["faces"])],
        yaws=each.pop("yaw"),
        errors={args.detector: each},
        options={"detector": args.detector, "fan": args.fan or "the usual one"},
        details=details,
    )


def _at_least_one(count: int) -> int:
    if count < 1:
        raise ValueError(f"Expected a --count of at least 1, got {count}.")
    return count


def _folder(root: Path) -> Path:
    if not root.is_dir():
        raise NotADirectoryError(f"Expected the data set's folder, {root} is none; check the path.")
    return root
