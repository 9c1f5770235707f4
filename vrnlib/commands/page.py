"""The web page of `vrn app`: upload a photo, turn the face in the browser, move the threshold, take the files.

The page is Gradio's (extra `app`). It asks nothing of other machines, and keeps no photo: an upload is deleted when its
faces were found, the picture in memory when the visit ends; Gradio's copies of the results go after `keep` seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import cv2
import gradio
import numpy as np
from starlette.middleware import Middleware

from tddfa import save_volume
from tddfa.arrays import Image
from tddfa.console import sentence
from tddfa.contract import MIDDLE_SLICE
from tddfa.export import obj_files
from tddfa.texture import photo_texture
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

MAX_VISITS = 50
"""Of so many visits the photo is in memory; of the next, the oldest must upload it again."""


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
        self.uploads: Counter[str] = Counter()
        self.visits: dict[str, tuple[Image, list[Crop]] | None] = {}
        self.page = self._page(keep)

    def find(self, upload: tuple[Path, str] | None, detector: str, request: gradio.Request) -> tuple[Any, Image]:
        """A photo → the choice of its faces, and the photo with the landmarks drawn.

        Args:
            upload: the file and the name that the visitor knows; it is deleted, unless another visitor waits for it.
            detector: one of the names on the page.
            request: whose visit it is.

        Raises:
            PhotoError: no photo, or none in which a face was found; one sentence without the server's paths.
        """
        if upload is None:
            raise PhotoError("There is no photo yet; upload one, or take the example.")
        path, name = upload
        try:
            return self._faces(read_photo(path, max_pixels=MAX_PIXELS), detector, request)
        except PhotoError as error:
            raise PhotoError(sentence(error).replace(str(path), name)) from None
        finally:
            self.uploads[str(path)] -= 1
            if self.uploads[str(path)] <= 0:
                del self.uploads[str(path)]
                path.unlink(missing_ok=True)

    def find_in_example(self, detector: str, request: gradio.Request) -> tuple[Any, Image]:
        """As `find`, for scikit-image's public-domain photo of an astronaut."""
        from skimage.data import astronaut

        return self._faces(astronaut(), detector, request)

    def show(self, choice: str, level: float, request: gradio.Request) -> tuple[Image, str, list[str]]:
        """One face → its crop, the .glb for the page, and the files to download.

        Raises:
            PhotoError: there is no such face yet.
            SurfaceError: nothing is above the level.
        """
        visit = str(request.session_hash)
        known = self.visits.get(visit)
        number = int(choice.split()[-1]) - 1 if choice else 0
        if known is None or not 0 <= number < len(known[1]):
            raise PhotoError("There is no face yet; upload a photo first.")
        photo, crop = known[0], known[1][number]
        probability = predict_volume(self.networks.vrn, crop.image, crop.landmarks)
        surface = color_surface(extract_surface(probability, level=level), crop.image)
        texture = photo_texture(photo, crop.to_photo(surface.vertices))
        folder = self.folder / "results" / visit
        folder.mkdir(parents=True, exist_ok=True)
        endings = (".glb", ".obj", ".ply", ".npz", "_obj.zip")
        glb, obj, ply, volume, packed = (folder / f"face_{number + 1}{ending}" for ending in endings)
        for path in (glb, obj, ply):
            save_surface(path, surface, texture=texture)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in obj_files(obj):
                archive.write(path, path.name)
                path.unlink()
        save_volume(volume, solid(probability, level=level), offset=MIDDLE_SLICE, meta={"level": level})
        if visit not in self.visits:  # it ended before the files were there
            self.leave(request)
            raise PhotoError("The visit is over; upload the photo again.")
        return crop.image, str(glb), [str(path) for path in (glb, packed, ply, volume)]

    def leave(self, request: gradio.Request) -> None:
        """A visit is over: its photo and its files go."""
        self.visits.pop(str(request.session_hash), None)
        shutil.rmtree(self.folder / "results" / str(request.session_hash), ignore_errors=True)

    def _faces(self, photo: Image, detector: str, request: gradio.Request) -> tuple[Any, Image]:
        if detector not in self.detectors:
            raise PhotoError(f"Expected a detector out of {', '.join(self.detectors)}, got {detector!r}.")
        visit = str(request.session_hash)
        self.visits[visit] = self.visits.pop(visit, None)  # the youngest now
        photo, faces = upright(_reduced(photo), self.detectors[detector])
        faces = faces[:MAX_FACES]
        if not faces:
            raise PhotoError("No face was found; try a photo in which a face is larger or better lit.")
        drawn = photo
        for face in faces:
            drawn = draw_landmarks(drawn, face)
        names = [f"face {number + 1}" for number in range(len(faces))]
        choice = gradio.Radio(choices=names, value=names[0], visible=len(names) > 1)
        if visit in self.visits:  # else it is over
            self.visits[visit] = photo, [crop_face(photo, face) for face in faces]
        for oldest in list(self.visits)[:-MAX_VISITS]:
            self.visits.pop(oldest, None)
        return choice, drawn

    def _page(self, keep: int) -> gradio.Blocks:
        with gradio.Blocks(
            title="One photo becomes a 3D face", analytics_enabled=False, delete_cache=(max(keep // 10, 1), keep)
        ) as page:
            gradio.Markdown(
                "# One photo becomes a 3D face\n"
                "A volumetric regression network (Jackson et al., 2017) says for each of seven million voxels whether "
                "it belongs to the head. Photos are not kept."
            )
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
                    grey = (0.93, 0.93, 0.93, 1.0)
                    model = gradio.Model3D(label="The face: drag to turn it", clear_color=grey, height=420)
                    level = gradio.Slider(
                        0.05, 0.95, value=0.5, step=0.05, label="Threshold: the probability on the surface"
                    )
                    crop = gradio.Image(label="What the network sees", interactive=False, height=220, buttons=[])
                    text = "Take away: surface with the photo on it (.glb, .obj) or coloured (.ply), volume (.npz)"
                    files = gradio.Files(label=text, interactive=False)

            found, chosen, surface = [face, drawn], [face, level], [crop, model, files]
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
                state_session_capacity=MAX_VISITS,
                app_kwargs={"middleware": [Middleware(_CountedUploads, count=app.uploads)]},
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


class _CountedUploads:
    """Counts how often each file is uploaded: the same photo of two visitors is one file to Gradio."""

    def __init__(self, app: Any, *, count: Counter[str]) -> None:
        self.app, self.count = app, count

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        uploaded = scope["type"] == "http" and scope["path"].endswith("/upload")

        async def counted(message: Any) -> None:
            if uploaded and message.get("body", b"").startswith(b'["'):  # else it is refused, in words
                self.count.update(json.loads(message["body"]))
            await send(message)

        await self.app(scope, receive, counted)


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
