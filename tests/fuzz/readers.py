"""Every reader of the project, with whole files to begin with and the call that a command makes of it.

A reader either gives a result, or raises a ValueError or OSError that is one sentence for the user.
"""

from . import data_readers, folder_readers, setting_readers
from .whole import Reader, told

__all__ = ["READERS", "Reader", "told"]

READERS = (*data_readers.READERS, *setting_readers.READERS, *folder_readers.READERS)
