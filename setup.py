"""Compiles the Cython/C++ core of tddfa; everything else about the distribution is in pyproject.toml."""

import os
import sys
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = "3DDFA_V2_modified/tddfa"
MODULES = ("_nms", "_raster", "_voxelize")


class BuildExt(build_ext):
    """Adds OpenMP where a probe compiles and links with it; ``TDDFA_NO_OPENMP=1`` leaves it out."""

    def build_extensions(self):
        compile_args, link_args = self.openmp_flags()
        for extension in self.extensions:
            extension.extra_compile_args += compile_args
            extension.extra_link_args += link_args
        super().build_extensions()

    def openmp_flags(self) -> tuple[list[str], list[str]]:
        if os.environ.get("TDDFA_NO_OPENMP"):
            return [], []
        if self.compiler.compiler_type == "msvc":
            candidates = [(["/openmp"], [])]
        else:
            candidates = [(["-fopenmp"], ["-fopenmp"]), (["-Xpreprocessor", "-fopenmp"], ["-lomp"])]
        for compile_args, link_args in candidates:
            with tempfile.TemporaryDirectory() as folder:
                source = Path(folder, "probe.cpp")
                source.write_text("#include <omp.h>\nint main() { return omp_get_max_threads() < 1; }\n")
                try:
                    objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=compile_args)
                    self.compiler.link_executable(
                        objects, str(Path(folder, "probe")), extra_postargs=link_args, target_lang="c++"
                    )
                except Exception:  # the probe's failure is the answer
                    continue
                return compile_args, link_args
        print("note: no OpenMP found; the compiled core runs on one thread", file=sys.stderr)
        return [], []


def extensions() -> list[Extension]:
    # Without -fno-trapping-math gcc does not run a loop with a comparison of floats on several numbers at once.
    # With -ffp-contract=off a product is rounded before it is added to, on ARM too: the same numbers on every machine.
    optimise = ["-O3", "-std=c++17", "-fno-trapping-math", "-ffp-contract=off"]
    if os.name == "nt":
        optimise = ["/O2", "/std:c++17", "/fp:precise"]
    present = [name for name in MODULES if Path(CORE, f"{name}.pyx").exists()]
    return cythonize(
        [
            Extension(
                f"tddfa.{name}",
                [f"{CORE}/{name}.pyx"],
                include_dirs=[CORE],
                language="c++",
                extra_compile_args=list(optimise),
                depends=sorted(str(header) for header in Path(CORE).glob("*.hpp")),
            )
            for name in present
        ],
        language_level=3,
    )


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildExt})
