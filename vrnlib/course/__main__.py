"""The command line of the notebooks' builder: ``python -m vrnlib.course``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vrnlib.course import CourseError, build, execute, source_files, stale


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; 0 when it went well, 1 with a sentence on the screen when it did not."""
    parser = argparse.ArgumentParser(prog="python -m vrnlib.course", description="Build the workbook's notebooks.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("build", "execute", "check"):
        names = verbs.add_parser(verb).add_argument
        names("names", nargs="*", help="notebooks such as 01 or 01_fan_cropping; none means all")
    for verb in ("assignments", "site"):
        verbs.add_parser(verb).add_argument("folder", type=Path, help="a folder that does not exist yet, or is empty")
    options = parser.parse_args(arguments)
    try:
        if options.verb in ("assignments", "site"):
            return _write_folder(options.verb, options.folder)
        sources = source_files(options.names)
        if options.verb == "check":
            problems = [problem for source in sources for problem in stale(source)]
            print("\n".join(problems) or f"{len(sources)} notebooks are current")
            return 1 if problems else 0
        (build if options.verb == "build" else execute)(sources)
    except CourseError as error:
        print(f"course: {error}", file=sys.stderr)
        return 1
    return 0


def _write_folder(verb: str, folder: Path) -> int:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CourseError(f"'{folder}' is there already and not empty; name a new folder, so that nothing is lost")
    if verb == "assignments":
        from vrnlib.course.assignments import write_course

        write_course(folder)
    else:
        from vrnlib.course.site import write_site

        write_site(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
