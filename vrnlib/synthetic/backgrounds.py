"""What is behind a rendered face, and what a camera does to the picture: backgrounds, occluders, photometric damage.

Pictures here are (H, W, 3) float32 RGB in [0, 1], as displayed (not linear light).
"""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import skimage

from vrnlib.images import read_photo

PICTURES = (
    "coffee.png",
    "chelsea.png",
    "camera.png",
    "clock_motion.png",
    "gravel.png",
    "brick.png",
    "grass.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "rocket.jpg",
    "coins.png",
    "hubble_deep_field.jpg",
    "moon.png",
    "text.png",
    "page.png",
    "ihc.png",
    "retina.jpg",
)
"""Files of scikit-image's wheel. Its photo of a face, our test photo, must never be among them."""


@lru_cache(maxsize=1)
def pictures() -> tuple[np.ndarray, ...]:
    """The background pictures that this scikit-image has, uint8 RGB, at most 640 pixels long."""
    folder, out = Path(skimage.__file__).parent / "data", []
    for name in PICTURES:
        if (folder / name).exists():
            picture = read_photo(folder / name)
            k = 640 / max(picture.shape[:2])
            if k < 1:
                picture = cv2.resize(picture, None, fx=k, fy=k, interpolation=cv2.INTER_AREA)
            out.append(picture)
    return tuple(out)


def smooth_noise(rng: np.random.Generator, size: int, cells: int, channels: int = 1) -> np.ndarray:
    """(size, size, channels) float32 noise with about ``cells`` bumps along a side."""
    small = rng.standard_normal((cells, cells, channels), dtype=np.float32)
    return cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC).reshape(size, size, channels)


def background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draws a background: a piece of a picture, a wall with a gradient, a blurred room, cloudy colours."""
    kind, shelf = rng.random(), pictures()
    half = (size + 1) // 2
    if kind < 0.5 and shelf:
        out = _piece(rng, shelf[rng.integers(len(shelf))], size)
    elif kind < 0.74:
        out = _wall(rng, half)
    elif kind < 0.95:
        out = _room(rng, half)
    else:
        out = np.full((half, half, 3), rng.random(3), np.float32)
        for cells, amount in ((3, 0.18), (9, 0.1), (40, 0.05)):
            out += np.float32(amount * rng.uniform(0.3, 1)) * smooth_noise(rng, half, cells, 3)
    if len(out) != size:
        out = cv2.resize(out, (size, size), interpolation=cv2.INTER_LINEAR)
    colourful = rng.beta(1.2, 2.2)
    mix = np.full((3, 3), (1 - colourful) / 3) + np.eye(3) * colourful
    return cv2.transform(np.ascontiguousarray(out, np.float32), mix)


def _piece(rng: np.random.Generator, picture: np.ndarray, size: int) -> np.ndarray:
    height, width = picture.shape[:2]
    side = int(rng.uniform(0.3, 1.0) * min(height, width))
    y, x = rng.integers(height - side + 1), rng.integers(width - side + 1)
    out = picture[y : y + side, x : x + side]
    if rng.random() < 0.5:
        out = out[:, ::-1]
    if rng.random() < 0.25:
        out = np.rot90(out, rng.integers(1, 4))
    out = cv2.resize(np.ascontiguousarray(out), (size, size), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.3:
        out = out[..., rng.permutation(3)]
    if rng.random() < 0.5:
        k = int(rng.integers(1, 5))
        small = cv2.resize(out, None, fx=1 / k, fy=1 / k, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.6, 1.5))
        out = cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
    cast = rng.uniform(0.45, 1.05) * rng.uniform(0.85, 1.1, 3) / 255
    return out.astype(np.float32) * cast.astype(np.float32)


def _wall(rng: np.random.Generator, size: int) -> np.ndarray:
    a = rng.uniform(0, 2 * np.pi)
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    t = (float(np.cos(a)) * ramp[None] + float(np.sin(a)) * ramp[:, None])[..., None] * 0.5 + 0.5
    if rng.random() < 0.4:
        across, down = (ramp - rng.uniform(-0.7, 0.7)) ** 2, (ramp - rng.uniform(-0.7, 0.7)) ** 2
        t = across[None, :, None] + down[:, None, None]
    tone = rng.random(3)
    other = np.clip(tone * rng.uniform(0.4, 1.5) + rng.normal(0, 0.08, 3), 0, 1)
    out = tone.astype(np.float32) * (1 - t) + other.astype(np.float32) * t
    return out + np.float32(rng.uniform(0, 0.03)) * smooth_noise(rng, size, int(rng.integers(6, 90)))


def _room(rng: np.random.Generator, size: int) -> np.ndarray:
    out = np.ascontiguousarray(_wall(rng, size))
    for _ in range(rng.integers(3, 14)):
        x, y = rng.integers(-60, size, 2)
        w, h = rng.integers(8, size, 2)
        tone = tuple(float(v) for v in rng.random(3) * rng.uniform(0.2, 1.1))
        if rng.random() < 0.7:
            cv2.rectangle(out, (int(x), int(y)), (int(x + w), int(y + h)), tone, -1)
        else:
            cv2.circle(out, (int(x), int(y)), int(w // 4), tone, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 3.5))


def occlude(image: np.ndarray, points: np.ndarray, skin: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Puts a hand, a microphone, or a piece of something in front of the face.

    Args:
        image: picture to draw into.
        points: (68, 2+) landmarks in its pixels.
        skin: (3,) displayed colour of lit skin, for the hand.
    """
    size, face = image.shape[0], float(np.sqrt(np.prod(np.ptp(points[:, :2], axis=0))))
    mask = np.zeros((size, size), np.uint8)
    kind = rng.integers(4)
    anchor = points[rng.choice([2, 5, 8, 11, 14, 3, 13]), :2] + rng.normal(0, 0.08, 2) * face

    def pixel(p) -> tuple[int, int]:
        return tuple(int(round(float(v) * 16)) for v in p)

    tone = rng.random(3) * rng.uniform(0.1, 0.9)
    if kind == 0:
        tone = skin * rng.uniform(0.85, 1.1)
        away = anchor - points[30, :2]
        a = np.arctan2(away[1], away[0]) + rng.normal(0, 0.5)
        d, n = np.array([np.cos(a), np.sin(a)]), np.array([-np.sin(a), np.cos(a)])
        wide = rng.uniform(0.085, 0.11) * face
        for k in range(4):
            tip = anchor + n * (k - 1.5) * wide * 1.15 - d * (rng.uniform(0.05, 0.2) + 0.1 * (k in (1, 2))) * face
            knuckle = anchor + n * (k - 1.5) * wide * 1.1 + d * 0.35 * face
            cv2.line(mask, pixel(tip), pixel(knuckle), 255 - 14 * k, int(max(2, wide)), cv2.LINE_AA, 4)
        palm = cv2.ellipse2Poly(
            tuple(int(v) for v in anchor + d * 0.55 * face),
            (int(0.32 * face), int(0.26 * face)),
            int(np.degrees(a)),
            0,
            360,
            15,
        )
        cv2.fillPoly(mask, [palm], 230, cv2.LINE_AA)
    elif kind == 1:
        ball = points[57, :2] + rng.normal(0, [0.2, 0.06]) * face + [0, rng.uniform(0.1, 0.35) * face]
        end = ball + np.array([rng.normal(0, 0.5), 1.0]) * face * 1.5
        cv2.line(mask, pixel(ball), pixel(end), 170, int(max(2, 0.09 * face)), cv2.LINE_AA, 4)
        cv2.circle(mask, pixel(ball), int(16 * rng.uniform(0.08, 0.14) * face), 255, -1, cv2.LINE_AA, 4)
        tone = np.full(3, rng.uniform(0.02, 0.35))
    else:
        a = np.sort(rng.uniform(0, 2 * np.pi, 9))
        reach = rng.uniform(0.1, 0.4, (9, 1)) * face * rng.uniform(0.6, 1.3, 2)
        blob = anchor + np.stack([np.cos(a), np.sin(a)], 1) * reach
        cv2.fillPoly(mask, [np.round(blob * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 1.2)).astype(np.float32)[..., None] / 255
    shade = cv2.GaussianBlur(mask, (0, 0), 0.05 * face).astype(np.float32)[..., None] / 255
    rough = 1 + 0.06 * smooth_noise(rng, size, int(rng.integers(4, 60)))
    paint = tone.astype(np.float32) * (0.55 + 0.45 * shade) * rough
    alpha = np.minimum(soft * 1.6, 1.0)
    return image * (1 - 0.35 * shade * (1 - alpha)) * (1 - alpha) + np.clip(paint, 0, 1) * alpha * (0.7 + 0.3 * soft)


def damage(image: np.ndarray, rng: np.random.Generator, *, grain: np.ndarray) -> np.ndarray:
    """Camera and file: light ramp, colour cast, gamma, contrast, grey, blur, low resolution, sharpening, noise, JPEG.

    Args:
        image: (H, W, 3) uint8.
        grain: (S, S) float32 unit noise that tiles, S a power of two.

    Returns:
        (H, W, 3) uint8.
    """
    size = image.shape[0]
    if rng.random() < 0.2:
        ramp, a = np.linspace(-0.5, 0.5, size, dtype=np.float32), rng.uniform(0, 2 * np.pi)
        t = float(np.cos(a)) * ramp[None] + float(np.sin(a)) * ramp[:, None] + rng.uniform(-0.25, 0.25)
        t = np.clip(t / rng.uniform(0.1, 0.8) + 0.5, 0, 1)
        gain = cv2.merge([1 - rng.uniform(0.2, 0.6) * (1 - t)] * 3)
        image = cv2.multiply(image, gain, dtype=cv2.CV_8U)
    image = cv2.LUT(image, _curve(rng))
    r = rng.random()
    if r < 0.15:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    elif r < 0.45:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        k = rng.uniform(0.4, 1.4)
        image = cv2.addWeighted(image, k, grey, 1 - k, 0)
    r = rng.random()
    if r < 0.22:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.5))
    elif r < 0.40:
        small = int(size * rng.uniform(0.35, 0.85))
        image = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (size, size), interpolation=[cv2.INTER_LINEAR, cv2.INTER_CUBIC][rng.integers(2)])
    elif r < 0.55:
        k = rng.uniform(0.3, 1.4)
        image = cv2.addWeighted(image, 1 + k, cv2.GaussianBlur(image, (0, 0), 1.0), -k, 0)
    if rng.random() < 0.5:
        strength = float(rng.choice([rng.uniform(0.8, 4), rng.uniform(1, 8)]))
        count = 3 if rng.random() < 0.6 else 1
        layers = [np.roll(grain, tuple(rng.integers(0, len(grain), 2)), (0, 1)) for _ in range(count)]
        if size > len(grain):
            layers = [np.tile(g, (1 + size // len(g),) * 2) for g in layers]
        layers = [g[:size, :size] for g in layers]
        image = cv2.add(image, cv2.merge([g * strength for g in (layers * 3)[:3]]), dtype=cv2.CV_8U)
    if rng.random() < 0.45:
        quality = int(rng.uniform(28, 95))
        code = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = cv2.cvtColor(cv2.imdecode(code, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(image)


def _curve(rng: np.random.Generator) -> np.ndarray:
    """(1, 256, 3) uint8 table: exposure, colour cast, gamma, contrast."""
    t = np.linspace(0, 1, 256)[:, None] * np.exp(rng.normal(0, 0.07)) * np.exp(rng.normal(0, 0.04, 3))
    if rng.random() < 0.5:
        t = np.clip(t, 0, 1) ** np.exp(rng.normal(0, 0.16))
    if rng.random() < 0.3:
        middle = rng.uniform(0.3, 0.6)
        t = (t - middle) * rng.uniform(0.7, 1.25) + middle
    return (np.clip(t, 0, 1) * 255 + 0.5).astype(np.uint8)[None]
