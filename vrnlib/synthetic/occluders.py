"""What is in front of a rendered face: a hand, a microphone, a piece of something; never part of the true solid."""

from __future__ import annotations

import cv2
import numpy as np

from tddfa import ibug
from tddfa.arrays import Floats
from vrnlib.synthetic.backgrounds import smooth_noise

OCCLUDERS = ("hand", "microphone", "thing", "thing")


def occlude(image: Floats, points: Floats, skin: Floats, rng: np.random.Generator) -> Floats:
    """Puts a hand, a microphone, or a piece of something in front of the face.

    Args:
        image: (H, H, 3) picture in displayed values; it is not changed.
        points: (68, 2|3) landmarks in its pixels.
        skin: (3,) displayed color of lit skin, for the hand.
        rng: draws what and where.
    """
    size, face = image.shape[0], float(np.sqrt(np.prod(np.ptp(points[:, :2], axis=0))))
    mask = np.zeros((size, size), np.uint8)
    kind = OCCLUDERS[rng.integers(len(OCCLUDERS))]
    anchor = points[rng.choice([2, 5, 8, 11, 14, 3, 13]), :2] + rng.normal(0, 0.08, 2) * face

    def pixel(point: Floats) -> tuple[int, int]:
        """In the 1/16 pixels of OpenCV's drawing."""
        return round(float(point[0]) * 16), round(float(point[1]) * 16)

    tone: Floats = rng.random(3) * rng.uniform(0.1, 0.9)
    if kind == "hand":
        tone = skin * rng.uniform(0.85, 1.1)
        away = anchor - points[ibug.NOSE_TIP, :2]
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
        cv2.fillPoly(mask, [np.asarray(palm)], 230, cv2.LINE_AA)
    elif kind == "microphone":
        ball = points[ibug.LIP_BOTTOM, :2] + rng.normal(0, [0.2, 0.06]) * face + [0, rng.uniform(0.1, 0.35) * face]
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
