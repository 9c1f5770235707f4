"""Do the tests notice the mistakes that this project warns of? ``bash build.sh test-mutations`` makes them one by one.

A fault is one line of code turned into a mistake that somebody once made: the original project, a student, or we. Each
is made in a copy of the tree, the tests that should notice are run there without the files outside the repository, and
one of them must fail. Before that the same tests must pass in a copy without a fault. What is printed is a table in
Markdown. The exit code is 1 when a fault survives, or when a fault's old text is not in its file exactly once.

To mend the table after a change: give a short piece of the new line as ``old``. ``tests/test_repository.py`` tells
which rows need it. ``python tests/mutations.py WORD`` makes only those faults whose lesson or file has the word.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("3DDFA_V2_modified", "vrnlib", "tests", "notebooks", "pyproject.toml", "README.md", "build.sh")
AT_ONCE = 2
CORE = "3DDFA_V2_modified/tddfa/"


class Fault(NamedTuple):
    """One mistake. ``tests``: names of pytest, below tests/, divided by blanks; one of them must fail."""

    lesson: str
    file: str
    old: str
    new: str
    tests: str


# fmt: off
FAULTS = (
    # what the original got wrong
    Fault("a target is a solid, not splatted vertices", CORE + "voxelizer.py",
          "_voxelize.voxelize(scaled, corners, volume)",
          "volume[:] = 0; k = np.rint(scaled[:, ::-1]).astype(int); "
          "volume[tuple(k[((k >= 0) & (k < volume.shape)).all(1)].T)] = 1",
          "test_voxelize.py::test_a_solid_is_not_a_shell_of_splatted_vertices"),
    Fault("volumes are [z, y, x], never [x, y, z]", CORE + "voxelizer.py",
          "return volume.view(bool), float(offset)", "return volume.view(bool).T, float(offset)",
          "test_voxelize.py::test_axes_are_z_y_x_and_the_camera_sees_the_last_slice"),
    Fault("a training target keeps its rows and columns", "vrnlib/training/batches.py",
          "torch.from_numpy(solid)", "torch.from_numpy(solid).transpose(1, 2)",
          "test_lessons.py::test_a_target_lies_over_its_picture_pixel_by_pixel"),
    Fault("the loss is a sigmoid per voxel, no softmax over depth", "vrnlib/training/vrn.py",
          "return F.binary_cross_entropy_with_logits(logits, solid.to(logits.dtype))",
          "return -(logits.log_softmax(1) * solid).sum(1).mean()",
          "test_training_loop.py::test_voxel_loss_is_a_mean_over_voxels_and_not_a_softmax_over_depth"),
    Fault("a volume's probabilities are sigmoids, no softmax over depth", "vrnlib/reconstruct.py",
          "torch.sigmoid(logits)", "torch.softmax(logits, 1)",
          "test_reconstruct.py::test_every_face_becomes_a_surface"),
    Fault("the face in a crop is 90 pixels large, without a plot's margins", CORE + "crop.py",
          "FACE_SIZE / math.sqrt(", "49.0 / math.sqrt(",
          "test_crop.py::test_the_face_is_90_pixels_large_in_the_crop"),
    Fault("a crop keeps red red", CORE + "crop.py",
          "return np.clip(np.rint(result), 0, 255).astype(np.uint8)",
          "return np.clip(np.rint(result), 0, 255).astype(np.uint8)[:, :, ::-1]",
          "test_crop.py::test_colours_stay_rgb"),
    Fault("a target's crop is written with its colours in order", CORE + "targets.py",
          "crop[:, :, ::-1]", "crop", "test_targets.py::test_targets_are_the_exact_solids_of_the_crops"),
    Fault("cleaning up never touches the input", CORE + "targets.py",
          "for stale in filter(None, (target, crop_file)):", "for stale in filter(None, (target, crop_file, picture)):",
          "test_lessons.py::test_models_are_loaded_once_for_a_folder_and_its_pictures_stay"),
    Fault("a picture that turns bad loses its old target", CORE + "targets.py",
          "stale.unlink(missing_ok=True)", "pass",
          "test_targets.py::test_a_picture_that_turns_bad_leaves_no_old_target"),
    Fault("one process for a folder: models are loaded once", CORE + "targets.py",
          "fitter = fitter or _fitter_of(job.choice)", "fitter = job.choice.build()",
          "test_lessons.py::test_models_are_loaded_once_for_a_folder_and_its_pictures_stay"),
    Fault("VRN sees 0 to 1 when it predicts", "vrnlib/reconstruct.py",
          "[None].float() / 255", "[None].float()",
          "test_reconstruct.py::test_the_network_sees_rgb_between_0_and_1"),
    Fault("VRN sees RGB when it predicts", "vrnlib/reconstruct.py",
          "image.transpose(2, 0, 1)", "image[:, :, ::-1].transpose(2, 0, 1)",
          "test_reconstruct.py::test_the_network_sees_rgb_between_0_and_1"),
    Fault("networks see 0 to 1 when they learn", "vrnlib/training/batches.py",
          "(image.float() / 255)", "image.float()",
          "test_lessons.py::test_training_and_inference_give_a_network_the_same_numbers"),
    Fault("VRN's raw dump is unsigned", CORE + "volume_file.py",
          "np.fromfile(path, np.uint8)", "np.fromfile(path, np.int8)",
          "test_volume_file.py::test_the_raw_dump_is_unsigned"),
    Fault("the original's .npy is indexed [x, y, z]", CORE + "volume_file.py",
          "volume.transpose(2, 1, 0)", "volume.reshape(volume.shape[::-1])",
          "test_volume_file.py::test_the_originals_npy_is_indexed_x_y_z"),
    # colours
    Fault("FaceBoxes sees BGR", CORE + "faceboxes.py",
          "cv2.cvtColor(image, cv2.COLOR_RGB2BGR)", "np.ascontiguousarray(image)",
          "test_lessons.py::test_faceboxes_sees_blue_first_less_the_mean"),
    Fault("3DDFA_V2's regressor sees BGR", CORE + "regressor.py",
          "crop[:, :, ::-1].astype(np.float32)", "crop.astype(np.float32)",
          "test_lessons.py::test_the_regressor_sees_blue_first_about_minus_one_to_one"),
    Fault("FAN sees 0 to 1", "vrnlib/landmarks/alignment.py",
          "permute(0, 3, 1, 2).float() / 255", "permute(0, 3, 1, 2).float()",
          "test_landmarks.py::test_points_come_back_in_photo_pixels_whatever_the_box"),
    Fault("FAN sees RGB", "vrnlib/landmarks/alignment.py",
          "permute(0, 3, 1, 2).float() / 255", "flip(3).permute(0, 3, 1, 2).float() / 255",
          "test_landmarks.py::test_points_come_back_in_photo_pixels_whatever_the_box"),
    # one crop seen several times
    Fault("a shifted crop is shifted back, not on", "vrnlib/ensemble.py",
          "shifted(logits, -dx, -dy)", "shifted(logits, dx, dy)",
          "test_lessons.py::test_crops_are_shifted_to_either_side_by_half_a_column_in_all"),
    Fault("a mirrored crop is mirrored back", "vrnlib/ensemble.py",
          "self.vrn(crop.flip(3)).flip(3)", "self.vrn(crop.flip(3))",
          "test_lessons.py::test_crops_are_shifted_to_either_side_by_half_a_column_in_all"),
    Fault("landmarks that guide are mirrored with the crop", "vrnlib/ensemble.py",
          "points = points[:, torch.from_numpy(MIRRORED.copy())] *", "points = points *",
          "test_onnx_vrn.py::test_landmarks_go_where_the_crop_goes"),
    Fault("landmarks that guide are reduced with the crop", "vrnlib/network.py",
          "points = (landmarks[..., :2] + 0.5) * shrink - 0.5", "points = landmarks[..., :2]",
          "test_network.py::test_guided_draws_its_landmarks_where_the_reduced_picture_has_them"),
    Fault("landmarks that guide a training change sides in the mirror", "vrnlib/training/augment.py",
          "moved[MIRRORED] if np.linalg.det(matrix[:, :2]) < 0 else moved", "moved",
          "test_training_data.py::test_landmarks_move_with_the_picture_and_change_sides_in_the_mirror"),
    Fault("multitask's maps lie at 4 i + 1.5", "vrnlib/training/vrn.py",
          "cells = (batch[2] - 1.5) / 4", "cells = batch[2] / 4",
          "test_training_loop.py::test_multitask_learns_both_answers_and_its_maps_have_the_landmarks_in_their_cells"),
    Fault("nothing old listens to anything new when a network grows", "vrnlib/training/growth.py",
          "target[: len(tensor), tensor.shape[1] :] = 0", "pass",
          "test_growth.py::test_a_vrn_grows_to_a_guided_one_that_does_not_listen_yet"),
    Fault("two processes share the statistics of their batch", "vrnlib/training/engine.py",
          "distributed.all_reduce(values)", "pass",
          "test_training_processes.py::test_two_processes_have_the_losses_of_one_with_the_same_batch"),
    Fault("a resumed training goes on in the middle of its epoch", "vrnlib/training/loop.py",
          "for step in range(self.start, self.config.steps):", "for step in range(self.config.steps - self.start):",
          "test_training_loop.py::test_sampler_continues_where_it_stopped"),
    Fault("crops are shifted to either side, none too far", "vrnlib/ensemble.py",
          "back, on = -(half // 2), half - half // 2", "back, on = 0, half",
          "test_lessons.py::test_crops_are_shifted_to_either_side_by_half_a_column_in_all"),
    Fault("shifted crops are half a column apart", "vrnlib/ensemble.py",
          "round(2 * size / ", "round(4 * size / ",
          "test_ensemble.py::test_half_a_column_is_two_pixels_or_three"),
    Fault("a mirrored face's landmarks change sides", "vrnlib/landmarks/alignment.py",
          "points[..., MIRRORED, :]", "points.copy()",
          "test_landmarks.py::test_a_mirrored_pass_gives_the_points_of_the_photo"),
    Fault("a mirrored training face's landmarks change sides", "vrnlib/training/fan.py",
          "landmarks = landmarks[MIRRORED]", "landmarks = landmarks",
          "test_training_data.py::test_mirrored_landmarks_keep_the_viewers_left_on_the_left"),
    Fault("the mirror is about the middle between pixels", "vrnlib/landmarks/alignment.py",
          "width - 1 - moved", "width - moved",
          "test_landmarks.py::test_a_mirrored_pass_gives_the_points_of_the_photo"),
    # light
    Fault("a lamp lights the side where it is", "vrnlib/synthetic/lighting.py",
          "cosine = normals @ lamp.direction", "cosine = normals @ -lamp.direction",
          "test_lessons.py::test_a_lamp_at_a_side_lights_that_side"),
    Fault("the sky is above although y runs down", "vrnlib/synthetic/lighting.py",
          "0.5 - 0.5 * normals[:, 1]", "0.5 + 0.5 * normals[:, 1]",
          "test_lessons.py::test_the_sky_is_above"),
    Fault("shadow is behind what the lamp sees", "vrnlib/synthetic/lighting.py",
          "lit += z > depth", "lit += z < depth",
          "test_lessons.py::test_a_face_that_sees_the_lamp_is_not_in_shadow"),
    Fault("the lamp of the drawn mesh is in front", CORE + "lighting.py",
          "LAMP = np.array([0.0, 0.0, 5.0]", "LAMP = np.array([0.0, 0.0, -5.0]",
          "test_draw.py::test_lit_mesh_is_brightest_where_it_faces_the_lamp"),
    Fault("the grey views are lit from the front", "vrnlib/show.py",
          "(LIGHT / np.linalg.norm(LIGHT))", "(-LIGHT / np.linalg.norm(LIGHT))",
          "test_show.py::test_light_falls_from_the_front"),
    # pictures that get smaller
    Fault("a reduced render is blurred first", "vrnlib/training/augment.py",
          "image = cv2.GaussianBlur(image, ", "cv2.GaussianBlur(image, ",
          "test_lessons.py::test_a_reduced_render_does_not_alias"),
    Fault("a reduced crop takes every pixel into account", CORE + "crop.py",
          "max(1.0, 1 / scale) / 2", "0.5",
          "test_crop.py::test_downsampling_takes_every_pixel_into_account"),
    Fault("VRN's own reduction does not alias", "vrnlib/network.py",
          "antialias=True", "antialias=False",
          "test_lessons.py::test_a_vrn_that_reduces_its_crop_does_not_let_it_alias"),
    # half pixels
    Fault("FAN's cells lie at 4 i + 1.5", "vrnlib/network.py",
          "torch.arange(columns, device=image.device) * 4 + 1.5", "torch.arange(columns, device=image.device) * 4",
          "test_network.py::test_fan_decodes_a_peak_to_sub_pixel_position"),
    Fault("FAN's targets lie at (pixel - 1.5) / 4", "vrnlib/training/fan.py",
          "(target[..., :2] - 1.5) / 4", "target[..., :2] / 4",
          "test_lessons.py::test_heat_maps_are_wanted_where_the_lattice_lies"),
    Fault("a volume is enlarged by pixel areas, not by corners", "vrnlib/network.py",
          "mode=between, align_corners=False", "mode=between, align_corners=True",
          "test_lessons.py::test_a_volume_lies_straight_above_its_picture"),
    Fault("coarse columns are sampled in the middle of their cells", CORE + "voxelizer.py",
          "(points[:, axis] + 0.5) / step - 0.5", "points[:, axis] / step",
          "test_voxelize.py::test_step_samples_the_lattice_of_the_feature_map"),
    Fault("the crop's middle is 95.5", CORE + "crop.py",
          "shift = (size - 1) / 2 - ", "shift = size / 2 - ",
          "test_crop.py::test_scale_and_middle"),
    Fault("numbers in .pts files count from 1", "vrnlib/landmarks/files.py",
          "dtype=np.float64) - 1", "dtype=np.float64)", "test_landmark_files.py::test_given_points"),
    # depth
    Fault("z is halved into pixels", "vrnlib/surface.py",
          "(z - offset) / SLICES_PER_PIXEL", "(z - offset)",
          "test_surface.py::test_axes_of_an_asymmetric_block"),
    Fault("a solid is centred on slice 99.5", CORE + "voxelizer.py",
          "return (depth - 1) / 2 - (low + high) / 2", "return depth / 2 - (low + high) / 2",
          "test_voxelize.py::test_a_solid_is_centred_in_depth_wherever_it_is"),
    Fault("a solid that is too deep keeps its nose", CORE + "voxelizer.py",
          "return depth - 0.5 - high", "return -0.5 - low",
          "test_voxelize.py::test_a_solid_that_is_too_deep_keeps_its_front"),
    Fault("z is scaled with x and y", CORE + "crop.py",
          "rows[2] * similarity_scale(matrix)", "rows[2]", "test_crop.py::test_round_trip"),
    Fault("the nose is nearest to the camera", "vrnlib/synthetic/camera.py",
          "q[:, 2] *= np.float32(self.scale)", "q[:, 2] *= -np.float32(self.scale)",
          "test_synthetic.py::test_nose_points_to_the_camera_and_chin_is_below_when_frontal"),
    # surfaces and their files
    Fault("marching cubes' faces look outwards", "vrnlib/surface.py",
          "if surface.volume < 0:", "if surface.volume > 0:",
          "test_surface.py::test_the_surface_of_a_ball_is_sub_voxel"),
    Fault("who turns y turns the faces, too (OBJ, GLB)", "vrnlib/surface.py",
          "vertices=vertices, faces=np.ascontiguousarray(surface.faces[:, ::-1])",
          "vertices=vertices, faces=surface.faces",
          "test_surface.py::test_files_reopen_with_axes_winding_and_colours"),
    Fault("OBJ and PLY of tddfa have y up", CORE + "export.py",
          "np.array([1, -1, 1], np.float32)", "np.array([1, 1, 1], np.float32)",
          "test_draw.py::test_meshes_open_in_trimesh_with_colours_and_unclamped"),
    # detection
    Fault("the largest face comes first", "vrnlib/landmarks/__init__.py",
          "key=lambda face: -face.size", "key=lambda face: face.size",
          "test_landmarks.py::test_every_face_is_found_once_largest_first"),
    Fault("a target is fitted to the largest face", CORE + "fitters.py",
          "np.argmax(", "np.argmin(",
          "test_targets.py::test_a_photo_is_fitted_twice_in_its_largest_face"),
    Fault("a box covers its last pixel", CORE + "nms.py",
          "(x1 - x0 + 1) * (y1 - y0 + 1)", "(x1 - x0) * (y1 - y0)",
          "test_nms.py::test_a_box_covers_its_last_pixel test_nms.py::test_compiled_equals_numpy"),
    Fault("a roi is rounded half to even", CORE + "boxes.py",
          "(round(float(value)) for value in roi)", "(int(np.floor(float(value) + 0.5)) for value in roi)",
          "test_geometry.py::test_crop_rounds_half_to_even_and_pads_black"),
    Fault("3DDFA_V2's crop has y up", CORE + "geometry.py",
          "np.array([1.0, -1.0, 1.0], vertices.dtype)", "np.array([1.0, 1.0, 1.0], vertices.dtype)",
          "test_training_regressor.py::test_roi_from_image_undoes_image_from_roi"),
    Fault("photos are turned upright by their EXIF", CORE + "decoding.py",
          "ImageOps.exif_transpose(picture)", "picture", "test_images.py::test_exif_rotation_is_applied"),
    # training and measuring
    Fault("the average of the weights begins after the warm-up", "vrnlib/training/loop.py",
          "average.n_averaged.zero_()", "pass",
          "test_lessons.py::test_the_average_begins_after_the_warm_up"),
    Fault("a solid is judged by its overlap, not by accuracy", "vrnlib/training/vrn.py",
          "(predicted & solid).sum(1) / (predicted | solid).sum(1)", "(predicted == solid).float().mean(1)",
          "test_training_loop.py::test_iou_sees_swapped_axes"),
    Fault("volumes with swapped axes get no score", "vrnlib/metrics.py",
          "if a.shape != b.shape:", "if a.size != b.size:", "test_metrics.py::test_iou_refuses_swapped_axes"),
    Fault("errors are relative to the outer eye corners", CORE + "ibug.py",
          "OUTER_EYE_CORNERS = (36, 45)", "OUTER_EYE_CORNERS = (39, 42)",
          "test_metrics.py::test_nme_is_relative_to_the_outer_eye_corners"),
    Fault("Run All of JupyterLab stops behind an error", "vrnlib/course/copies.py",
          'cell.metadata["tags"] = ["raises-exception"]', "pass",
          "test_course.py::test_undone_exercises_stop_nothing"),
    Fault("an error of the system is told without its number", CORE + "archives.py",
          "sentence(error)", "error",
          "test_morphable.py::test_damaged_archives_are_told"),
    Fault("a header is anybody's JSON, its class need not be a word", "vrnlib/weight_files.py",
          "not isinstance(kind, str) or kind not in CONFIGS", "kind not in CONFIGS",
          "test_network.py::test_a_header_of_an_unknown_kind_is_refused"),
)
# fmt: on


def misplaced(fault: Fault) -> str | None:
    """What is wrong with a row of the table, or None."""
    path = ROOT / fault.file
    if not path.is_file():
        return f"{fault.file} is gone"
    times = path.read_text(encoding="utf-8").count(fault.old)
    return None if times == 1 else f"{fault.file} holds {fault.old!r} {times} times, not once"


def copy_tree(to: Path) -> None:
    """The files that tests need, with the compiled modules and without what is left of earlier runs."""
    skip = shutil.ignore_patterns("__pycache__", "*.ipynb", "*.cpp", "student")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=skip)
        else:
            shutil.copy2(ROOT / name, to / name)


def run_tests(folder: Path, tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests in a copy until one fails; its own packages come before the installed ones."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VRN_ASSETS", "VRN_REFERENCE")}
    environment |= {
        "PYTHONPATH": os.pathsep.join([str(folder), str(folder / "3DDFA_V2_modified")]),
        "PYTHONDONTWRITEBYTECODE": "1",  # a module that was changed twice within a second must not come from a cache
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
    }
    names = [f"tests/{name}" for name in tests.split()]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider", *names]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


def noticed(fault: Fault) -> str | None:
    """The test that fails with this fault; None when all pass. Raises RuntimeError when they cannot be run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_tree(folder)
        path = folder / fault.file
        path.write_text(path.read_text(encoding="utf-8").replace(fault.old, fault.new), encoding="utf-8")
        done = run_tests(folder, fault.tests)
    failed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    if done.returncode == 1 and failed:
        return failed[0].removeprefix("tests/").split("[")[0]
    if done.returncode == 0:
        return None
    raise RuntimeError(f"{fault.lesson}: the tests did not run.\n{done.stdout[-2000:]}{done.stderr[-1000:]}")


def check_without_faults(faults: list[Fault]) -> None:
    """RuntimeError unless all the tests pass as the tree is, on the copy's own packages."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_tree(folder)
        (folder / "tests" / "test_copy.py").write_text(
            "import tddfa, vrnlib\n\n\n"
            "def test_packages_are_the_copy_s():\n"
            f"    assert all({name!r} in package.__file__ for package in (tddfa, vrnlib))\n"
        )
        tests = sorted({test for fault in faults for test in fault.tests.split()})
        done = run_tests(folder, " ".join(["test_copy.py", *tests]))
    if done.returncode != 0:
        raise RuntimeError(f"Expected the tests to pass without a fault, they do not.\n{done.stdout[-3000:]}")


def main(words: list[str]) -> int:
    faults = [fault for fault in FAULTS if all(word in fault.lesson + fault.file for word in words)]
    wrong = [reason for fault in faults if (reason := misplaced(fault))]
    for reason in wrong:
        print(f"mutations.py: {reason}; mend the table.", file=sys.stderr)
    faults = [fault for fault in faults if misplaced(fault) is None]
    check_without_faults(faults)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(noticed, faults))
    print("| lesson | where | the test that notices |\n|---|---|---|")
    for fault, test in zip(faults, results, strict=True):
        print(f"| {fault.lesson} | `{Path(fault.file).name}` | {f'`{test}`' if test else '**none: it survives**'} |")
    survived = results.count(None)
    print(f"\n{len(results) - survived} of {len(results)} faults are noticed.")
    return 1 if wrong or survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
