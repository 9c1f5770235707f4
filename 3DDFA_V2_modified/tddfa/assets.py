r"""Where the official files of 3DDFA_V2 come from, and whether they are whole.

None of them is part of this repository. A file is looked for at the path that the caller names, then in the folder
``$VRN_ASSETS``, then in the user's cache, and is fetched by https only when it is nowhere. Every file but one that
the caller names is compared with its git blob id: the SHA-1 of ``blob SIZE\0`` and the bytes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

__all__ = ["ASSETS", "Asset", "AssetError", "available", "cache_folder", "find", "git_blob_id", "is_whole", "resolve"]

SOURCE = "https://raw.githubusercontent.com/cleardusk/3DDFA_V2/1b6c67601abffc1e9f248b291708aef0e43b55ae"
"""3DDFA_V2 (Guo et al., ECCV 2020) at the commit whose files and figures this project is compared with."""

CODE_LICENCE = "MIT (3DDFA_V2)"
FACE_LICENCE = "academic use only (derived from the Basel Face Model 2009)"


class AssetError(ValueError):
    """A file that is missing or damaged; the message is one sentence that says where to get it."""


@dataclass(frozen=True)
class Asset:
    """One official file.

    Attributes:
        name: the file's name.
        size: its bytes, or None where they are not known.
        blob_id: git blob id, 40 hex digits, or None where no public copy is pinned.
        folder: "weights" or "configs", as users of 3DDFA_V2 keep it.
        url: where it is fetched from, or None.
        licence: its terms in short.
        note: what it is.
    """

    name: str
    size: int | None
    blob_id: str | None
    folder: str
    url: str | None
    licence: str
    note: str


def _asset(place: str, size: int | None, blob_id: str, licence: str, note: str) -> Asset:
    """An asset at its place in 3DDFA_V2's repository."""
    folder, name = place.split("/")[-2:]
    return Asset(name, size, blob_id, folder, f"{SOURCE}/{place}", licence, note)


_LIST = (
    _asset("configs/bfm_noneck_v3.pkl", 24393598, "7a44e1e29d658fc5d7303eb07cd820b23daab34a", FACE_LICENCE,
           "face model: mean, 40 shape and 10 expression components"),
    _asset("weights/mb1_120x120.pth", None, "bb78e0cd616fa578febb725b4be3a3ddd546f6b4", CODE_LICENCE,
           "regressor MobileNetV1 x1"),
    _asset("weights/mb05_120x120.pth", 3752462, "6b7be882d53da54cc84732b295695d5c89c93bc3", CODE_LICENCE,
           "regressor MobileNetV1 x0.5"),
    _asset("FaceBoxes/weights/FaceBoxesProd.pth", 4072492, "89c411c20eb55668e224b04cba549687ea242b57", CODE_LICENCE,
           "face detector"),
    _asset("configs/param_mean_std_62d_120x120.pkl", 713, "110c0f3eda9f7c610dd20a4ac96de848b76de443", CODE_LICENCE,
           "mean and standard deviation of the 62 parameters"),
    _asset("configs/tri.pkl", 913040, "31b52dcfb1a823649a6157f784ce39304c96ca6d", FACE_LICENCE,
           "triangles of the face model"),
    _asset("configs/ncc_code.npy", 460508, "b1411ff3a716a1d87d43c865525007e6d65fd2f0", FACE_LICENCE,
           "colours of a PNCC picture"),
    _asset("configs/indices.npy", 153588, "8dc0fbd5fcd3f46528ce0c8cb40fd5fa8432bed4", FACE_LICENCE,
           "rows of BFM_UV.mat that the face model keeps"),
    _asset("configs/BFM_UV.mat", 779401, "fa205443b62307647358facf6fd92b13166d0d86", FACE_LICENCE,
           "texture coordinates"),
    Asset("resnet22.pth", None, None, "weights", None, CODE_LICENCE,
          "regressor ResNet-22; 3DDFA_V2's readme links to it, no address is pinned"),
)  # fmt: skip

ASSETS: dict[str, Asset] = {asset.name: asset for asset in _LIST}


def resolve(name: str, *, path: str | PathLike[str] | None = None, download: bool = True) -> Path:
    """The file of an asset.

    Args:
        name: a key of ``ASSETS``.
        path: take this file instead; it is not compared with anything.
        download: fetch the file into the cache when it is nowhere.

    Raises:
        AssetError: no such file, a damaged one, or it could not be fetched.
        KeyError: no such asset.
    """
    asset = ASSETS[name]
    if path is not None:
        if not Path(path).is_file():
            raise AssetError(f"Expected {name} at {path}, found no such file; {_where(asset)}.")
        return Path(path)
    found = find(name)
    if found is not None and is_whole(asset, found):
        return found
    cached = cache_folder() / name
    if found is not None and (found != cached or not download):
        raise AssetError(
            f"Expected the official {name} ({_expected(asset)}), got {found} with {found.stat().st_size:,} bytes and "
            f"the git blob id {git_blob_id(found)}; delete it, then {_where(asset)}."
        )
    if not download or asset.url is None:
        raise AssetError(f"Expected {name} in $VRN_ASSETS or in {cache_folder()}, found it nowhere; {_where(asset)}.")
    _download(asset, cached)
    return cached


def available(name: str) -> bool:
    """Whether a file of this name is at hand, whole or not: ``resolve`` tells when it is damaged."""
    return find(name) is not None


def find(name: str) -> Path | None:
    """The asset's file in ``$VRN_ASSETS`` or the cache, not yet compared with its checksum, or None."""
    asset, places = ASSETS[name], []
    root = os.environ.get("VRN_ASSETS")
    if root:
        places = [Path(root, part, name) for part in ("", f"official/{asset.folder}", asset.folder)]
    return next((place for place in [*places, cache_folder() / name] if place.is_file()), None)


def is_whole(asset: Asset, path: Path) -> bool:
    """Whether the file's checksum is the asset's; True for an asset without a pinned one."""
    return asset.blob_id is None or git_blob_id(path) == asset.blob_id


def git_blob_id(path: str | PathLike[str]) -> str:
    """The id (40 hex digits) under which git stores a file's content."""
    digest = hashlib.sha1(b"blob %d\0" % os.path.getsize(path), usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def cache_folder() -> Path:
    """The user's cache: ``$VRN_CACHE``, or the system's usual place. It may not exist yet."""
    chosen = os.environ.get("VRN_CACHE")
    if chosen:
        return Path(chosen)
    import pooch

    return Path(pooch.os_cache("vrn"))


def _download(asset: Asset, target: Path) -> None:
    """Fetch an asset; the target appears whole and with the right checksum or not at all."""
    import pooch

    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{asset.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        try:
            pooch.HTTPDownloader(timeout=30)(asset.url, str(temporary), None)
        except (OSError, ValueError) as error:  # requests' errors are OSErrors
            instead = " in place of the damaged one in the cache" if target.is_file() else ""
            raise AssetError(
                f"Expected to fetch {asset.name}{instead}, got {type(error).__name__}; {_where(asset)}."
            ) from error
        if not is_whole(asset, temporary):
            raise AssetError(
                f"Expected the official {asset.name} ({_expected(asset)}) from {asset.url}, "
                f"got {temporary.stat().st_size:,} other bytes; try again later."
            )
        temporary.chmod(0o644)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _expected(asset: Asset) -> str:
    """Size and checksum in words."""
    size = f"{asset.size:,} bytes, " if asset.size else ""
    return f"{size}git blob id {asset.blob_id}"


def _where(asset: Asset) -> str:
    """How to get an asset, the end of a sentence."""
    place = f"put it into $VRN_ASSETS/{asset.folder}"
    if asset.url is None:
        return f"get it as 3DDFA_V2's readme says and {place}"
    return f"fetch it from {asset.url} and {place} ({asset.licence})"
