"""Rendered faces with exact truth: an endless, seeded stream of pictures, landmarks, parameters and solids.

The way of one picture: a head → dressed → placed before the camera → lit → painted → photographed. In that order:

- ``faces``: the stream itself; from a seed and an index to a sample (start here)
- ``camera``: where the head is and how the camera sees it
- ``appearance``: what one person looks like: tones of skin and hair, eyes, brows, beard; drawn at random
- ``head_maps``: where on a head skin, lips, beard and hair go; worked out once for a face model
- ``dressing``: the head with everything on it
- ``hair``: the styles, and strands that grow from the scalp
- ``wardrobe``: teeth, glasses, hats, hoods, neck, clothes
- ``meshes``: what all of these are made of: a mesh with a material, and the skull that they keep outside of
- ``lighting``: lamps, sky, shadows, and how materials shine
- ``pixels``: what is too fine for vertices: brows, eyes, beards, streaks of hair, cloth, lenses
- ``backgrounds``: what is behind the head
- ``occluders``: what is in front of it: hands, microphones, things
- ``damage``: what the camera and the file do to the picture
- ``textures``: noise, and the step between linear light and a picture's values
- ``portrait``: all of it in order

Three frames meet here. Head axes: millimetres, x to the viewer's right, y up, z to the viewer, the tip of the mean
head's nose at (0, -12.9, 54.9). Canvas pixels: the contract's image axes (``tddfa.contract``), y down, z to the
camera. Fine pixels: the same, ``portrait.SUPERSAMPLING`` to a canvas pixel, in which everything is drawn.
"""
