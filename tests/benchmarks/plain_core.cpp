// The z-buffer of 3DDFA_V2's Sim3DR in its own design, written anew for tests/benchmarks/core.py to time beside ours:
// every pixel of a triangle's box gets its weights by dot products, pixels inside get them a second time, and colours
// are blended into a picture of bytes.
#include <algorithm>
#include <cmath>

// A function of its own, as in the original: in a shared library others may replace it, so no compiler draws it into
// the loop.
void plain_weights(float* weights, float x, float y, const float* a, const float* b, const float* c) {
    const float ux = c[0] - a[0], uy = c[1] - a[1], vx = b[0] - a[0], vy = b[1] - a[1];
    const float qx = x - a[0], qy = y - a[1];
    const float uu = ux * ux + uy * uy, uv = ux * vx + uy * vy, uq = ux * qx + uy * qy;
    const float vv = vx * vx + vy * vy, vq = vx * qx + vy * qy;
    const float determinant = uu * vv - uv * uv;
    const float inverse = determinant == 0 ? 0 : 1 / determinant;
    weights[2] = (vv * uq - uv * vq) * inverse;
    weights[1] = (uu * vq - uv * uq) * inverse;
    weights[0] = 1 - weights[2] - weights[1];
}

extern "C" void plain_rasterize(const float* vertices, const int* triangles, const float* colors, float* depth,
                                unsigned char* image, int triangle_count, int height, int width, float alpha) {
    for (int t = 0; t < triangle_count; ++t) {
        const int *corner = triangles + 3 * t;
        const float *a = vertices + 3 * corner[0], *b = vertices + 3 * corner[1], *c = vertices + 3 * corner[2];
        const int x0 = std::max(int(std::ceil(std::min(a[0], std::min(b[0], c[0])))), 0);
        const int x1 = std::min(int(std::floor(std::max(a[0], std::max(b[0], c[0])))), width - 1);
        const int y0 = std::max(int(std::ceil(std::min(a[1], std::min(b[1], c[1])))), 0);
        const int y1 = std::min(int(std::floor(std::max(a[1], std::max(b[1], c[1])))), height - 1);
        for (int y = y0; y <= y1; ++y) {
            for (int x = x0; x <= x1; ++x) {
                float w[3];
                plain_weights(w, x, y, a, b, c);
                if (!(w[0] > 0 && w[1] > 0 && w[2] > 0)) continue;
                plain_weights(w, x, y, a, b, c);
                const float z = w[0] * a[2] + w[1] * b[2] + w[2] * c[2];
                if (!(z > depth[y * width + x])) continue;
                unsigned char* pixel = image + 3 * (y * width + x);
                for (int k = 0; k < 3; ++k) {
                    const float color = w[0] * colors[3 * corner[0] + k] + w[1] * colors[3 * corner[1] + k] +
                                        w[2] * colors[3 * corner[2] + k];
                    pixel[k] = (unsigned char)((1 - alpha) * pixel[k] + alpha * 255 * color);
                }
                depth[y * width + x] = z;
            }
        }
    }
}
