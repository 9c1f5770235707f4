"""Volumetric regression networks, from a photo of a face to a 3D face, in steps that a student can follow."""
