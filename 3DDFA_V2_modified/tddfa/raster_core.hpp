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
    bool owns_boundary;
    Edge(Point a, Point b, int64_t x, int64_t y) {
        const int64_t ux = int64_t(b.x) - a.x, uy = int64_t(b.y) - a.y;
        start = ux * (y * kOne - a.y) - uy * (x * kOne - a.x);
        dx = -uy * kOne;
        dy = ux * kOne;
        owns_boundary = uy > 0 || (uy == 0 && ux < 0);
    }
};

// Calls hit(x, y, w0, w1, w2, area) for each pixel centre inside the triangle a, b, c and the frame
// [x_first, x_last] x [y_first, y_last]. w0 : w1 : w2 are the corners' weights, they add up to |area|; area is twice
// the signed area, negative where the corners run counter-clockwise as seen on a screen (y down).
template <class Hit>
inline void scan(Point a, Point b, Point c, int64_t x_first, int64_t x_last, int64_t y_first, int64_t y_last,
                 Hit&& hit) {
    const int64_t xa = std::max(x_first, ceil_to_pixel(std::min({a.x, b.x, c.x})));
    const int64_t xb = std::min(x_last, floor_to_pixel(std::max({a.x, b.x, c.x})));
    const int64_t ya = std::max(y_first, ceil_to_pixel(std::min({a.y, b.y, c.y})));
    const int64_t yb = std::min(y_last, floor_to_pixel(std::max({a.y, b.y, c.y})));
    if (xa > xb || ya > yb) return;
    const int64_t area = (int64_t(b.x) - a.x) * (int64_t(c.y) - a.y) - (int64_t(c.x) - a.x) * (int64_t(b.y) - a.y);
    if (area == 0) return;
    // A triangle of negative area is walked the other way round, so that its inner side is positive.
    const bool turn = area < 0;
    const Edge e0 = turn ? Edge(c, b, xa, ya) : Edge(b, c, xa, ya);
    const Edge e1 = turn ? Edge(a, c, xa, ya) : Edge(c, a, xa, ya);
    const Edge e2 = turn ? Edge(b, a, xa, ya) : Edge(a, b, xa, ya);
    const int64_t least0 = !e0.owns_boundary, least1 = !e1.owns_boundary, least2 = !e2.owns_boundary;
    int64_t row0 = e0.start, row1 = e1.start, row2 = e2.start;
    for (int64_t y = ya; y <= yb; ++y, row0 += e0.dy, row1 += e1.dy, row2 += e2.dy) {
        int64_t w0 = row0, w1 = row1, w2 = row2;
        for (int64_t x = xa; x <= xb; ++x, w0 += e0.dx, w1 += e1.dx, w2 += e2.dx)
            if (w0 >= least0 && w1 >= least1 && w2 >= least2) hit(x, y, w0, w1, w2, area);
    }
}

// Snaps the vertices. Returns 0, or 1 when a finite vertex lies too far from the frame.
inline int snap(const float* vertices, int64_t n, std::vector<Point>& points, std::vector<uint8_t>& usable) {
    points.resize(n);
    usable.resize(n);
    for (int64_t i = 0; i < n; ++i) {
        const double x = vertices[3 * i], y = vertices[3 * i + 1], z = vertices[3 * i + 2];
        usable[i] = std::isfinite(x) && std::isfinite(y) && std::isfinite(z);
        if (!usable[i]) continue;
        if (std::fabs(x) > kLimit || std::fabs(y) > kLimit) return 1;
        points[i] = {round_to_even(x * kOne), round_to_even(y * kOne)};
    }
    return 0;
}

// The three buffers come in filled with the background. Returns snap()'s answer.
inline int rasterize(const float* vertices, int64_t n, const int32_t* triangles, int64_t m, int64_t height,
                     int64_t width, bool cull, int threads, int32_t* triangle, float* barycentric, float* depth) {
    std::vector<Point> points;
    std::vector<uint8_t> usable;
    if (snap(vertices, n, points, usable)) return 1;
    auto draw_band = [&](int64_t first_row, int64_t last_row) {
        for (int64_t t = 0; t < m; ++t) {
            const int32_t i0 = triangles[3 * t], i1 = triangles[3 * t + 1], i2 = triangles[3 * t + 2];
            if (!(usable[i0] & usable[i1] & usable[i2])) continue;
            auto hit = [&](int64_t x, int64_t y, int64_t w0, int64_t w1, int64_t w2, int64_t area) {
                if (cull && area > 0) return;
                const double inverse = 1.0 / double(std::abs(area));
                const double b0 = w0 * inverse, b1 = w1 * inverse, b2 = w2 * inverse;
                const float z = float(b0 * vertices[3 * int64_t(i0) + 2] + b1 * vertices[3 * int64_t(i1) + 2] +
                                      b2 * vertices[3 * int64_t(i2) + 2]);
                const int64_t p = y * width + x;
                if (!(z > depth[p])) return;
                depth[p] = z;
                triangle[p] = int32_t(t);
                barycentric[3 * p] = float(b0);
                barycentric[3 * p + 1] = float(b1);
                barycentric[3 * p + 2] = float(b2);
            };
            scan(points[i0], points[i1], points[i2], 0, width - 1, first_row, last_row, hit);
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
