"""The verbs of the command ``vrn``, a module each."""
