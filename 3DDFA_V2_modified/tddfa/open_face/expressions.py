"""Expressions: scripted facial actions, their principal components, and the bank of coefficients.

Expressions of people are no normal distribution: mouths open one way only, brows rise together. So the bank keeps
4,000 scripted activations as coefficients of the basis, and random faces draw from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ..describe import short_repr
from .source import Head

__all__ = ["ExpressionBasis", "action_shapes", "expression_components", "sample_actions"]

KINDS = ("smile", "open", "sad", "anger", "surprise", "pucker", "misc", "speech")
KIND_SHARES = (0.24, 0.16, 0.08, 0.1, 0.1, 0.08, 0.12, 0.12)

UNUSED_ACTION = "tongueOut"
"""The cage has no tongue."""

ACTION_AGE = 0.67


@dataclass(frozen=True, repr=False)
class ExpressionBasis:
    """``basis`` (V, 3, K), ``context`` (C, 3, K), ``bank`` (B, K) coefficients, ``explained`` (K,) cumulative."""

    basis: np.ndarray
    context: np.ndarray
    bank: np.ndarray
    explained: np.ndarray

    __repr__ = short_repr


def action_shapes(head: Head, actions: tuple[str, ...]) -> np.ndarray:
    """Displacement (A, H, 3) mm of the middle head for each action at full strength."""
    middle = np.full((1, len(head.phenotype_labels)), 0.5)
    middle[0, head.phenotype_labels.index("age")] = ACTION_AGE
    rows = np.zeros((len(actions), len(head.action_labels)))
    rows[np.arange(len(actions)), [head.action_labels.index(name) for name in actions]] = 1.0
    moved = head.vertices(np.repeat(middle, len(actions), axis=0), actions=rows)
    return moved - head.vertices(middle)[0]


class _Script:
    """One face's activations by action name, drawn in a fixed order."""

    def __init__(self, actions: tuple[str, ...], rng: np.random.Generator) -> None:
        self.column = {name: i for i, name in enumerate(actions)}
        self.names, self.rng = list(actions), rng
        self.values = np.zeros(len(actions), np.float32)

    def draw(self, low: float, high: float) -> float:
        """A number between two."""
        return self.rng.uniform(low, high)

    def both(self, name: str, strength: float, even: float = 0.9) -> None:
        """Set the left and right action of a pair, nearly alike; rarely one side is weaker."""
        pair = np.clip(strength * (1 + self.rng.normal(0, 0.15, 2)), 0, 1)
        if not self.rng.random() < even:
            pair = pair * np.array([1, self.rng.random()])[:: self.rng.choice([-1, 1])]
        self.values[[self.column[name + "Left"], self.column[name + "Right"]]] = pair

    def one(self, name: str, strength: float) -> None:
        """Set one action."""
        self.values[self.column[name]] = strength

    def play(self, kind: str) -> None:
        """Set the actions of one kind of expression."""
        draw = self.draw
        if kind == "smile":
            self.both("mouthSmile", draw(0.2, 0.9))
            self.both("cheekSquint", draw(0, 0.6))
            self.both("eyeSquint", draw(0, 0.6))
            self.one("jawOpen", draw(0, 0.35) * (self.rng.random() < 0.5))
            self.both("mouthUpperUp", draw(0, 0.5))
        elif kind == "open":
            self.one("jawOpen", draw(0.15, 0.9))
            self.both("mouthStretch", draw(0, 0.4))
        elif kind == "sad":
            self.both("mouthFrown", draw(0.3, 1))
            self.one("browInnerUp", draw(0.2, 1))
            self.one("mouthShrugLower", draw(0, 0.6))
        elif kind == "anger":
            self.both("browDown", draw(0.4, 1))
            self.both("noseSneer", draw(0.1, 0.9))
            self.both("mouthPress", draw(0, 0.8))
            self.both("eyeSquint", draw(0, 0.7))
        elif kind == "surprise":
            self.one("browInnerUp", draw(0.3, 1))
            self.both("browOuterUp", draw(0.3, 1))
            self.both("eyeWide", draw(0.2, 1))
            self.one("jawOpen", draw(0.1, 0.7))
        elif kind == "pucker":
            # The strength is drawn before the action, so that a seed keeps its faces.
            strength = draw(0.3, 1)
            self.one(self.rng.choice(["mouthPucker", "mouthFunnel"]), strength)
            self.one("jawOpen", draw(0, 0.3))
        elif kind == "speech":
            self.one("jawOpen", draw(0.05, 0.4))
            self.both("mouthLowerDown", draw(0, 0.7))
            self.both("mouthUpperUp", draw(0, 0.6))
            self.one("mouthFunnel", draw(0, 0.5))
        else:
            for name in self.rng.choice(self.names, 4, replace=False):
                self.one(name, draw(0, 0.6))

    def add_extras(self) -> None:
        """Blinks, gaze, puffed cheeks, a mouth or jaw to one side: on top of any expression."""
        rng, draw = self.rng, self.draw
        if rng.random() < 0.25:
            self.both("eyeBlink", draw(0.1, 1) if rng.random() < 0.4 else draw(0, 0.3), 1)
        if rng.random() < 0.3:
            outward, inward = ("Left", "Right") if rng.choice(["L", "R"]) == "L" else ("Right", "Left")
            strength = draw(0, 0.8)
            self.one("eyeLookOut" + outward, strength)
            self.one("eyeLookIn" + inward, strength)
        if rng.random() < 0.1:
            self.one("cheekPuff", draw(0.1, 0.8))
        for chance, names, most in (
            (0.15, ["mouthLeft", "mouthRight"], 0.7),
            (0.1, ["jawLeft", "jawRight", "jawForward"], 0.8),
        ):
            if rng.random() < chance:
                strength = draw(0.1, most)
                self.one(rng.choice(names), strength)


def sample_actions(actions: tuple[str, ...], count: int, rng: np.random.Generator) -> np.ndarray:
    """Plausible activations (count, A) in 0..1; about one in eight is neutral."""
    rows = []
    for _ in range(count):
        script = _Script(actions, rng)
        if rng.random() >= 0.12:
            script.play(str(rng.choice(KINDS, p=KIND_SHARES)))
            script.add_extras()
        rows.append(script.values)
    return np.stack(rows)


def expression_components(
    shapes: np.ndarray, context_shapes: np.ndarray, activations: np.ndarray, operator: sp.csr_matrix, count: int
) -> ExpressionBasis:
    """Principal components of the activated expressions, uncentred, so that zero is the neutral face.

    Args:
        shapes: (V, 3, A) cage displacement of each action.
        context_shapes: (C, 3, A).
        activations: (B, A).
        operator: (N, V) to the fine mesh.
        count: K.
    """
    actions = shapes.shape[-1]
    fine = (operator @ shapes.reshape(len(shapes), -1)).reshape(-1, actions)
    metric = fine.T @ fine
    factor = np.linalg.cholesky(metric + 1e-6 * metric.trace() * np.eye(actions))
    spread = activations.T.astype(np.float64) @ activations / len(activations)
    power, directions = np.linalg.eigh(factor.T @ spread @ factor)
    order = np.argsort(power)[::-1]
    power, directions = np.maximum(power[order], 0.0), directions[:, order]
    mixture = np.linalg.solve(factor.T, directions) * np.sqrt(power)
    bank = activations @ np.linalg.pinv(mixture).T
    explained = np.cumsum(power) / power.sum()
    keep = mixture[:, :count]
    return ExpressionBasis(shapes @ keep, context_shapes @ keep, bank[:, :count], explained[:count])
