"""The notebooks' builder: one source each, and from it a lecture, a student copy, an nbgrader assignment, a web page.

``python -m vrnlib.course build | execute | check [NAME ...]``, ``… assignments DIR``, ``… site DIR``

A source is ``notebooks/source/NN_name.py`` in jupytext's percent format. Its header carries the numbers that readers
plan with (``workbook: {minutes_cpu, memory_gb, download_mb}``). In its text these marks are filled in:
``{{badge}}``, ``{{prerequisites}}``, ``{{links}}``. Cells carry marks of their own. An exercise is five cells:

1. text: what is to be written (``### Your turn: name``),
2. ``help="name"``: ``<details>`` called Hint (one or more), Typical error, Solution, in this order. The student's copy
   has them without the solution, which says where the function stands in the library and, if it is another, why,
3. ``exercise="name"``: the solution. What stands between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` is taken out
   of the student's copy, as often as the marks come; every signature stands outside. Folded in the lecture,
4. ``check="name" points=2``: nothing but ``check_…(name)``,
5. where later cells need the function, ``name = yours_or_ours("name", globals())`` at the start of the next one.

Other marks:

- ``question="name" points=3``: a question in words with a last ``<details>``, the rubric, which students do not get.
- ``tags=["setup"]``: gets `SETUP` in front, so that the notebook also works on Colab.
- ``lecture=true``: left out of the student's copy.
- ``tags=["view-3d"]``: shows a widget; its output is stored without the widget and not compared by nbval.
- ``tags=["live"]``: its output changes while it runs; nbval does not compare it.
- ``tags=["measured"]``: its numbers hang on the processor; the cell asserts them with a tolerance, nbval does not
  compare them.
- ``tags=["long"]``: takes minutes, or needs what does; not run where assignments are graded. No exercise needs it.

Notebooks are deterministic: cell ids come from the source, nothing in the metadata depends on a machine.
"""

from vrnlib.course.copies import (
    WIDGET,
    build,
    execute,
    lecture_path,
    stale,
    student_notebook,
    student_path,
    without_details,
    without_solution,
)
from vrnlib.course.sources import NOTEBOOKS, REPOSITORY, CourseError, read_source, source_files

__all__ = [
    "NOTEBOOKS",
    "REPOSITORY",
    "WIDGET",
    "CourseError",
    "build",
    "execute",
    "lecture_path",
    "read_source",
    "source_files",
    "stale",
    "student_notebook",
    "student_path",
    "without_details",
    "without_solution",
]
