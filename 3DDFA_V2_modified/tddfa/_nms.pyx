# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Compiled loop of tddfa.nms, which checks the arguments and documents them."""

from libc.stdint cimport uint8_t


def suppress(
    const float[::1] x0, const float[::1] y0, const float[::1] x1, const float[::1] y1, const float[::1] area,
    double threshold, uint8_t[::1] suppressed,
):
    """Marks the boxes (sorted, best first) that overlap an earlier one; every step is rounded to float32."""
    cdef Py_ssize_t n = x0.shape[0], i, j
    cdef float left, top, right, bottom, own, width, height, inter, overlap
    with nogil:
        for i in range(n):
            if suppressed[i]:
                continue
            left = x0[i]
            top = y0[i]
            right = x1[i]
            bottom = y1[i]
            own = area[i]
            for j in range(i + 1, n):
                width = min(right, x1[j]) - max(left, x0[j]) + 1
                height = min(bottom, y1[j]) - max(top, y0[j]) + 1
                if width > 0 and height > 0:
                    inter = width * height
                    overlap = inter / (own + area[j] - inter)
                else:
                    overlap = 0
                if overlap >= threshold:
                    suppressed[j] = 1
