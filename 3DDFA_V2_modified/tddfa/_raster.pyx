# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Thin bridge to raster_core.hpp; tddfa.raster checks the arguments and documents them."""

from libc.stdint cimport int32_t, int64_t
from libcpp cimport bool as cbool


cdef extern from "raster_core.hpp" namespace "raster" nogil:
    int c_rasterize "raster::rasterize"(
        const float*, int64_t, const int32_t*, int64_t, int64_t, int64_t, cbool, int, int32_t*, float*, float*
    )
    int c_render "raster::render"(
        const float*, int64_t, const int32_t*, int64_t, const float*, int64_t, int64_t, cbool, int, float*, float*
    )
    void c_interpolate "raster::interpolate"(
        const float*, int64_t, const int32_t*, const int32_t*, const float*, int64_t, float*
    )
    void c_vertex_normals "raster::vertex_normals"(const float*, int64_t, const int32_t*, int64_t, double, float*)


def rasterize(
    const float[:, ::1] vertices,
    const int32_t[:, ::1] triangles,
    int32_t[:, ::1] triangle,
    float[:, :, ::1] barycentric,
    float[:, ::1] depth,
    bint cull,
    int threads,
):
    cdef int64_t height = depth.shape[0], width = depth.shape[1]
    cdef int too_far
    if vertices.shape[0] == 0 or triangles.shape[0] == 0 or height == 0 or width == 0:
        return 0
    with nogil:
        too_far = c_rasterize(
            &vertices[0, 0], vertices.shape[0], &triangles[0, 0], triangles.shape[0], height, width, cull, threads,
            &triangle[0, 0], &barycentric[0, 0, 0], &depth[0, 0],
        )
    return too_far


def render(
    const float[:, ::1] vertices,
    const int32_t[:, ::1] triangles,
    const float[:, ::1] colors,
    float[:, ::1] depth,
    float[:, :, ::1] out,
    bint cull,
    int threads,
):
    cdef int64_t height = depth.shape[0], width = depth.shape[1]
    cdef int too_far
    if vertices.shape[0] == 0 or triangles.shape[0] == 0 or height == 0 or width == 0:
        return 0
    with nogil:
        too_far = c_render(
            &vertices[0, 0], vertices.shape[0], &triangles[0, 0], triangles.shape[0], &colors[0, 0], height, width,
            cull, threads, &depth[0, 0], &out[0, 0, 0],
        )
    return too_far


def interpolate(
    const float[:, ::1] attributes,
    const int32_t[:, ::1] triangles,
    const int32_t[:, ::1] triangle,
    const float[:, :, ::1] barycentric,
    float[:, :, ::1] out,
):
    if out.size == 0 or attributes.shape[0] == 0 or triangles.shape[0] == 0:
        return
    with nogil:
        c_interpolate(
            &attributes[0, 0], attributes.shape[1], &triangles[0, 0], &triangle[0, 0], &barycentric[0, 0, 0],
            <int64_t>triangle.shape[0] * triangle.shape[1], &out[0, 0, 0],
        )


def vertex_normals(
    const float[:, ::1] vertices, const int32_t[:, ::1] triangles, double sign, float[:, ::1] out
):
    if vertices.shape[0] == 0 or triangles.shape[0] == 0:
        return
    with nogil:
        c_vertex_normals(
            &vertices[0, 0], vertices.shape[0], &triangles[0, 0], triangles.shape[0], sign, &out[0, 0]
        )
