// A z-buffer rasteriser with exact coverage.
//
// Image axes: x right, y down, z towards the camera (larger z is nearer); pixel centres lie at integers.
// x and y are snapped to 1/1024 pixel, so that edge functions are exact in 64-bit integers. A pixel centre on an
// edge belongs to the side that (-e, -e*e) points to, for an infinitely small e: two triangles that share an edge
// leave no gap and no overlap.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace raster {

constexpr int kBits = 10;
constexpr int32_t kOne = 1 << kBits;
constexpr double kLimit = 524288.0;  // pixels; beyond it the products of an edge function leave 64 bits

struct Point {
    int32_t x, y;  // 1/1024 pixel
};

inline int64_t floor_to_pixel(int32_t a) { return a >> kBits; }
inline int64_t ceil_to_pixel(int32_t a) { return (a + kOne - 1) >> kBits; }

// Rounds to the nearest integer, halves to even (np.rint), for |value| < 2^51.
inline int32_t round_to_even(double value) {
    const double shifted = value + 6755399441055744.0;  // 1.5 * 2^52: no bits are left for a fraction
    int64_t bits, base;
    const double zero = 6755399441055744.0;
    std::memcpy(&bits, &shifted, sizeof bits);
    std::memcpy(&base, &zero, sizeof base);
    return int32_t(bits - base);
}

// The line through a -> b as e(x, y) over whole pixels; positive on the inner side.
struct Edge {
    int64_t start, dx, dy;  // value at the first pixel, and its steps
    int64_t least;          // value from which on a pixel centre is inside: 0 where the edge owns its boundary, else 1
    Edge(Point a, Point b, int64_t x, int64_t y) {
        const int64_t ux = int64_t(b.x) - a.x, uy = int64_t(b.y) - a.y;
        start = ux * (y * kOne - a.y) - uy * (x * kOne - a.x);
        dx = -uy * kOne;
        dy = ux * kOne;
        least = !(uy > 0 || (uy == 0 && ux < 0));
    }
};

// Calls hit(x, y, w0, w1, w2, area) for each pixel centre inside the triangle a, b, c and the frame
// [x_first, x_last] x [y_first, y_last]. w0 : w1 : w2 are the corners' weights, they add up to |area|; area is twice
// the signed area, negative where the corners run counter-clockwise as seen on a screen (y down).
template <class Hit>
inline void scan(Point a, Point b, Point c, int64_t x_first, int64_t x_last, int64_t y_first, int64_t y_last,
                 Hit&& hit) {
    const int32_t left = std::min({a.x, b.x, c.x}), right = std::max({a.x, b.x, c.x});
    const int64_t xa = std::max(x_first, ceil_to_pixel(left)), xb = std::min(x_last, floor_to_pixel(right));
    if (xa > xb) return;
    const int32_t top = std::min({a.y, b.y, c.y}), bottom = std::max({a.y, b.y, c.y});
    const int64_t ya = std::max(y_first, ceil_to_pixel(top)), yb = std::min(y_last, floor_to_pixel(bottom));
    if (ya > yb) return;
    const int64_t area = (int64_t(b.x) - a.x) * (int64_t(c.y) - a.y) - (int64_t(c.x) - a.x) * (int64_t(b.y) - a.y);
    if (area == 0) return;
    // A triangle of negative area is walked the other way round, so that its inner side is positive.
    const bool turn = area < 0;
    if (turn) std::swap(b, c);
    const Edge e0(b, c, xa, ya), e1(c, a, xa, ya), e2(a, b, xa, ya);
    int64_t row0 = e0.start - e0.least, row1 = e1.start - e1.least, row2 = e2.start - e2.least;
    for (int64_t y = ya; y <= yb; ++y, row0 += e0.dy, row1 += e1.dy, row2 += e2.dy) {
        int64_t w0 = row0, w1 = row1, w2 = row2;
        for (int64_t x = xa; x <= xb; ++x, w0 += e0.dx, w1 += e1.dx, w2 += e2.dx) {
            if ((w0 | w1 | w2) < 0) continue;  // a sign bit is set: outside of an edge
            const int64_t at_b = w1 + e1.least, at_c = w2 + e2.least;
            hit(x, y, w0 + e0.least, turn ? at_c : at_b, turn ? at_b : at_c, area);
        }
    }
}

// A mesh on the pixel grid: its vertices in 1/1024 pixel, and its triangles that may cover a pixel centre of the frame.
struct Grid {
    std::vector<Point> points;
    std::vector<int32_t> candidates;

    // Returns 0, or 1 when a finite vertex lies too far from the frame.
    int fill(const float* vertices, int64_t n, const int32_t* triangles, int64_t m, int64_t height, int64_t width) {
        points.resize(n);
        std::vector<uint8_t> usable(n);
        bool all_usable = true, too_far = false;
        for (int64_t i = 0; i < n; ++i) {
            const double x = vertices[3 * i], y = vertices[3 * i + 1], z = vertices[3 * i + 2];
            const bool finite = (x - x) + (y - y) + (z - z) == 0.0;
            usable[i] = finite;
            all_usable &= finite;
            too_far |= finite & ((std::fabs(x) > kLimit) | (std::fabs(y) > kLimit));
            points[i] = {round_to_even(x * kOne), round_to_even(y * kOne)};
        }
        if (too_far) return 1;
        // Most triangles of a fine mesh lie between pixel centres. They are dropped without a branch, since no
        // processor can foretell which ones.
        candidates.resize(m + 1);
        const int32_t last_x = int32_t(width - 1) * kOne, last_y = int32_t(height - 1) * kOne;
        int64_t count = 0;
        for (int64_t t = 0; t < m; ++t) {
            const int32_t i0 = triangles[3 * t], i1 = triangles[3 * t + 1], i2 = triangles[3 * t + 2];
            const Point a = points[i0], b = points[i1], c = points[i2];
            const int32_t left = std::max(std::min(std::min(a.x, b.x), c.x), 0);
            const int32_t right = std::min(std::max(std::max(a.x, b.x), c.x), last_x);
            const int32_t top = std::max(std::min(std::min(a.y, b.y), c.y), 0);
            const int32_t bottom = std::min(std::max(std::max(a.y, b.y), c.y), last_y);
            const int32_t columns = (right >> kBits) - ((left + kOne - 1) >> kBits);
            const int32_t rows = (bottom >> kBits) - ((top + kOne - 1) >> kBits);
            uint32_t keep = 1u - (uint32_t(columns | rows) >> 31);  // neither is negative
            if (!all_usable) keep &= uint32_t(usable[i0] & usable[i1] & usable[i2]);
            candidates[count] = int32_t(t);
            count += keep;
        }
        candidates.resize(count);
        return 0;
    }
};

// Calls nearer(pixel, triangle, corners, b0, b1, b2) for each pixel centre whose depth a triangle exceeds, in the
// triangles' order; depth comes in filled with the background. Returns Grid::fill's answer.
template <class Nearer>
inline int draw(const float* vertices, int64_t n, const int32_t* triangles, int64_t m, int64_t height, int64_t width,
                bool cull, int threads, float* depth, Nearer&& nearer) {
    Grid grid;
    if (grid.fill(vertices, n, triangles, m, height, width)) return 1;
    auto draw_band = [&](int64_t first_row, int64_t last_row) {
        for (const int32_t t : grid.candidates) {
            const int32_t* corners = triangles + 3 * int64_t(t);
            const double z0 = vertices[3 * int64_t(corners[0]) + 2], z1 = vertices[3 * int64_t(corners[1]) + 2],
                         z2 = vertices[3 * int64_t(corners[2]) + 2];
            double inverse = 0.0;
            auto hit = [&](int64_t x, int64_t y, int64_t w0, int64_t w1, int64_t w2, int64_t area) {
                if (cull && area > 0) return;
                if (inverse == 0.0) inverse = 1.0 / double(std::abs(area));  // once for all pixels of a triangle
                const double b0 = w0 * inverse, b1 = w1 * inverse, b2 = w2 * inverse;
                const float z = float(b0 * z0 + b1 * z1 + b2 * z2);
                const int64_t p = y * width + x;
                if (!(z > depth[p])) return;
                depth[p] = z;
                nearer(p, t, corners, float(b0), float(b1), float(b2));
            };
            scan(grid.points[corners[0]], grid.points[corners[1]], grid.points[corners[2]], 0, width - 1, first_row,
                 last_row, hit);
        }
    };
    const int bands = int(std::max<int64_t>(1, std::min<int64_t>(threads, height)));
    if (bands == 1) {
        draw_band(0, height - 1);
        return 0;
    }
#pragma omp parallel for num_threads(bands) schedule(static, 1)
    for (int band = 0; band < bands; ++band) draw_band(height * band / bands, height * (band + 1) / bands - 1);
    return 0;
}

// The three buffers come in filled with the background.
inline int rasterize(const float* vertices, int64_t n, const int32_t* triangles, int64_t m, int64_t height,
                     int64_t width, bool cull, int threads, int32_t* triangle, float* barycentric, float* depth) {
    auto store = [=](int64_t p, int32_t t, const int32_t*, float b0, float b1, float b2) {
        triangle[p] = t;
        barycentric[3 * p] = b0;
        barycentric[3 * p + 1] = b1;
        barycentric[3 * p + 2] = b2;
    };
    return draw(vertices, n, triangles, m, height, width, cull, threads, depth, store);
}

// Draws three attributes per vertex into out (pixels, 3), which comes in filled with the background.
inline int render(const float* vertices, int64_t n, const int32_t* triangles, int64_t m, const float* colors,
                  int64_t height, int64_t width, bool cull, int threads, float* depth, float* out) {
    auto store = [=](int64_t p, int32_t, const int32_t* corners, float b0, float b1, float b2) {
        const float *c0 = colors + 3 * int64_t(corners[0]), *c1 = colors + 3 * int64_t(corners[1]),
                    *c2 = colors + 3 * int64_t(corners[2]);
        for (int k = 0; k < 3; ++k) out[3 * p + k] = b0 * c0[k] + b1 * c1[k] + b2 * c2[k];
    };
    return draw(vertices, n, triangles, m, height, width, cull, threads, depth, store);
}

// out (pixels, channels) keeps what it holds where no triangle was drawn.
inline void interpolate(const float* attributes, int64_t channels, const int32_t* triangles, const int32_t* triangle,
                        const float* barycentric, int64_t pixels, float* out) {
    for (int64_t p = 0; p < pixels; ++p) {
        const int32_t t = triangle[p];
        if (t < 0) continue;
        const float w0 = barycentric[3 * p], w1 = barycentric[3 * p + 1], w2 = barycentric[3 * p + 2];
        const float* a0 = attributes + int64_t(triangles[3 * int64_t(t)]) * channels;
        const float* a1 = attributes + int64_t(triangles[3 * int64_t(t) + 1]) * channels;
        const float* a2 = attributes + int64_t(triangles[3 * int64_t(t) + 2]) * channels;
        float* o = out + p * channels;
        for (int64_t k = 0; k < channels; ++k) o[k] = w0 * a0[k] + w1 * a1[k] + w2 * a2[k];
    }
}

// Sums the triangles' area-weighted normals, times sign, into the vertices; unit length, or zero without any area.
inline void vertex_normals(const float* v, int64_t n, const int32_t* triangles, int64_t m, double sign, float* out) {
    std::vector<double> sum(3 * n, 0.0);
    for (int64_t t = 0; t < m; ++t) {
        const int64_t a = 3 * int64_t(triangles[3 * t]), b = 3 * int64_t(triangles[3 * t + 1]),
                      c = 3 * int64_t(triangles[3 * t + 2]);
        const double ux = double(v[b]) - v[a], uy = double(v[b + 1]) - v[a + 1], uz = double(v[b + 2]) - v[a + 2];
        const double wx = double(v[c]) - v[a], wy = double(v[c + 1]) - v[a + 1], wz = double(v[c + 2]) - v[a + 2];
        const double normal[3] = {uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx};
        for (int k = 0; k < 3; ++k) {
            sum[a + k] += normal[k];
            sum[b + k] += normal[k];
            sum[c + k] += normal[k];
        }
    }
    for (int64_t i = 0; i < n; ++i) {
        const double* s = &sum[3 * i];
        const double length = std::sqrt(s[0] * s[0] + s[1] * s[1] + s[2] * s[2]);
        for (int k = 0; k < 3; ++k) out[3 * i + k] = length > 0 ? float(sign * s[k] / length) : 0.0f;
    }
}

}  // namespace raster
