"""Volume targets from a folder of photos: ``python3 generator.py FOLDER -o VOLUMES``, the same as ``vrn targets``."""

from tddfa.targets_command import main

if __name__ == "__main__":
    raise SystemExit(main())
