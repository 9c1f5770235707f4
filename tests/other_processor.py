"""A copy of ONNX Runtime that computes as on a processor without AVX-512, or without AVX: for ``test-everywhere``.

PyTorch, oneDNN, OpenBLAS, NumPy and OpenCV take their instructions from environment variables if asked to. ONNX Runtime
only asks the processor which registers the system keeps for it (XGETBV). In the copy that question is replaced by a
constant. ``python tests/other_processor.py avx2 FOLDER`` makes it, ``PYTHONPATH=FOLDER`` puts it in front of the
installed package. Linux on x86-64 only.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from pathlib import Path

#: The answer's lowest bits: x87 (1), SSE (2), AVX (4); those of AVX-512 are higher.
ANSWERS = {"avx2": 7, "sse": 3}
#: xor ecx, ecx; xgetbv: three bytes that mean it only after the two before them.
QUESTION = re.compile(rb"(?<=\x31\xc9)\x0f\x01\xd0")


def copy_without(level: str, folder: Path) -> int:
    """Copy the installed onnxruntime into the folder, changed; returns how many questions were answered."""
    answer = b"\xb0" + bytes([ANSWERS[level]]) + b"\x90"  # mov al, ANSWER; nop
    installed = Path(importlib.util.find_spec("onnxruntime").origin).parent
    copied = folder / "onnxruntime"
    shutil.copytree(installed, copied, dirs_exist_ok=True)
    (library,) = (copied / "capi").glob("onnxruntime_pybind11_state*.so")
    code, count = QUESTION.subn(answer, library.read_bytes())
    library.write_bytes(code)
    return count


if __name__ == "__main__":
    found = copy_without(sys.argv[1], Path(sys.argv[2]))
    sys.exit(
        None if found else "This onnxruntime asks the processor in a way that tests/other_processor.py does not know."
    )
