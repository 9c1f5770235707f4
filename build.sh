#!/usr/bin/env bash
# Sets the workbook up and runs its jobs. `bash build.sh help` explains each verb.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

VENV=.venv
PY="$VENV/bin/python"
CORE=3DDFA_V2_modified/tddfa
EXTRAS="lab,test,fan"
STARTED="$VENV/.vrn-install-started"   # there while packages are being installed
INSTALLED="$VENV/.vrn-installed"       # fingerprint of what was installed
COMPILED="$VENV/.vrn-compiled"         # fingerprint of the sources that were compiled

say() { printf '%s\n' "$*"; }
fail() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }

help() {
    cat <<'TEXT'
bash build.sh            set up: create .venv, install the packages, compile the core, test that it runs
bash build.sh demo       reconstruct a 3D face from scikit-image's astronaut photo into demo_results/
bash build.sh test       lint, run all tests and all lecture notebooks (PYTEST_ARGS="-k nms" narrows them)
bash build.sh test-everywhere  the tests and notebooks again as on other processors, with other threads and packages
                         (hours; VRN_SETTINGS="sse threads3" chooses, VRN_NEWEST=1 adds the newest packages)
bash build.sh test-browser  run the tests that need a browser (installs chromium where it can, else skips)
bash build.sh lab        open JupyterLab on the notebooks
bash build.sh notebooks  rebuild the lecture and student notebooks from notebooks/source and execute them
bash build.sh clean      remove .venv, compiled files, caches and demo_results/
bash build.sh help       this text

VRN_PYTHON=python3.12 bash build.sh   set up with this Python (3.10 or newer) instead of the first one found
The set-up runs by itself before every other verb. When nothing has changed it takes no time.
TEXT
}

python_is_usable() {  # $1: a command; $2: the newest minor version to accept
    "$1" -c "import sys; sys.exit(not ((3, 10) <= sys.version_info[:2] <= (3, $2)))" >/dev/null 2>&1
}

find_python() {
    if [[ -n "${VRN_PYTHON:-}" ]]; then
        python_is_usable "$VRN_PYTHON" 99 \
            || fail "VRN_PYTHON is '$VRN_PYTHON', which is no working Python 3.10 or newer; name another one."
        echo "$VRN_PYTHON"
        return
    fi
    local candidate newest
    for newest in 13 99; do  # tested versions first
        for candidate in python3 python3.13 python3.12 python3.11 python3.10 python; do
            if python_is_usable "$candidate" "$newest"; then echo "$candidate"; return; fi
        done
    done
    fail "no Python 3.10 or newer was found; install one (Debian: apt-get install python3 python3-venv python3-dev)."
}

fingerprint() {  # of files and words
    "$PY" - "$@" <<'PYTHON'
import hashlib, sys
digest = hashlib.sha256(sys.version.encode())
for item in sys.argv[1:]:
    try:
        digest.update(open(item, "rb").read())
    except OSError:
        digest.update(item.encode())
print(digest.hexdigest())
PYTHON
}

install_fingerprint() { fingerprint constraints.txt pyproject.toml setup.py "$EXTRAS" "$PWD"; }
core_fingerprint() { fingerprint setup.py "$CORE"/*.pyx "$CORE"/*.hpp; }

pip_install() {
    "$PY" -m pip install --quiet --quiet --disable-pip-version-check --no-input -c constraints.txt "$@"
}

create_venv() {
    if [[ -e "$STARTED" ]]; then
        say "The last set-up was interrupted; starting it again."
    elif [[ -x "$PY" ]] && python_is_usable "$PY" 99 && "$PY" -m pip --version >/dev/null 2>&1; then
        return
    fi
    local python
    python="$(find_python)"
    say "Creating $VENV with $("$python" --version)."
    "$python" -m venv --clear "$VENV" || fail \
        "'$python -m venv' failed; install the venv module (Debian: apt-get install python3-venv), then run this again."
}

check_compiler() {
    command -v "${CXX:-g++}" >/dev/null 2>&1 || command -v clang++ >/dev/null 2>&1 || fail \
        "no C++ compiler was found; install one (Debian: apt-get install g++; macOS: xcode-select --install)."
    local header
    header="$("$PY" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h"
    [[ -f "$header" ]] || fail \
        "Python.h is missing for $("$PY" --version); install its headers (Debian: apt-get install python3-dev)."
}

self_test() {  # a tiny job for each compiled module
    "$PY" - <<'PYTHON' || fail "the compiled core does not work; run 'bash build.sh clean' and 'bash build.sh' again."
import importlib, sys
for name in ("_nms", "_raster", "_voxelize"):
    try:
        importlib.import_module(f"tddfa.{name}")
    except ImportError as error:
        sys.exit(f"tddfa.{name} cannot be imported ({error}); is the C++ compiler the one that built this Python?")
import numpy as np
import trimesh
from tddfa.nms import nms
from tddfa import voxelize
from tddfa.raster import rasterize

boxes = np.array([[0, 0, 9, 9, 0.9], [1, 1, 10, 10, 0.8], [30, 30, 39, 39, 0.7]], np.float32)
if list(nms(boxes, 0.3)) != [0, 2]:
    sys.exit("tddfa.nms keeps the wrong boxes.")
ball = trimesh.creation.icosphere(subdivisions=3, radius=10.0)
vertices = np.ascontiguousarray(ball.vertices + [16.0, 16.0, 0.0], np.float32)
triangles = np.ascontiguousarray(ball.faces, np.int32)
seen = int((rasterize(vertices, triangles, 32, 32).triangle >= 0).sum())
if not 280 < seen < 330:
    sys.exit(f"tddfa.raster paints {seen} pixels of a disc of about 310.")
filled = int(voxelize(vertices, triangles, size=32, depth=60)[0].sum())
if not 8000 < filled < 8700:
    sys.exit(f"tddfa.voxelize fills {filled} voxels of a ball of about 8,300.")
PYTHON
}

core_is_present() {
    local suffix name
    suffix="$("$PY" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')"
    for name in _nms _raster _voxelize; do [[ -f "$CORE/$name$suffix" ]] || return 1; done
}

setup() {
    create_venv
    local wanted
    wanted="$(install_fingerprint)"
    if [[ "$(cat "$INSTALLED" 2>/dev/null)" != "$wanted" ]]; then
        check_compiler
        rm -f "$INSTALLED" "$COMPILED"
        touch "$STARTED"
        say "Installing PyTorch (about 200 MB) ..."
        pip_install "$(grep '^torch==' constraints.txt)" \
            || fail "pip could not install PyTorch; its message is above. Is the network there?"
        say "Installing the other packages ..."
        pip_install setuptools Cython numpy || fail "pip could not install the build tools; its message is above."
        say "Installing vrnlib and tddfa; this compiles the core ..."
        pip_install --no-build-isolation -e ".[$EXTRAS]" \
            || fail "the packages could not be installed or the core did not compile; the message is above."
        rm -f "$STARTED"
        printf '%s' "$wanted" >"$INSTALLED"
    fi
    wanted="$(core_fingerprint)"
    if [[ "$(cat "$COMPILED" 2>/dev/null)" != "$wanted" ]] || ! core_is_present; then
        check_compiler
        rm -f "$COMPILED"
        say "Bringing the compiled core up to date and testing it ..."
        "$PY" setup.py -q build_ext --inplace || fail "the core did not compile; the compiler's message is above."
        self_test
        printf '%s' "$wanted" >"$COMPILED"
    fi
}

cores() { "$PY" -c 'import os; print(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)'; }

demo() {
    local folder=demo_results
    mkdir -p "$folder"
    "$PY" - "$folder/astronaut.png" <<'PYTHON'
import os, sys
from PIL import Image
from skimage.data import astronaut
target = sys.argv[1]
Image.fromarray(astronaut()).save(target + ".part", format="PNG")
os.replace(target + ".part", target)
PYTHON
    "$VENV/bin/vrn" reconstruct "$folder/astronaut.png" -o "$folder"
    say "The 3D face is in $PWD/$folder:"
    ls "$folder" | sed 's/^/  /'
    say "Open the .html in a browser and turn the face with the mouse; the .png shows it from three sides."
}

run_tests() {
    local failed=0 workers threads="${VRN_THREADS:-1}"
    "$VENV/bin/ruff" check . || failed=1
    workers="$(cores)"
    (( workers > 4 )) && workers=4
    # One thread per process: the workers share the cores, and sums come out in the same order everywhere.
    export OMP_NUM_THREADS="$threads" OPENBLAS_NUM_THREADS="$threads" MKL_NUM_THREADS="$threads" MPLBACKEND="${MPLBACKEND:-agg}"
    local -a extra=()
    read -r -a extra <<<"${PYTEST_ARGS:-}" || true
    # The last line on the screen is pytest's own summary.
    "$PY" -m pytest tests notebooks/0*.ipynb --ignore=tests/browser --ignore=tests/benchmarks \
        -n "$workers" --dist loadfile -q -p no:cacheprovider \
        --nbval --nbval-current-env --nbval-cell-timeout=300 \
        --nbval-sanitize-with=notebooks/sanitize.cfg ${extra[@]+"${extra[@]}"} || failed=1
    return "$failed"
}

setting() {  # $1: a name; prints the environment that makes this machine compute as another one does
    local other=build/other_processor.so
    case "$1" in
        avx2) echo "VRN_PROCESSOR=avx2 LD_PRELOAD=$PWD/$other" ;;
        sse) echo "VRN_PROCESSOR=sse LD_PRELOAD=$PWD/$other GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F" ;;
        mixed) echo "ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Prescott VRN_THREADS=3" ;;
        aten-default) echo "ATEN_CPU_CAPABILITY=default" ;;
        aten-avx2) echo "ATEN_CPU_CAPABILITY=avx2" ;;
        onednn-sse41) echo "ONEDNN_MAX_CPU_ISA=SSE41" ;;
        onednn-avx2) echo "ONEDNN_MAX_CPU_ISA=AVX2" ;;
        blas-haswell) echo "OPENBLAS_CORETYPE=Haswell" ;;
        blas-nehalem) echo "OPENBLAS_CORETYPE=Nehalem" ;;
        numpy) echo "NPY_DISABLE_CPU_FEATURES=X86_V4,AVX512_ICL,AVX512_SPR,X86_V3" ;;
        opencv) echo "OPENCV_CPU_DISABLE=AVX2,AVX512-SKX" ;;
        threads2 | threads3) echo "VRN_THREADS=${1#threads}" ;;
        newest) echo "" ;;
        *) fail "there is no setting '$1'; they stand in build.sh, setting()." ;;
    esac
}

install_newest() {  # the newest packages that are allowed, in an environment of their own; torch stays small
    [[ -x .venv-newest/bin/python ]] || "$PY" -m venv .venv-newest
    local PY=.venv-newest/bin/python
    "$PY" -m pip install -q "$(grep '^torch==' constraints.txt)" setuptools Cython numpy \
        && "$PY" -m pip install -q --upgrade --upgrade-strategy eager --no-build-isolation -e ".[$EXTRAS]" \
            "$(grep '^torch==' constraints.txt)"
}

test_everywhere() {
    local failed=0 name log names="${VRN_SETTINGS:-avx2 sse mixed aten-default aten-avx2 onednn-sse41 onednn-avx2 \
        blas-haswell blas-nehalem numpy opencv threads2 threads3}"
    [[ -n "${VRN_NEWEST:-}" ]] && names+=" newest"
    mkdir -p build
    for name in $names; do
        local -a changes=()
        read -r -a changes <<<"$(setting "$name")" || true
        log="build/test-$name.log"
        if [[ "$name" == avx2 || "$name" == sse ]]; then
            if ! "${CC:-cc}" -O1 -shared -fPIC tests/other_processor.c -o build/other_processor.so -ldl 2>"$log" \
                || ! env "${changes[@]}" true; then
                say "$name: skipped, this machine cannot show itself as another one"
                continue
            fi
        fi
        if (
            if [[ "$name" == newest ]]; then install_newest || exit 1; VENV=.venv-newest PY=.venv-newest/bin/python; fi
            (( ${#changes[@]} == 0 )) || export "${changes[@]}"
            run_tests
        ) >"$log" 2>&1; then
            say "$name: passed, $(tail -n 1 "$log")"
        else
            say "$name: FAILED, $(tail -n 1 "$log"); see $log"
            failed=1
        fi
    done
    return "$failed"
}

run_browser_tests() {
    if ! command -v chromium >/dev/null 2>&1 && [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null 2>&1; then
        say "Installing chromium ..."
        { DEBIAN_FRONTEND=noninteractive apt-get -qq update \
            && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium; } \
            >/dev/null 2>&1 </dev/null || true
    fi
    if ! command -v chromium >/dev/null 2>&1; then
        say "Skipped: the browser tests need the program chromium, which is not here and could not be installed."
        return 0
    fi
    "$PY" -c 'import playwright, pytest_rerunfailures' 2>/dev/null || pip_install playwright pytest-rerunfailures || {
        say "Skipped: the browser tests need the Python packages of the extra 'browser', which pip could not install."
        return 0
    }
    # Chromium itself crashes now and then where there is no GPU; only that is tried again, a wrong page is not.
    "$PY" -m pytest tests/browser -q -p no:cacheprovider --reruns 2 --only-rerun TargetClosedError
}

clean() {
    rm -rf "$VENV" "$VENV-newest" build demo_results ./*.egg-info .pytest_cache .ruff_cache
    rm -f "$CORE"/_*.cpp "$CORE"/_*.so "$CORE"/_*.pyd
    find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
    say "Removed .venv, compiled files, caches and demo_results/."
}

(( $# <= 1 )) || fail "one verb at a time was expected, got '$*'; 'bash build.sh help' lists them."
case "${1:-setup}" in
    setup) setup; say "Ready. Try: bash build.sh demo" ;;
    demo) setup; demo ;;
    test) setup; run_tests ;;
    test-everywhere) setup; test_everywhere ;;
    test-browser) setup; run_browser_tests ;;
    lab) setup; exec "$VENV/bin/jupyter" lab notebooks ;;
    notebooks) setup; "$PY" -m vrnlib.course build && "$PY" -m vrnlib.course execute ;;
    clean) clean ;;
    help | -h | --help) help ;;
    *) fail "there is no verb '$1'; 'bash build.sh help' lists them." ;;
esac
