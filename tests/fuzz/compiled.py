"""Atheris on what meets bytes or arrays of unknown origin: the compiled core, volume files, pickles and .mat files.

Atheris changes its inputs by which lines they reach. A fault is any error but a ValueError of ours, or a dead process;
libFuzzer keeps the input in the folder where this runs: ``python -m tests.fuzz.compiled -max_total_time=60``.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tddfa"], enable_loader_override=False):
    import numpy as np

    from tddfa.mat_files import read_arrays
    from tddfa.nms import SOFT_NMS_METHODS, nms, soft_nms
    from tddfa.raster import RasterBuffers, interpolate, rasterize, render_colors, vertex_normals
    from tddfa.safe_pickle import load_pickle
    from tddfa.volume_file import load_volume
    from tddfa.voxelizer import depth_offset, voxelize

FILE = Path(tempfile.mkdtemp()) / "face.mat"

TYPES = ("<f4", "<f8", "<i4", "<i8", "|u1", "|i1", "|b1", "<u8")


def array(data: atheris.FuzzedDataProvider) -> np.ndarray:
    """Any small array, also strided and turned."""
    kind = np.dtype(TYPES[data.ConsumeIntInRange(0, len(TYPES) - 1)])
    axes = data.ConsumeIntInRange(0, 3)
    usual = (data.ConsumeIntInRange(0, 12), data.PickValueInList([2, 3, 4, 5]), data.ConsumeIntInRange(0, 4))
    shape = usual[:axes]
    wanted = int(np.prod(shape, dtype=int)) * kind.itemsize
    numbers = np.frombuffer(data.ConsumeBytes(wanted).ljust(wanted, b"\1"), kind).reshape(shape)
    if kind.kind == "i" and data.ConsumeBool():
        numbers = numbers % 8
    if kind.kind == "f" and data.ConsumeBool():
        with np.errstate(all="ignore"):
            numbers = np.nan_to_num(numbers, posinf=9, neginf=-9) % 50
    return numbers[::-1] if axes and data.ConsumeBool() else numbers


def try_one(raw: bytes) -> None:
    """One call of one function."""
    data = atheris.FuzzedDataProvider(raw)
    which = data.ConsumeIntInRange(0, 9)
    side = data.ConsumeIntInRange(-1, 20)
    try:
        if which == 0:
            nms(array(data), data.ConsumeFloat())
        elif which == 1:
            soft_nms(array(data), method=data.PickValueInList(list(SOFT_NMS_METHODS)))
        elif which == 2:
            buffers = rasterize(array(data), array(data), side, data.ConsumeIntInRange(0, 9), threads=side)
            interpolate(array(data), array(data), buffers)
        elif which == 3:
            odd = RasterBuffers(array(data), array(data), array(data))
            interpolate(array(data), array(data), odd)
        elif which == 4:
            render_colors(array(data), array(data), array(data), side, 7, array(data))
        elif which == 5:
            vertex_normals(array(data), array(data))
        elif which == 6:
            voxelize(array(data), array(data), size=side, depth=8, step=data.ConsumeIntInRange(-1, 3))
            depth_offset(array(data), array(data), depth=side)
        elif which == 7:
            load_volume("volume.npz", data=data.ConsumeBytes(len(raw)))
        elif which == 8:
            load_pickle(data.ConsumeBytes(len(raw)))
        else:
            FILE.write_bytes(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + data.ConsumeBytes(len(raw)))
            read_arrays(FILE, ("Pose_Para", "pt2d", ""))
    except ValueError as error:
        assert len(str(error).split()) > 3, error


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()
