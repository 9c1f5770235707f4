import numpy as np
from numpy.typing import NDArray

def rasterize(
    vertices: NDArray[np.float32],
    triangles: NDArray[np.int32],
    triangle: NDArray[np.int32],
    barycentric: NDArray[np.float32],
    depth: NDArray[np.float32],
    cull: bool,
    threads: int,
) -> int: ...
def render(
    vertices: NDArray[np.float32],
    triangles: NDArray[np.int32],
    colors: NDArray[np.float32],
    depth: NDArray[np.float32],
    out: NDArray[np.float32],
    cull: bool,
    threads: int,
) -> int: ...
def interpolate(
    attributes: NDArray[np.float32],
    triangles: NDArray[np.int32],
    triangle: NDArray[np.int32],
    barycentric: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None: ...
def vertex_normals(
    vertices: NDArray[np.float32], triangles: NDArray[np.int32], sign: float, out: NDArray[np.float32]
) -> None: ...
