# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Compiled loop of tddfa.nms, which checks the arguments and documents them."""


cdef inline float larger(float a, float b) noexcept nogil:
    return a if a > b else b


cdef inline float smaller(float a, float b) noexcept nogil:
    return a if a < b else b


def suppress(
    const float[::1] x0, const float[::1] y0, const float[::1] x1, const float[::1] y1, const float[::1] area,
    float threshold, int[::1] suppressed,
):
    """Marks the boxes (sorted, best first) that overlap an earlier one; every step is rounded to float32."""
    cdef Py_ssize_t n = x0.shape[0], i, j
    cdef float left, top, right, bottom, own, inter, overlap
    with nogil:
        for i in range(n):
            if suppressed[i]:
                continue
            left = x0[i]
            top = y0[i]
            right = x1[i]
            bottom = y1[i]
            own = area[i]
            for j in range(i + 1, n):  # no branch inside: the compiler takes several boxes at once
                inter = larger(0, smaller(right, x1[j]) - larger(left, x0[j]) + 1) * larger(
                    0, smaller(bottom, y1[j]) - larger(top, y0[j]) + 1
                )
                overlap = inter / (own + area[j] - inter)
                suppressed[j] |= overlap >= threshold
