#!/usr/bin/env bash
# Sets the workbook up and runs its jobs. `bash build.sh help` explains each verb.
set -euo pipefail
CALLED_FROM="$PWD"
cd "$(dirname "${BASH_SOURCE[0]}")"

VENV=.venv
PY="$VENV/bin/python"
CORE=3DDFA_V2_modified/tddfa
EXTRAS="lab,test,fan,train,cluster,video"
STARTED="$VENV/.vrn-install-started"   # there while packages are being installed
INSTALLED="$VENV/.vrn-installed"       # fingerprint of what was installed
COMPILED="$VENV/.vrn-compiled"         # fingerprint of the sources that were compiled

say() { printf '%s\n' "$*"; }
fail() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }

help() {
    cat <<'TEXT'
bash build.sh            set up: create .venv, install the packages, compile the core, test that it runs
bash build.sh demo       reconstruct a 3D face from scikit-image's astronaut photo into demo_results/
bash build.sh test       lint, run all tests and all lecture notebooks
                         (PYTEST_ARGS="-k nms" narrows them, VRN_COVERAGE=1 lists the lines that none of them reaches)
bash build.sh test-browser  run the tests that need a browser (installs chromium where it can, else skips)
bash build.sh test-everywhere  run tests and notebooks as other processors, libraries and thread counts compute them
                         (hours; VRN_SETTINGS="oldest avx2" chooses, VRN_NEWEST=1 adds the newest releases)
bash build.sh test-mutations   make known mistakes one by one and list the tests that notice (minutes)
bash build.sh test-sanitized  run the core's tests with its compiled code under gcc's address and undefined-behaviour
                         sanitizers, built into build/sanitized (minutes)
bash build.sh fuzz MINUTES  damaged and hostile files for every reader, commands killed at random and on a full disk
                         (default 3; what went wrong stays in build/fuzz)
bash build.sh test-lowest   try the oldest releases that pyproject.toml allows, in .venv-lowest (Python 3.10 to 3.12)
bash build.sh lab        open JupyterLab on the notebooks
bash build.sh course DIR  write an nbgrader course of the notebooks into the new folder DIR (notebooks/TEACHING.md)
bash build.sh site      write the lectures as web pages with living 3D views into site/ (minutes)
bash build.sh test-course  release, hand in, grade and return all assignments; run all student copies undone (minutes)
bash build.sh notebooks  rebuild the lecture and student notebooks from notebooks/source and execute them
bash build.sh clean      remove .venv, .venv-lowest, compiled files, caches, dist/, site/ and demo_results/
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
    for newest in 14 99; do  # known versions first
        for candidate in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do
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
    "$PY" tests/core_smoke.py || fail "the compiled core does not work; run 'bash build.sh clean' and 'bash build.sh' again."
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
        pip_install setuptools Cython || fail "pip could not install the build tools; its message is above."
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
    local failed=0
    "$VENV/bin/ruff" check . || failed=1
    "$VENV/bin/ruff" format --check --quiet . || { say "ruff format would change files; run it."; failed=1; }
    "$VENV/bin/mypy" || failed=1
    run_pytest || failed=1
    return "$failed"
}

run_pytest() {
    local workers
    workers="$(cores)"
    (( workers > 4 )) && workers=4
    # One thread per process, as the workers share the cores; test-everywhere tries others.
    local threads="${VRN_THREADS:-1}"
    export OMP_NUM_THREADS="$threads" OPENBLAS_NUM_THREADS="$threads" MKL_NUM_THREADS="$threads"
    export OMP_WAIT_POLICY=passive  # more threads than cores would wait for each other at full speed
    export MPLBACKEND="${MPLBACKEND:-agg}"
    local -a extra=()
    read -r -a extra <<<"${PYTEST_ARGS:-}" || true
    local -a run=("$PY")
    [[ -z "${VRN_COVERAGE:-}" ]] || run=("$PY" -m coverage run)
    # The last line on the screen is pytest's own summary, unless coverage is asked for.
    "${run[@]}" -m pytest tests notebooks/0*.ipynb --ignore=tests/browser --ignore=tests/benchmarks \
        -n "$workers" --dist loadfile -q -p no:cacheprovider \
        --nbval --nbval-current-env --nbval-cell-timeout=1800 \
        --nbval-sanitize-with=notebooks/sanitize.cfg ${extra[@]+"${extra[@]}"} || return 1
    [[ -z "${VRN_COVERAGE:-}" ]] || { "$PY" -m coverage combine --quiet && "$PY" -m coverage report; }
}

# What differs from machine to machine is set by hand: the threads, and the instructions that each library uses. Each
# setting is a name and what it puts into the environment; `onnxruntime=LEVEL` stands for a copy of ONNX Runtime.
SETTINGS="oldest avx2 onnxruntime numpy onednn threads"
setting() {
    case "$1" in
        oldest) echo "ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Nehalem onnxruntime=sse \
            NPY_DISABLE_CPU_FEATURES=all OPENCV_CPU_DISABLE=AVX2,AVX512-SKX VRN_THREADS=3 \
            GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F" ;;
        avx2) echo "ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell onnxruntime=avx2 \
            OPENCV_CPU_DISABLE=AVX512-SKX VRN_THREADS=2" ;;
        onnxruntime) echo "onnxruntime=avx2" ;;  # alone: that is the difference between two laptops that was met
        numpy) echo "NPY_DISABLE_CPU_FEATURES=all" ;;
        onednn) echo "ONEDNN_MAX_CPU_ISA=SSE41" ;;
        threads) echo "VRN_THREADS=2" ;;
        newest) ;;
        *) fail "there is no setting '$1'; VRN_SETTINGS may name some of: $SETTINGS newest." ;;
    esac
}

apply_setting() {
    local change
    for change in $(setting "$1"); do
        case "$change" in
            onnxruntime=*)
                rm -rf "build/${change/=/-}"
                "$PY" tests/other_processor.py "${change#*=}" "build/${change/=/-}" || return 1
                export PYTHONPATH="$PWD/build/${change/=/-}" ;;
            NPY_DISABLE_CPU_FEATURES=all)
                NPY_DISABLE_CPU_FEATURES="$("$PY" -c \
                    'from numpy._core._multiarray_umath import __cpu_dispatch__ as names; print(*names, sep=",")')"
                export NPY_DISABLE_CPU_FEATURES ;;
            *) export "$change" ;;
        esac
    done
}

install_newest() {  # of everything but torch, in an environment of its own
    "$(find_python)" -m venv --clear .venv-newest
    .venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
        "$(grep '^torch==' constraints.txt)" setuptools Cython -e ".[$EXTRAS]"
}

test_everywhere() {
    local name log failed=0
    mkdir -p build
    for name in ${VRN_SETTINGS:-$SETTINGS ${VRN_NEWEST:+newest}}; do
        setting "$name" >/dev/null
        log="build/test-$name.log"
        if (
            { [[ "$name" != newest ]] || { install_newest && PY=.venv-newest/bin/python; }; } \
                && apply_setting "$name" && run_pytest
        ) >"$log" 2>&1; then say "passed  $name: $(tail -n 1 "$log")"
        else
            failed=1
            say "FAILED  $name: $(tail -n 1 "$log")  ($log)"
            grep -E "^(FAILED|ERROR)" "$log" || true
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
    "$PY" -c 'import gradio, playwright, pytest_rerunfailures' 2>/dev/null \
        || pip_install gradio playwright pytest-rerunfailures || {
        say "Skipped: the browser tests need the packages of the extras 'app' and 'browser', which pip could not install."
        return 0
    }
    # Chromium itself crashes now and then where there is no GPU; only that is tried again, a wrong page is not.
    "$PY" -m pytest tests/browser -q -p no:cacheprovider --reruns 2 --only-rerun TargetClosedError
}

# A copy of tddfa with other compiled modules, which Python finds first. The sanitizers must be loaded before Python is,
# and the C++ library with them, else they miss exceptions. Python itself leaves memory behind: leaks are not looked for.
test_sanitized() {
    local compiler="${CXX:-g++}" flags="-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all -g1"
    local folder="$PWD/build/sanitized" library
    library="$("$compiler" -print-file-name=libasan.so 2>/dev/null || true)"
    if [[ "$library" != /* || "$(uname)" != Linux ]]; then
        say "Skipped: the sanitizers need Linux and gcc with libasan."
        return 0
    fi
    rm -rf "$folder"
    mkdir -p "$folder/tddfa"
    cp -r "$CORE"/*.py "$CORE/data" "$CORE/open_face" "$folder/tddfa"
    say "Compiling the core with the sanitizers ..."
    CC="$compiler" CXX="$compiler" CFLAGS="$flags" CXXFLAGS="$flags" LDFLAGS="-fsanitize=address,undefined" \
        "$PY" setup.py -q build_ext --build-lib "$folder" --build-temp build/sanitized-objects \
        || fail "the core did not compile with the sanitizers; the compiler's message is above."
    local -a run=(env "PYTHONPATH=$folder" "LD_PRELOAD=$library $("$compiler" -print-file-name=libstdc++.so)"
        PYTHONMALLOC=malloc OMP_NUM_THREADS=2 ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 "$PY")
    "${run[@]}" -c 'import tddfa, sys; sys.exit("sanitized" not in tddfa._raster.__file__)' \
        || fail "Python loads other compiled modules than those of $folder."
    "${run[@]}" tests/core_smoke.py
    "${run[@]}" -m pytest tests/test_nms.py tests/test_raster.py tests/test_voxelize.py -q -p no:cacheprovider \
        -m "not slow"
}

fuzz() {  # $1: minutes
    [[ "$1" =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "a number of minutes was expected, got '$1'."
    "$PY" -c 'import atheris' 2>/dev/null || pip_install --only-binary :all: atheris 2>/dev/null || true
    OMP_NUM_THREADS=1 PYTHONPATH="$PWD:$PWD/3DDFA_V2_modified" "$PY" -m tests.fuzz "$1"
}

# Installs exactly the lower bounds of pyproject.toml, those of the extras for users too, and torch as in constraints.txt;
# then imports every module, makes one reconstruction and takes two steps of a training.
test_lowest() {
    local python lowest=.venv-lowest
    python="$(find_python)"
    python_is_usable "$python" 12 || fail \
        "the oldest releases need Python 3.10 to 3.12, not $("$python" --version); name one: VRN_PYTHON=python3.11."
    rm -rf "$lowest"
    "$python" -m venv "$lowest"
    local -a pip=("$lowest/bin/python" -m pip install --quiet --disable-pip-version-check --no-input)
    "${pip[@]}" "$(grep '^torch==' constraints.txt)" setuptools Cython -c constraints.txt
    sed -nE '/^dependencies = \[/,/^]/p; /^(app|heic|train|cluster|video) = /p' pyproject.toml \
        | grep -oE '[a-z0-9-]+(\[[a-z]+\])?>=[0-9.]+' | sed 's/>=/==/' | grep -v '^torch==' >"$lowest/lowest.txt"
    say "Installing $(paste -sd ' ' "$lowest/lowest.txt") ..."
    "${pip[@]}" -r "$lowest/lowest.txt" || fail "the lower bounds of pyproject.toml do not go together; pip's message is above."
    "${pip[@]}" --no-deps --no-build-isolation .
    ( cd "$lowest"; smoke_test "$PWD/bin" )
    say "The lower bounds work."
}

smoke_test() {  # $1: the folder of python and vrn
    "$1/python" ../tests/core_smoke.py
    "$1/python" -c 'from PIL import Image; from skimage.data import astronaut; Image.fromarray(astronaut()).save("photo.png")'
    "$1/python" - <<'PYTHON'
import importlib, pkgutil, tddfa, vrnlib
for package in (tddfa, vrnlib):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if "course" not in module.name and not module.name.endswith("__main__"):  # the course is made with Jupyter
            importlib.import_module(module.name)
PYTHON
    export VRN_CACHE="$PWD/cache" OMP_NUM_THREADS=1
    "$1/vrn" train vrn -o run --cache renders --renders 4 --held-out 2 --steps 2 --batch 2 --report 1 --workers 0 \
        --stem 8 --features 16 --size 128
    "$1/vrn" reconstruct photo.png -o results
    local suffix
    for suffix in html ply png; do
        compgen -G "results/*.$suffix" >/dev/null || fail "reconstruct wrote no .$suffix file."
    done
}

# Only where it is wanted, as nbgrader gives JupyterLab a menu of its own.
need_course() {
    "$PY" -c 'import latex2mathml, sys; sys.version_info < (3, 11) or __import__("nbgrader")' 2>/dev/null \
        || pip_install latex2mathml "nbgrader ; python_version >= '3.11'"
}

write_course() {  # $1: the folder, as it is named from where the user stands
    local folder="$1"
    [[ -n "$folder" ]] || fail "name a new folder for the course, such as: bash build.sh course my-course"
    [[ "$folder" == /* ]] || folder="$CALLED_FROM/$folder"
    "$PY" -m vrnlib.course assignments "$folder"
}

run_course_tests() {
    VRN_COURSE=all MPLBACKEND=agg OMP_NUM_THREADS=1 "$PY" -m pytest tests/test_course.py tests/test_course_nbgrader.py \
        -n "$(( $(cores) > 2 ? 2 : $(cores) ))" --dist loadfile -q -p no:cacheprovider
}

clean() {
    rm -rf "$VENV" .venv-lowest .venv-newest .mypy_cache build dist demo_results site ./*.egg-info .pytest_cache .ruff_cache
    rm -f "$CORE"/_*.cpp "$CORE"/_*.so "$CORE"/_*.pyd
    find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
    say "Removed .venv, .venv-lowest, compiled files, caches, site/ and demo_results/."
}

(( $# <= 1 )) || [[ "$1" =~ ^(course|fuzz)$ && $# == 2 ]] \
    || fail "one verb at a time was expected, got '$*'; 'bash build.sh help' lists them."
case "${1:-setup}" in
    setup) setup; say "Ready. Try: bash build.sh demo" ;;
    demo) setup; demo ;;
    test) setup; need_course || say "The course's tests are skipped: pip could not install nbgrader."; run_tests ;;
    test-browser) setup; run_browser_tests ;;
    test-everywhere) setup; test_everywhere ;;
    test-mutations) setup; "$PY" tests/mutations.py ;;
    test-sanitized) setup; test_sanitized ;;
    fuzz) setup; fuzz "${2:-3}" ;;
    test-lowest) test_lowest ;;
    test-course) setup; need_course; run_course_tests ;;
    course) setup; need_course; write_course "${2:-}" ;;
    site) setup; need_course; rm -rf site; "$PY" -m vrnlib.course site site ;;
    lab) setup; exec "$VENV/bin/jupyter" lab notebooks ;;
    notebooks) setup; "$PY" -m vrnlib.course build && "$PY" -m vrnlib.course execute ;;
    clean) clean ;;
    help | -h | --help) help ;;
    *) fail "there is no verb '$1'; 'bash build.sh help' lists them." ;;
esac
