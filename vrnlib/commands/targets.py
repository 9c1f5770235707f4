"""``vrn targets``: a folder of pictures becomes a folder of volumes; it is the command `generator.py` of tddfa."""

from tddfa.targets_command import add_arguments, run

__all__ = ["add_arguments", "run"]
