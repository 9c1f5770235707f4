"""Rendered faces with exact truth: heads, hair, clothes, light, camera, and the endless stream of samples."""
