"""Where on a head things go: maps of skin, lips, beards and hair, worked out once for a face model.

A map has one row per vertex of the head = face mesh + context (scalp, neck), on the mean head, in head axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tddfa import ibug
from vrnlib.synthetic.appearance import BEARD_STYLES, Appearance
from vrnlib.synthetic.lighting import ambient_occlusion
from vrnlib.synthetic.textures import linear, smooth_fields, smoothstep

NOSE_TIP = np.array([0.0, -12.9, 54.9], np.float32)
"""Where head axes have the tip of the mean head's nose, mm."""


class HeadMaps:
    """Everything about a morphable model's head that does not change from render to render.

    Args:
        model: a morphable model with a context (see ``tddfa.morphable.MorphableModel``).

    Raises:
        ValueError: the model has no context or no region labels, so it cannot be rendered as a head.

    Attributes:
        mean: (Na, 3) the mean head, head axes; the first ``face_count`` rows are the face mesh.
        points: (68, 3) its landmarks.
        triangles: (Mt, 3) of the head.
        lips, lid, ear, mouth, eye: (Na,) 1 on these regions, else 0; ``mouth`` is its inside.
        occlusion: (Na,) the part of the sky that a vertex sees.
        fields: (Na, 10) smooth noise, five coarse fields and five fine ones; a person mixes their own.
        flush, shade, wrinkle, nostril: (Na,) where skin is redder, darker, folded, in shadow.
        deep: (Na,) brightness of the mouth's inside, by depth.
        beards: (Na, 5) where each of ``BEARD_STYLES`` grows.
        texture: (Na, 2) place in the skin's fine pattern, mm.
        height, temple, nape: (Na,) from which the hairline follows: mm up and back, and weights.
        upper: rows of the upper head, without ears: the skull is fitted to them.
        area: (Na,) mm² of scalp about a vertex; so many hairs grow there.
    """

    def __init__(self, model: Any) -> None:
        if getattr(model, "context", None) is None or getattr(model, "region", None) is None:
            raise ValueError(
                "expected a face model with scalp, neck and region labels, got one without; use MorphableModel.open()"
            )
        zero = np.zeros(model.w_shp.shape[1], np.float32), np.zeros(model.w_exp.shape[1], np.float32)
        face, context = model.reconstruct(*zero), model.context.reconstruct(*zero)
        self.face_count = len(face)
        mean = np.concatenate([face, context]).astype(np.float32)
        points = model.landmarks(face)
        shift = NOSE_TIP - points[ibug.NOSE_TIP]
        self.mean, self.points = mean + shift, points + shift
        self.triangles = np.concatenate([model.tri, model.context.tri + self.face_count]).astype(np.int32)
        names = [str(n) for n in model.region_names]
        region = np.asarray(model.region)

        def mask(*wanted: str) -> NDArray[np.float32]:
            out = np.zeros(len(mean), np.float32)
            for number, name in enumerate(names):
                if any(w in name.lower() for w in wanted):
                    out[: self.face_count][region == number] = 1.0
            return out

        self.lips, self.lid, self.ear = mask("lip"), mask("lid"), mask("ear")
        self.mouth = mask("mouth", "pocket")
        self.eye = mask("eye") * (1 - self.lid) * (1 - mask("brow"))
        self.occlusion = ambient_occlusion(self.mean, self.triangles)
        self.fields = np.concatenate(
            [smooth_fields(self.mean, 16.0, 5, seed=1), smooth_fields(self.mean, 6.0, 5, seed=2)], 1
        )
        self._paint_maps()
        self._scalp_maps()

    def _paint_maps(self) -> None:
        x, y, z = self.mean.T
        ax, p = np.abs(x), self.points

        def spot(cx: float, cy: float, sx: float, sy: float) -> NDArray[np.float32]:
            return np.exp(-(((ax - cx) / sx) ** 2) - ((y - cy) / sy) ** 2) * smoothstep(-40, 0, z)

        eye = np.abs(p[ibug.EYES]).mean(0)
        base_y = p[ibug.NOSE_BASE, 1]
        cheek_y, mouth_y = base_y + 14, p[ibug.OUTER_LIPS, 1].mean()
        flush = 0.9 * spot(40, cheek_y, 17, 14) + 0.7 * spot(0, p[ibug.NOSE_TIP, 1], 12, 9) + 0.4 * spot(0, -76, 15, 9)
        flush = flush + 0.6 * self.ear
        shade = 0.8 * spot(eye[0], eye[1] - 13, 13, 5) + 0.55 * self.lid + 0.6 * spot(17, eye[1] + 5, 5, 9)
        wrinkle = (
            np.exp(-(((ax - 24 - 0.5 * (base_y - y)) / 2.5) ** 2))
            * smoothstep(base_y + 8, base_y, y)
            * smoothstep(mouth_y - 6, mouth_y + 6, y)
            * smoothstep(-10, 10, z)
        )
        nostril_x, nostril_y = p[ibug.NOSTRILS[0], :2]
        nostril = np.exp(-(((ax - abs(nostril_x) - 0.4) / 3.0) ** 2) - ((y - nostril_y - 1.6) / 1.9) ** 2)
        nostril *= smoothstep(15, 30, z)
        ear_y, corner_y = p[ibug.JAW_ENDS[0], 1], p[ibug.MOUTH_CORNERS[0], 1]
        jaw = smoothstep(-16, -34, y) * smoothstep(100, 70, ax) * smoothstep(-66, -50, z) * smoothstep(-112, -92, y)
        jaw *= 1 - 0.9 * np.exp(-(((ax - 31) / 14) ** 2) - ((y - corner_y - 16) / 10) ** 2)
        moustache = (
            np.exp(-(((y - (base_y + p[ibug.LIP_TOP, 1]) / 2 + 1) / 6.5) ** 4)) * smoothstep(34, 22, ax) * (z > 15)
        )
        lip_y = p[ibug.LIP_BOTTOM, 1]
        chin = np.exp(-((ax / 24) ** 4)) * smoothstep(lip_y + 4, lip_y - 4, y) * smoothstep(-100, -88, y)
        side = smoothstep(54, 62, ax) * smoothstep(-62, -52, z) * smoothstep(-14, -24, z) * (y > -30)
        clean = (1 - self.lips) * (1 - self.mouth) * (1 - self.ear)
        full = np.maximum.reduce([jaw, moustache, chin, 0.85 * side * smoothstep(ear_y + 12, ear_y - 10, y)])
        beards = {
            "full": full,
            "jaw and moustache": np.maximum(jaw, moustache),
            "goatee": np.maximum(moustache, chin),
            "moustache": moustache,
            "thin on the jaw": np.maximum.reduce([0.5 * jaw, moustache, chin]),
        }
        beard_map = np.stack([beards[style] for style in BEARD_STYLES], 1) * clean[:, None]
        self.beards = np.clip(beard_map, 0, 1).astype(np.float32)
        self.flush, self.shade, self.wrinkle, self.nostril, self.deep = (
            one.astype(np.float32) for one in (flush, shade, wrinkle, nostril, smoothstep(10, 36, z))
        )
        self.texture = np.stack([x + 0.7 * z, y + 0.3 * z], 1).astype(np.float32)

    def _scalp_maps(self) -> None:
        x, y, z = self.mean.T
        self.height = 0.75 * y - 0.66 * z
        self.temple = np.exp(-(((np.abs(x) - 42) / 15) ** 2)) * smoothstep(-30, 5, z)
        self.nape = smoothstep(-62, -72, z) * smoothstep(-78, -62, y)
        self.upper = np.flatnonzero((y > 45) & (self.ear < 0.5))
        a, b, c = (self.mean[self.triangles[:, k]] for k in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
        self.area = np.zeros(len(x))
        for k in range(3):
            np.add.at(self.area, self.triangles[:, k], area / 6)

    def scalp(self, appearance: Appearance) -> NDArray[np.float32]:
        """(Na,) float32 in [0, 1]: where hair grows, with an irregular edge."""
        edge = self.height + 3.0 * (self.fields @ appearance.mix[0]) - appearance.recession * self.temple
        hair = np.maximum(smoothstep(appearance.hairline - 3, appearance.hairline + 4, edge), self.nape)
        return (hair * (1 - self.ear) * (1 - self.lid)).astype(np.float32)

    def skin(self, appearance: Appearance) -> NDArray[np.float32]:
        """(Na, 3) float32 linear light of the bare skin, lips, mouth and nostrils; eyes and hair come per pixel."""
        noise = self.fields @ appearance.mix.T
        red = (
            np.float32(appearance.flush * 0.24 * (1 - 0.65 * appearance.darkness))
            * self.flush
            * (1 + 0.25 * noise[:, 3])
        )
        dark = np.float32(0.10 + 0.22 * appearance.age) * self.shade + np.float32(0.30 * appearance.age) * self.wrinkle
        hole = 1 - 0.78 * self.nostril
        lips = np.float32(appearance.lip_strength) * self.lips
        out = np.empty((len(noise), 3), np.float32)
        inside = linear(158, 72, 68)
        for c in range(3):
            tint = 1 + np.float32(appearance.blotch) * (noise[:, 1] + np.float32((0.25, -0.25, -0.1)[c]) * noise[:, 2])
            tint *= hole * (1 - np.float32((0.12, 0.75, 0.7)[c]) * red) * (1 - np.float32((0.8, 1.0, 0.9)[c]) * dark)
            tint *= appearance.skin[c]
            tint += lips * (appearance.lips[c] * (1 + 0.08 * noise[:, 0]) - tint)
            out[:, c] = tint + self.mouth * (inside[c] * self.deep - tint)
        return np.clip(out, 0.002, 0.9, out=out)
