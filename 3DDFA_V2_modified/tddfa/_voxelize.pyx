# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Thin bridge to voxelize_core.hpp; tddfa.voxelizer checks the arguments and documents them."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libcpp cimport bool as cbool


cdef extern from "voxelize_core.hpp" namespace "voxels" nogil:
    cbool c_closed "voxels::closed"(const int32_t*, int64_t)
    void c_voxelize "voxels::voxelize"(
        const double*, int64_t, const int32_t*, int64_t, int64_t, int64_t, int32_t, uint8_t*
    ) except +


def closed(const int32_t[:, ::1] triangles):
    cdef cbool answer
    with nogil:
        answer = c_closed(&triangles[0, 0], triangles.shape[0])
    return answer


def depth_range(const double[:, ::1] vertices, const int32_t[:, ::1] triangles):
    cdef double low = vertices[triangles[0, 0], 2], high = low, z
    cdef Py_ssize_t t, k
    with nogil:
        for t in range(triangles.shape[0]):
            for k in range(3):
                z = vertices[triangles[t, k], 2]
                low = min(low, z)
                high = max(high, z)
    return low, high


def voxelize(const double[:, ::1] vertices, const int32_t[:, ::1] triangles, uint8_t[:, :, ::1] volume):
    with nogil:
        c_voxelize(
            &vertices[0, 0], vertices.shape[0], &triangles[0, 0], triangles.shape[0],
            volume.shape[1], volume.shape[2], <int32_t>volume.shape[0], &volume[0, 0, 0],
        )
