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
#include <limits>
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

// The vertices on the pixel grid.
struct Grid {
    std::vector<Point> points;
    std::vector<uint8_t> usable;  // empty, or 0 where a vertex is not finite

    // Returns 0, or 1 when a finite vertex lies too far from the frame.
    int fill(const float* vertices, int64_t n) {
        points.resize(n);
        const float far = float(kLimit), most = std::numeric_limits<float>::max();
        bool all_plain = true;
        for (int64_t i = 0; i < n; ++i) {
            const float x = vertices[3 * i], y = vertices[3 * i + 1], z = vertices[3 * i + 2];
            all_plain &= (std::fabs(x) <= far) & (std::fabs(y) <= far) & (std::fabs(z) <= most);
            points[i] = {round_to_even(double(x) * kOne), round_to_even(double(y) * kOne)};
        }
        if (all_plain) return 0;
        usable.resize(n);
        for (int64_t i = 0; i < n; ++i) {
            const float x = vertices[3 * i], y = vertices[3 * i + 1], z = vertices[3 * i + 2];
            usable[i] = std::isfinite(x) && std::isfinite(y) && std::isfinite(z);
            if (usable[i] && (std::fabs(x) > far || std::fabs(y) > far)) return 1;
            if (!usable[i]) points[i] = {0, 0};
        }
        return 0;
    }
};

// The pixels that are looked at: whole rows.
struct Frame {
    int64_t width;
    int32_t first_row, last_row;
};

inline int32_t lower(int32_t a, int32_t b) { return a < b ? a : b; }
inline int32_t upper(int32_t a, int32_t b) { return a > b ? a : b; }
inline float lower(float a, float b) { return a < b ? a : b; }

// Most triangles of a fine mesh cover no pixel centre, nearly all others lie in a box of 2 x 2 centres. No processor
// can foretell which ones, so that a loop over triangles waits at every branch. A batch of triangles goes through
// loops without branches instead, one step each; the first and the third run on several triangles at once.
struct Batch {
    static constexpr int kSize = 256;
    static constexpr int32_t kSmall = 4 * kOne;  // products of two such numbers are whole in a float
    // All triangles of the batch: corners in 1/1024 pixel, and the box of pixel centres that they may cover.
    int32_t corner[6][kSize];  // ax, ay, bx, by, cx, cy
    int32_t x[kSize], y[kSize], columns[kSize], rows[kSize], small[kSize], keep[kSize];  // columns, rows: less one
    // Those whose box is not empty, in the same order. Corners relative to the box's first centre.
    int32_t kept[kSize];
    int32_t column_count[kSize], row_count[kSize];
    float local[6][kSize];
    float area[kSize], w0[kSize], w1[kSize];  // twice the area with its sign; weights at the box's first centre
    int32_t inside[kSize];                    // bit x + 2y: the centre (x, y) of a 2 x 2 box is inside

    void find_boxes(const Grid& grid, const int32_t* triangles, int count, const Frame& frame) {
        for (int i = 0; i < count; ++i) {
            const Point a = grid.points[triangles[3 * i]], b = grid.points[triangles[3 * i + 1]],
                        c = grid.points[triangles[3 * i + 2]];
            corner[0][i] = a.x, corner[1][i] = a.y, corner[2][i] = b.x;
            corner[3][i] = b.y, corner[4][i] = c.x, corner[5][i] = c.y;
        }
        const int32_t last_x = int32_t(frame.width - 1) * kOne;
        const int32_t first_y = frame.first_row * kOne, last_y = frame.last_row * kOne;
        for (int i = 0; i < count; ++i) {
            const int32_t left = lower(lower(corner[0][i], corner[2][i]), corner[4][i]);
            const int32_t right = upper(upper(corner[0][i], corner[2][i]), corner[4][i]);
            const int32_t top = lower(lower(corner[1][i], corner[3][i]), corner[5][i]);
            const int32_t bottom = upper(upper(corner[1][i], corner[3][i]), corner[5][i]);
            x[i] = (upper(left, 0) + kOne - 1) >> kBits;
            y[i] = (upper(top, first_y) + kOne - 1) >> kBits;
            columns[i] = (lower(right, last_x) >> kBits) - x[i];
            rows[i] = (lower(bottom, last_y) >> kBits) - y[i];
            small[i] = ((right - left - kSmall) & (bottom - top - kSmall) & (columns[i] - 2) & (rows[i] - 2)) >> 31;
            keep[i] = 1 + ((columns[i] | rows[i]) >> 31);
        }
        if (!grid.usable.empty())
            for (int i = 0; i < count; ++i)
                for (int k = 0; k < 3; ++k) keep[i] &= grid.usable[triangles[3 * i + k]];
    }

    // Returns how many triangles have a box that is not empty.
    int compact(int count) {
        int found = 0;
        for (int i = 0; i < count; ++i) {
            kept[found] = i;
            found += keep[i];
        }
        for (int q = 0; q < found; ++q) {
            const int i = kept[q];
            const int32_t at_x = x[i] * kOne, at_y = y[i] * kOne;
            for (int k = 0; k < 6; k += 2) {
                local[k][q] = float(corner[k][i] - at_x);
                local[k + 1][q] = float(corner[k + 1][i] - at_y);
            }
            column_count[q] = columns[i];
            row_count[q] = rows[i];
        }
        return found;
    }

    // The edge functions of `scan`, in whole floats, at the four centres of small boxes.
    void find_inside(int found) {
        for (int q = 0; q < found; ++q) {
            const float ax = local[0][q], ay = local[1][q], bx = local[2][q], by = local[3][q], cx = local[4][q],
                        cy = local[5][q];
            const float twice = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay);
            const float turn = twice < 0 ? -1.0f : 1.0f;
            const float ux0 = turn * (cx - bx), ux1 = turn * (ax - cx), ux2 = turn * (bx - ax);
            const float uy0 = turn * (cy - by), uy1 = turn * (ay - cy), uy2 = turn * (by - ay);
            w0[q] = uy0 * bx - ux0 * by;
            w1[q] = uy1 * cx - ux1 * cy;
            area[q] = twice;
            // An edge owns its boundary when uy > 0, or uy == 0 and ux < 0; what it does not own is 1 too little.
            const float e0 = w0[q] - (kSmall * uy0 > ux0 ? 0.0f : 1.0f);
            const float e1 = w1[q] - (kSmall * uy1 > ux1 ? 0.0f : 1.0f);
            const float e2 = uy2 * ax - ux2 * ay - (kSmall * uy2 > ux2 ? 0.0f : 1.0f);
            const float r0 = e0 - uy0 * kOne, r1 = e1 - uy1 * kOne, r2 = e2 - uy2 * kOne;  // a pixel to the right
            const float dy0 = ux0 * kOne, dy1 = ux1 * kOne, dy2 = ux2 * kOne;
            const int32_t bits = (lower(lower(e0, e1), e2) >= 0 ? 1 : 0) | (lower(lower(r0, r1), r2) >= 0 ? 2 : 0) |
                                 (lower(lower(e0 + dy0, e1 + dy1), e2 + dy2) >= 0 ? 4 : 0) |
                                 (lower(lower(r0 + dy0, r1 + dy1), r2 + dy2) >= 0 ? 8 : 0);
            const int32_t boxed = (5 | (column_count[q] > 0 ? 10 : 0)) & (3 | (row_count[q] > 0 ? 12 : 0));
            inside[q] = twice != 0 ? bits & boxed : 0;
        }
    }
};

// The set bits of 0 ... 15.
struct Bits {
    uint8_t count, at[4];
};
constexpr Bits kBitsOf[16] = {
    {0, {}},     {1, {0}},    {1, {1}},    {2, {0, 1}},    {1, {2}},    {2, {0, 2}},    {2, {1, 2}},    {3, {0, 1, 2}},
    {1, {3}},    {2, {0, 3}}, {2, {1, 3}}, {3, {0, 1, 3}}, {2, {2, 3}}, {3, {0, 2, 3}}, {3, {1, 2, 3}}, {4, {0, 1, 2, 3}},
};

// Calls hit(t, p, w0, w1, w2, area) for each pixel centre p inside each triangle t, in the triangles' order; the numbers
// as in `scan`, p = y * width + x.
template <class Hit>
inline void scan_mesh(const Grid& grid, const int32_t* triangles, int64_t m, const Frame& frame, Hit&& hit) {
    Batch batch;
    int32_t waiting[4 * Batch::kSize + 4];  // 4 * number in the batch + bit
    for (int64_t first = 0; first < m; first += Batch::kSize) {
        const int count = int(std::min<int64_t>(Batch::kSize, m - first));
        batch.find_boxes(grid, triangles + 3 * first, count, frame);
        const int found = batch.compact(count);
        batch.find_inside(found);
        int hits = 0;
        auto hit_waiting = [&] {
            for (int h = 0; h < hits; ++h) {
                const int q = waiting[h] >> 2, dx = waiting[h] & 1, dy = waiting[h] >> 1 & 1, i = batch.kept[q];
                const float area = batch.area[q], turn = area < 0 ? -1.0f : 1.0f;
                const float ux0 = batch.local[4][q] - batch.local[2][q], uy0 = batch.local[5][q] - batch.local[3][q];
                const float ux1 = batch.local[0][q] - batch.local[4][q], uy1 = batch.local[1][q] - batch.local[5][q];
                const float w0 = batch.w0[q] + turn * (dy * ux0 - dx * uy0) * kOne;
                const float w1 = batch.w1[q] + turn * (dy * ux1 - dx * uy1) * kOne;
                hit(first + i, int64_t(batch.y[i] + dy) * frame.width + batch.x[i] + dx, double(w0), double(w1),
                    double(turn * area - w0 - w1), double(area));
            }
            hits = 0;
        };
        for (int q = 0; q < found; ++q) {
            const int i = batch.kept[q];
            if (batch.small[i]) {
                const Bits& bits = kBitsOf[batch.inside[q]];
                for (int k = 0; k < 4; ++k) waiting[hits + k] = 4 * q + bits.at[k];
                hits += bits.count;
                continue;
            }
            hit_waiting();  // the triangles keep their order
            const int32_t* corners = triangles + 3 * (first + i);
            scan(grid.points[corners[0]], grid.points[corners[1]], grid.points[corners[2]], 0, frame.width - 1,
                 frame.first_row, frame.last_row,
                 [&](int64_t x, int64_t y, int64_t w0, int64_t w1, int64_t w2, int64_t area) {
                     hit(first + i, y * frame.width + x, double(w0), double(w1), double(w2), double(area));
                 });
        }
        hit_waiting();
    }
}

// Calls nearer(p, t, corners, b0, b1, b2) for each pixel whose depth a triangle exceeds; depth comes in filled with the
// background. Threads share the rows. Returns Grid::fill's answer.
template <class Nearer>
inline int draw(const float* vertices, int64_t n, const int32_t* triangles, int64_t m, int64_t height, int64_t width,
                bool cull, int threads, float* depth, Nearer&& nearer) {
    Grid grid;
    if (grid.fill(vertices, n)) return 1;
    const int bands = int(std::max<int64_t>(1, std::min<int64_t>(threads, height)));
    auto draw_band = [&](int band) {
        const Frame frame{width, int32_t(height * band / bands), int32_t(height * (band + 1) / bands - 1)};
        scan_mesh(grid, triangles, m, frame, [&](int64_t t, int64_t p, double w0, double w1, double w2, double area) {
            if (cull && area > 0) return;
            const int32_t* corners = triangles + 3 * t;
            const double z0 = vertices[3 * int64_t(corners[0]) + 2], z1 = vertices[3 * int64_t(corners[1]) + 2],
                         z2 = vertices[3 * int64_t(corners[2]) + 2];
            const double inverse = 1.0 / std::fabs(area), b0 = w0 * inverse, b1 = w1 * inverse, b2 = w2 * inverse;
            const float z = float(b0 * z0 + b1 * z1 + b2 * z2);
            if (!(z > depth[p])) return;
            depth[p] = z;
            nearer(p, int32_t(t), corners, float(b0), float(b1), float(b2));
        });
    };
    if (bands == 1) {
        draw_band(0);
        return 0;
    }
#pragma omp parallel for num_threads(bands) schedule(static, 1)
    for (int band = 0; band < bands; ++band) draw_band(band);
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
