"""What the compiled modules do, in NumPy and SciPy: slow, short, and compared with them by the tests.

Read these first. Each function takes what its compiled twin takes and returns the same.
"""

import numpy as np
from scipy import ndimage

from .contract import CROP_SIZE, SLICES_PER_PIXEL, VOLUME_DEPTH
from .mesh import signed_volume, summed_normals
from .nms import by_score, checked_boxes
from .raster import RasterBuffers

SUBPIXELS = 1024


def scan_triangle(corners: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The pixel centres inside one triangle.

    Args:
        corners: (3, 2) int64, x and y in 1/1024 pixel.
        height: rows of the frame.
        width: columns of the frame.

    Returns:
        x (P,), y (P,), the corners' weights (P, 3) as int64 whose sum is |area|, and twice the signed area. A centre
        on an edge counts when the edge goes down the screen, or runs left, with the inside on its positive side: the
        neighbour's edge goes the other way.
    """
    low = np.maximum(-(-corners.min(0) // SUBPIXELS), 0)
    high = np.maximum(np.minimum(corners.max(0) // SUBPIXELS, [width - 1, height - 1]), low - 1)
    y, x = np.mgrid[low[1] : high[1] + 1, low[0] : high[0] + 1].reshape(2, -1)
    (ax, ay), (bx, by), (cx, cy) = corners
    area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    inside = np.full(x.shape, area != 0)
    weights = np.empty((len(x), 3), np.int64)
    for k in range(3):
        start, end = corners[(k + 1) % 3], corners[(k + 2) % 3]
        if area < 0:
            start, end = end, start
        ux, uy = end - start
        weights[:, k] = ux * (y * SUBPIXELS - start[1]) - uy * (x * SUBPIXELS - start[0])
        owns_boundary = uy > 0 or (uy == 0 and ux < 0)
        inside &= weights[:, k] >= 0 if owns_boundary else weights[:, k] > 0
    return x[inside], y[inside], weights[inside], int(area)


def rasterize(vertices: np.ndarray, triangles: np.ndarray, height: int, width: int) -> RasterBuffers:
    """Twin of :func:`tddfa.raster.rasterize`."""
    vertices = np.asarray(vertices, np.float32).astype(np.float64)
    finite = np.isfinite(vertices).all(1)
    snapped = np.rint(np.where(finite[:, None], vertices[:, :2], 0) * SUBPIXELS).astype(np.int64)
    buffers = RasterBuffers(
        np.full((height, width), -1, np.int32),
        np.zeros((height, width, 3), np.float32),
        np.full((height, width), -np.inf, np.float32),
    )
    for number, corners in enumerate(triangles):
        if not finite[corners].all():
            continue
        x, y, weights, area = scan_triangle(snapped[corners], height, width)
        barycentric = weights * (1.0 / max(abs(area), 1))
        z = (barycentric @ vertices[corners, 2]).astype(np.float32)
        nearer = z > buffers.depth[y, x]
        x, y = x[nearer], y[nearer]
        buffers.depth[y, x] = z[nearer]
        buffers.triangle[y, x] = number
        buffers.barycentric[y, x] = barycentric[nearer]
    return buffers


def interpolate(
    attributes: np.ndarray, triangles: np.ndarray, buffers: RasterBuffers, background: float = 0.0
) -> np.ndarray:
    """Twin of :func:`tddfa.raster.interpolate`."""
    corners = np.asarray(attributes, np.float32)[triangles[buffers.triangle]]
    values = (corners * buffers.barycentric[..., None]).sum(2)
    return np.where((buffers.triangle >= 0)[..., None], values, np.float32(background))


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray, *, axes: str = "image") -> np.ndarray:
    """Twin of :func:`tddfa.raster.vertex_normals`."""
    vertices = np.asarray(vertices, np.float64)
    normals = summed_normals(vertices, triangles) * (-1 if axes == "image" else 1)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0).astype(np.float32)


def voxelize(
    vertices: np.ndarray, triangles: np.ndarray, *, size: int = CROP_SIZE, depth: int = VOLUME_DEPTH, step: int = 1
) -> tuple[np.ndarray, float]:
    """Twin of :func:`tddfa.voxelizer.voxelize`: crossings per column, their running sum, and two clean-ups."""
    vertices = np.asarray(vertices, np.float64)
    z = SLICES_PER_PIXEL * vertices[np.unique(triangles), 2]
    too_deep = np.ptp(z) > depth
    offset = depth - 0.5 - z.max() if too_deep else (depth - 1) / 2 - (z.min() + z.max()) / 2
    snapped = np.rint(((vertices[:, :2] + 0.5) / step - 0.5) * SUBPIXELS).astype(np.int64)
    slices = SLICES_PER_PIXEL * vertices[:, 2] + offset
    outwards = signed_volume(vertices, triangles) > 0
    side = size // step
    change = np.zeros((depth + 1, side, side), np.int32)
    for corners in triangles:
        x, y, weights, area = scan_triangle(snapped[corners], side, side)
        crossing = np.ceil((weights @ slices[corners]) / max(abs(area), 1))
        entering = (area < 0) == outwards
        np.add.at(change, (np.clip(crossing, 0, depth).astype(int), y, x), 1 if entering else -1)
    solid = np.cumsum(change, axis=0)[:depth] > 0
    labels, count = ndimage.label(solid)
    if count > 1:
        solid = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    return ndimage.binary_fill_holes(solid), float(offset)


def nms(boxes: np.ndarray, threshold: float) -> list[int]:
    """Twin of :func:`tddfa.nms.nms`."""
    boxes = checked_boxes(boxes)
    x0, y0, x1, y1 = boxes[:, :4].T
    area = (x1 - x0 + 1) * (y1 - y0 + 1)
    order, keep = by_score(boxes), []
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(int(best))
        width = np.maximum(0, np.minimum(x1[best], x1[rest]) - np.maximum(x0[best], x0[rest]) + 1)
        height = np.maximum(0, np.minimum(y1[best], y1[rest]) - np.maximum(y0[best], y0[rest]) + 1)
        inter = width * height
        overlap = inter / (area[best] + area[rest] - inter)
        order = rest[overlap.astype(np.float64) < threshold]
    return keep
