// Solid voxelisation of a closed triangle mesh, column by column.
//
// A column is the line along z through a lattice point (i, j). Each triangle over that point is a crossing: there the
// winding number of a walk towards the camera changes by +1 (entering) or -1 (leaving). The rasteriser gives every
// lattice point on a shared edge to exactly one side, so the crossings of a closed mesh add up to zero in every
// column. What is kept of a column is its runs: slices k0 <= k < k1 where the winding number is positive.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "raster_core.hpp"

namespace voxels {

struct Run {
    int32_t begin, end;  // slices begin <= k < end
};

// The runs of all columns, column after column; column c owns runs[first[c]] .. runs[first[c + 1] - 1].
struct Columns {
    int64_t height, width;
    int32_t depth;
    std::vector<int64_t> first;
    std::vector<Run> runs;
};

// Disjoint sets of numbers, with path halving.
struct Sets {
    std::vector<int64_t> parent;
    explicit Sets(int64_t n) : parent(n) {
        for (int64_t i = 0; i < n; ++i) parent[i] = i;
    }
    int64_t find(int64_t i) {
        while (parent[i] != i) i = parent[i] = parent[parent[i]];
        return i;
    }
    void join(int64_t a, int64_t b) {
        a = find(a);
        b = find(b);
        if (a != b) parent[std::max(a, b)] = std::min(a, b);
    }
};

inline uint64_t scramble(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

// Whether each edge is walked as often one way as the other: a 64-bit number per edge, added for the one direction
// and subtracted for the other, leaves zero.
inline bool closed(const int32_t* triangles, int64_t m) {
    uint64_t sum = 0;
    for (int64_t t = 0; t < m; ++t)
        for (int k = 0; k < 3; ++k) {
            const uint64_t a = uint32_t(triangles[3 * t + k]), b = uint32_t(triangles[3 * t + (k + 1) % 3]);
            if (a < b) sum += scramble((a << 32 | b) + 0x9e3779b97f4a7c15ull);
            if (a > b) sum -= scramble((b << 32 | a) + 0x9e3779b97f4a7c15ull);
        }
    return sum == 0;
}

// Six times the signed volume, measured from the first vertex.
inline double signed_volume(const double* v, const int32_t* triangles, int64_t m) {
    const double ox = v[0], oy = v[1], oz = v[2];
    double sum = 0;
    for (int64_t t = 0; t < m; ++t) {
        const double* a = v + 3 * int64_t(triangles[3 * t]);
        const double* b = v + 3 * int64_t(triangles[3 * t + 1]);
        const double* c = v + 3 * int64_t(triangles[3 * t + 2]);
        const double ax = a[0] - ox, ay = a[1] - oy, az = a[2] - oz;
        const double bx = b[0] - ox, by = b[1] - oy, bz = b[2] - oz;
        const double cx = c[0] - ox, cy = c[1] - oy, cz = c[2] - oz;
        sum += ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx);
    }
    return sum;
}

// vertices: lattice units in x and y, slices in z. outwards: the cross product (b - a) x (c - a) points outwards.
inline Columns trace(const double* vertices, int64_t n, const int32_t* triangles, int64_t m, int64_t height,
                     int64_t width, int32_t depth, bool outwards) {
    struct Crossing {
        int32_t column, key;  // key: slice * 2 + (1 when entering)
    };
    raster::Grid grid;
    grid.points.resize(n);
    for (int64_t i = 0; i < n; ++i)
        grid.points[i] = {raster::round_to_even(vertices[3 * i] * raster::kOne),
                          raster::round_to_even(vertices[3 * i + 1] * raster::kOne)};
    Columns columns{height, width, depth, std::vector<int64_t>(height * width + 1, 0), {}};
    std::vector<Crossing> crossings;
    crossings.reserve(size_t(std::min<int64_t>(4 * height * width, 1 << 18)));
    auto hit = [&](int64_t t, int64_t p, double w0, double w1, double w2, double area) {
        const int32_t* corners = triangles + 3 * t;
        const double z = (w0 * vertices[3 * int64_t(corners[0]) + 2] + w1 * vertices[3 * int64_t(corners[1]) + 2] +
                          w2 * vertices[3 * int64_t(corners[2]) + 2]) /
                         std::fabs(area);
        const double inside = std::min(std::max(z, 0.0), double(depth));
        int32_t slice = int32_t(inside);
        slice += slice < inside;  // the first slice at or above the crossing
        const int32_t entering = (area < 0) == outwards;  // area is the z of the cross product
        crossings.push_back({int32_t(p), 2 * slice + entering});
    };
    raster::scan_mesh(grid, triangles, m, {width, 0, int32_t(height - 1)}, hit);
    // Sort by column (counting), then each column's few crossings by slice (insertion).
    std::vector<int64_t>& first = columns.first;
    for (const Crossing& c : crossings) ++first[c.column + 1];
    for (int64_t c = 0; c < height * width; ++c) first[c + 1] += first[c];
    std::vector<int32_t> keys(crossings.size());
    std::vector<int64_t> next(first.begin(), first.end() - 1);
    for (const Crossing& c : crossings) {
        int64_t at = next[c.column]++;
        for (; at > first[c.column] && keys[at - 1] > c.key; --at) keys[at] = keys[at - 1];
        keys[at] = c.key;
    }
    columns.runs.reserve(crossings.size() / 2);
    int64_t begin = 0;
    for (int64_t c = 0; c < height * width; ++c) {
        const int64_t end = first[c + 1];
        first[c] = int64_t(columns.runs.size());
        int32_t winding = 0, entry = 0;
        for (int64_t i = begin; i < end;) {
            const int32_t slice = keys[i] >> 1, before = winding;
            for (; i < end && keys[i] >> 1 == slice; ++i) winding += keys[i] & 1 ? 1 : -1;
            if (before <= 0 && winding > 0) entry = slice;
            if (before > 0 && winding <= 0 && entry < slice) columns.runs.push_back({entry, slice});
        }
        begin = end;
    }
    first[height * width] = int64_t(columns.runs.size());
    return columns;
}

// Replaces the runs; runs(c, out) appends column c's new ones.
template <class Runs>
inline void rebuild(Columns& columns, Runs&& runs) {
    std::vector<Run> out;
    out.reserve(columns.runs.size());
    const int64_t count = columns.height * columns.width;
    std::vector<int64_t> first(count + 1);
    for (int64_t c = 0; c < count; ++c) {
        first[c] = int64_t(out.size());
        runs(c, out);
    }
    first[count] = int64_t(out.size());
    columns.runs.swap(out);
    columns.first.swap(first);
}

// Keeps the largest 6-connected component (by voxels; the first in column order where two are equal).
inline void keep_largest(Columns& columns) {
    const std::vector<Run>& runs = columns.runs;
    const std::vector<int64_t>& first = columns.first;
    if (runs.empty()) return;
    Sets sets(int64_t(runs.size()));
    auto touch = [&](int64_t a, int64_t b) {  // joins the overlapping runs of two neighbouring columns
        int64_t i = first[a], j = first[b];
        while (i < first[a + 1] && j < first[b + 1]) {
            if (runs[i].begin < runs[j].end && runs[j].begin < runs[i].end) sets.join(i, j);
            if (runs[i].end < runs[j].end) ++i; else ++j;
        }
    };
    for (int64_t y = 0; y < columns.height; ++y)
        for (int64_t x = 0; x < columns.width; ++x) {
            const int64_t c = y * columns.width + x;
            if (first[c] == first[c + 1]) continue;
            if (x + 1 < columns.width) touch(c, c + 1);
            if (y + 1 < columns.height) touch(c, c + columns.width);
        }
    std::vector<int64_t> voxels(runs.size(), 0);
    for (size_t i = 0; i < runs.size(); ++i) voxels[sets.find(int64_t(i))] += runs[i].end - runs[i].begin;
    const int64_t best = std::max_element(voxels.begin(), voxels.end()) - voxels.begin();
    if (std::count_if(voxels.begin(), voxels.end(), [](int64_t v) { return v > 0; }) == 1) return;
    rebuild(columns, [&](int64_t c, std::vector<Run>& out) {
        for (int64_t i = first[c]; i < first[c + 1]; ++i)
            if (sets.find(i) == best) out.push_back(runs[i]);
    });
}

// Fills the background that cannot reach the border of the volume through faces of voxels. Only the gaps between two
// runs of a column can be enclosed; gap i is the one after run i, and number runs.size() stands for the outside.
inline void fill_holes(Columns& columns) {
    const std::vector<Run>& runs = columns.runs;
    const std::vector<int64_t>& first = columns.first;
    const int64_t outside = int64_t(runs.size()), count = columns.height * columns.width;
    Sets sets(outside + 1);
    bool any = false;
    for (int64_t y = 0; y < columns.height; ++y)
        for (int64_t x = 0; x < columns.width; ++x) {
            const int64_t c = y * columns.width + x;
            for (int64_t i = first[c]; i + 1 < first[c + 1]; ++i) {
                any = true;
                if (x == 0 || y == 0 || x + 1 == columns.width || y + 1 == columns.height) {
                    sets.join(i, outside);
                    continue;
                }
                const Run gap{runs[i].end, runs[i + 1].begin};
                for (const int64_t d : {c - 1, c + 1, c - columns.width, c + columns.width}) {
                    const int64_t a = first[d], b = first[d + 1];
                    if (a == b || gap.begin < runs[a].begin || gap.end > runs[b - 1].end) sets.join(i, outside);
                    for (int64_t j = a; j + 1 < b; ++j)
                        if (gap.begin < runs[j + 1].begin && runs[j].end < gap.end) sets.join(i, j);
                }
            }
        }
    if (!any) return;
    const int64_t open = sets.find(outside);
    bool enclosed = false;
    for (int64_t c = 0; c < count; ++c)
        for (int64_t i = first[c]; i + 1 < first[c + 1]; ++i) enclosed |= sets.find(i) != open;
    if (!enclosed) return;
    rebuild(columns, [&](int64_t c, std::vector<Run>& out) {
        for (int64_t i = first[c]; i < first[c + 1]; ++i) {
            if (i > first[c] && sets.find(i - 1) != open)
                out.back().end = runs[i].end;
            else
                out.push_back(runs[i]);
        }
    });
}

// Writes volume (depth, height, width), every byte once: one slice is the slice before it with the columns that
// enter or leave there turned over.
inline void paint(const Columns& columns, uint8_t* volume) {
    const int64_t count = columns.height * columns.width;
    std::vector<int64_t> start(columns.depth + 2, 0);
    for (const Run& run : columns.runs) {
        ++start[run.begin + 1];
        ++start[run.end + 1];
    }
    for (int32_t k = 0; k <= columns.depth; ++k) start[k + 1] += start[k];
    std::vector<int32_t> turned(2 * columns.runs.size());
    for (int64_t c = 0; c < count; ++c)
        for (int64_t i = columns.first[c]; i < columns.first[c + 1]; ++i) {
            turned[start[columns.runs[i].begin]++] = int32_t(c);
            turned[start[columns.runs[i].end]++] = int32_t(c);
        }
    std::vector<uint8_t> slice(count, 0);
    int64_t i = 0;
    for (int32_t k = 0; k < columns.depth; ++k) {
        for (; i < start[k]; ++i) slice[turned[i]] ^= 1;
        std::memcpy(volume + k * count, slice.data(), size_t(count));
    }
}

inline void voxelize(const double* vertices, int64_t n, const int32_t* triangles, int64_t m, int64_t height,
                     int64_t width, int32_t depth, uint8_t* volume) {
    const bool outwards = signed_volume(vertices, triangles, m) > 0;
    Columns columns = trace(vertices, n, triangles, m, height, width, depth, outwards);
    keep_largest(columns);
    fill_holes(columns);
    paint(columns, volume);
}

}  // namespace voxels
