"""The web page of `vrn app`: upload a photo, turn the face in the browser, move the threshold, take the files.

The page is Gradio's (extra `app`). It asks nothing of other machines, and keeps no photo: an upload is deleted when
its faces were found; what a visit may download is deleted when the visit ends, and everything when the page stops.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import cv2
import gradio
import numpy as np

from tddfa import save_volume
from tddfa.arrays import Image
from tddfa.console import sentence
from tddfa.contract import MIDDLE_SLICE
from vrnlib.crop import Crop, crop_face
from vrnlib.export import save_surface
from vrnlib.images import PhotoError, read_photo
from vrnlib.landmarks.detectors import Detector
from vrnlib.landmarks.retries import upright
from vrnlib.reconstruct import Networks, predict_volume
from vrnlib.show import draw_landmarks
from vrnlib.surface import color_surface, extract_surface, solid

MAX_FACES = 10
"""So many faces of a photo are offered, the largest."""

MAX_PIXELS = 50_000_000
"""A larger photo is refused; every camera's is smaller."""

LONGEST_SIDE = 1600
"""A photo is reduced to this many pixels, so that no visitor waits long for another's."""

MAX_UPLOAD = "20mb"

WAITING = 64
"""So many requests may wait; the next is told to come back."""

Found = tuple[list[Crop], Any, Image]


class App:
    """The page and what it holds: networks, detectors, and the folder of what may be downloaded.

    Args:
        networks: from `vrnlib.reconstruct.open_networks`.
        detectors: those offered, by the name on the page; the first is chosen at the start.
        folder: for uploads and results; its owner deletes it.
        keep: seconds after which a result is deleted at the latest.
    """

    def __init__(self, networks: Networks, detectors: dict[str, Detector], folder: Path, *, keep: int = 900) -> None:
        self.networks = networks
        self.detectors = detectors
        self.folder = folder
        self.page = self._page(keep)

    def find(self, upload: tuple[Path, str] | None, detector: str) -> Found:
        """A photo → its crops, the choice of faces, and the photo with the landmarks drawn.

        Args:
            upload: the file and the name that the visitor knows; it is deleted.
            detector: one of the names on the page.

        Raises:
            PhotoError: no photo, or none in which a face was found; one sentence without the server's paths.
        """
        if upload is None:
            raise PhotoError("There is no photo yet; upload one, or take the example.")
        path, name = upload
        try:
            return self._faces(read_photo(path, max_pixels=MAX_PIXELS), detector)
        except PhotoError as error:
            raise PhotoError(sentence(error).replace(str(path), name)) from None
        finally:
            path.unlink(missing_ok=True)

    def find_in_example(self, detector: str) -> Found:
        """As `find`, for scikit-image's public-domain photo of an astronaut."""
        from skimage.data import astronaut

        return self._faces(astronaut(), detector)

    def show(
        self, crops: list[Crop], choice: str, level: float, request: gradio.Request
    ) -> tuple[Image, str, list[str]]:
        """One face → its crop, the .glb for the page, and the files to download.

        Raises:
            PhotoError: there is no such face yet.
            SurfaceError: nothing is above the level.
        """
        number = int(choice.split()[-1]) - 1 if choice else 0
        if not 0 <= number < len(crops):
            raise PhotoError("There is no face yet; upload a photo first.")
        crop = crops[number]
        probability = predict_volume(self.networks.vrn, crop.image, crop.landmarks)
        surface = color_surface(extract_surface(probability, level=level), crop.image)
        folder = self.folder / "results" / str(request.session_hash)
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"face_{number + 1}"
        paths = [folder / f"{stem}{ending}" for ending in (".glb", ".obj", ".ply", ".npz")]
        for path in paths[:3]:
            save_surface(path, surface)
        save_volume(paths[3], solid(probability, level=level), offset=MIDDLE_SLICE, meta={"level": level})
        return crop.image, str(paths[0]), [str(path) for path in paths]

    def leave(self, request: gradio.Request) -> None:
        """A visit is over: its files go."""
        shutil.rmtree(self.folder / "results" / str(request.session_hash), ignore_errors=True)

    def _faces(self, photo: Image, detector: str) -> Found:
        if detector not in self.detectors:
            raise PhotoError(f"Expected a detector out of {', '.join(self.detectors)}, got {detector!r}.")
        photo = _reduced(photo)
        photo, faces = upright(photo, self.detectors[detector])
        faces = faces[:MAX_FACES]
        if not faces:
            raise PhotoError("No face was found; try a photo in which a face is larger or better lit.")
        drawn = photo
        for face in faces:
            drawn = draw_landmarks(drawn, face)
        names = [f"face {number + 1}" for number in range(len(faces))]
        choice = gradio.Radio(choices=names, value=names[0], visible=len(names) > 1)
        return [crop_face(photo, face) for face in faces], choice, drawn

    def _page(self, keep: int) -> gradio.Blocks:
        with gradio.Blocks(
            title="One photo becomes a 3D face", analytics_enabled=False, delete_cache=(max(keep // 10, 1), keep)
        ) as page:
            gradio.Markdown(
                "# One photo becomes a 3D face\n"
                "A volumetric regression network (Jackson et al., 2017) says for each of seven million voxels whether "
                "it belongs to the head. Photos are not kept."
            )
            crops = gradio.State([], time_to_live=3600)
            with gradio.Row():
                with gradio.Column():
                    photo = gradio.Image(
                        label="Your photo", sources=["upload", "webcam", "clipboard"], height=320, buttons=[]
                    )
                    # Gradio would decode the picture itself; ours refuses what is no photo, in a sentence.
                    photo.preprocess = _upload
                    example = gradio.Button("Take the example: an astronaut (public domain)")
                    detector = gradio.Radio(
                        choices=list(self.detectors),
                        value=next(iter(self.detectors)),
                        label="Landmarks by",
                        visible=len(self.detectors) > 1,
                    )
                    drawn = gradio.Image(label="The landmarks found", interactive=False, buttons=[])
                with gradio.Column():
                    face = gradio.Radio(choices=[], label="Which face", visible=False)
                    model = gradio.Model3D(
                        label="The face: drag to turn it", clear_color=(0.93, 0.93, 0.93, 1.0), height=420
                    )
                    level = gradio.Slider(
                        0.05, 0.95, value=0.5, step=0.05, label="Threshold: the probability on the surface"
                    )
                    crop = gradio.Image(label="What the network sees", interactive=False, height=220, buttons=[])
                    files = gradio.Files(
                        label="Take away: surface (.glb, .obj, .ply) and volume (.npz)", interactive=False
                    )

            found, surface = [crops, face, drawn], [crop, model, files]
            chosen = [crops, face, level]
            show = _told(self.show)
            photo.input(_told(self.find), [photo, detector], found, api_name="find").success(
                show, chosen, surface, api_name=False
            )
            example.click(_told(self.find_in_example), [detector], found, api_name="example").success(
                show, chosen, surface, api_name=False
            )
            level.release(show, chosen, surface, api_name="show")
            face.input(show, chosen, surface, api_name=False)
            page.unload(self.leave)
        page.queue(max_size=WAITING, default_concurrency_limit=1)
        return page


@contextmanager
def serving(
    networks: Networks,
    detectors: dict[str, Detector],
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    keep: int = 900,
) -> Iterator[str]:
    """Serve the page while the context lasts; gives its address.

    Raises:
        OSError: the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix=".vrn-app-", ignore_cleanup_errors=True) as folder:
        before = os.environ.get("GRADIO_TEMP_DIR")
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder) / "uploads")  # Gradio asks nowhere else
        app = App(networks, detectors, Path(folder), keep=keep)
        try:
            _, address, _ = app.page.launch(
                server_name=host,
                server_port=port,
                max_file_size=MAX_UPLOAD,
                state_session_capacity=100,
                prevent_thread_lock=True,
                share=False,
                quiet=True,
                footer_links=[],
                ssr_mode=False,
                allowed_paths=[str(Path(folder) / "results")],
                theme=gradio.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
            )
            yield address
        finally:
            app.page.close()
            if before is None:
                del os.environ["GRADIO_TEMP_DIR"]
            else:
                os.environ["GRADIO_TEMP_DIR"] = before


def _upload(payload: Any) -> tuple[Path, str] | None:
    if payload is None:
        return None
    if payload.path is None:
        raise gradio.Error("The photo did not come as a file; upload it.", print_exception=False)
    return Path(payload.path), Path(payload.orig_name or "The photo").name


def _told(job: Callable[..., Any]) -> Callable[..., Any]:
    """The job, whose errors for users reach the page as sentences."""

    @wraps(job)
    def told(*arguments: Any) -> Any:
        try:
            return job(*arguments)
        except (ValueError, OSError) as error:
            raise gradio.Error(sentence(error), print_exception=False) from None

    return told


def _reduced(photo: Image) -> Image:
    height, width = photo.shape[:2]
    factor = LONGEST_SIDE / max(height, width)
    if factor >= 1:
        return photo
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    return np.ascontiguousarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA))
