#!/usr/bin/env bash
# Creates .venv and installs the pinned stack into it; a second call with nothing changed does nothing.
set -euo pipefail
script=$(realpath "$0")
cd "$(dirname "$script")/.."
MMCV=2.3.6
PYTHON=${PYTHON:-python3}
wheel_root=${MMADASAP_WHEELS:-${XDG_CACHE_HOME:-$HOME/.cache}/mmadasap/wheels}

say() { printf '[set-up] %s\n' "$*"; }

# A set-up that is there goes on with its own.
[ ! -x .venv/bin/python ] || PYTHON=.venv/bin/python
"$PYTHON" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || {
    say "Python 3.10 to 3.13 is needed, $("$PYTHON" --version) was found; set PYTHON=/path/to/python3.11, and take a .venv of another away."
    exit 1
}
stamp=.venv/.installed-$(cat setup.py requirements/*.txt "$script" | sha256sum | cut -c1-16)
[ -e "$stamp" ] && exit 0

[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }

say 'installing build tools and torch (a few minutes, some GB) ...'
pip install -qq pip==25.3 'setuptools==80.9.0' wheel==0.45.1 ninja==1.13.0
pip install -qq -r requirements/torch.txt

# A wheel of mmcv fits one build of torch, one Python and one platform, and has device code only if built with a device;
# its file name tells Python and platform alone.
key=$(.venv/bin/python -c 'import platform, sys, torch
device = "cuda" if torch.cuda.is_available() else "cpu"
print(f"torch{torch.__version__}-{device}-cp{sys.version_info[0]}{sys.version_info[1]}-{platform.machine()}")')
wheels=$wheel_root/$key
if ! compgen -G "$wheels/onedl_mmcv-$MMCV-*.whl" >/dev/null; then
    say "compiling mmcv $MMCV for $key: 14 to 30 minutes on 2 cores, once; the wheel is kept in $wheels"
    build=$(mktemp -d)
    SECONDS=0
    pip wheel -v --no-deps --no-build-isolation --no-cache-dir -w "$build" "onedl-mmcv==$MMCV" >"$build/log" 2>&1 &
    pid=$!
    # Under set -e a failing command in a trap would be the exit status of the whole script.
    trap 'kill $pid 2>/dev/null || true; rm -rf "$build"' EXIT
    while kill -0 $pid 2>/dev/null; do
        sleep 5
        if [ $((SECONDS / 5 % 6)) -eq 0 ]; then
            say "  $((SECONDS / 60)) min $((SECONDS % 60)) s, object files $(grep -oE '\[[0-9]+/[0-9]+\]' "$build/log" | tail -n 1 || true)"
        fi
    done
    wait $pid || { tail -n 30 "$build/log"; say 'compiling mmcv failed; the end of its log stands above. Is a C++ compiler (g++) installed, and nvcc where there is a CUDA device?'; exit 1; }
    mkdir -p "$wheels"
    # Renamed within the folder, so that a killed copy is never taken for a wheel.
    built=$(basename "$build"/onedl_mmcv-*.whl)
    cp "$build/$built" "$wheels/.$built.part" && mv "$wheels/.$built.part" "$wheels/$built"
    say "compiled mmcv in $((SECONDS / 60)) min $((SECONDS % 60)) s"
fi

say 'installing the other requirements ...'
pip install -qq --no-deps "$wheels"/onedl_mmcv-$MMCV-*.whl
pip install -qq -r requirements/torch.txt -r requirements/pinned.txt
# Dependencies ask for opencv-python, which needs a display's libraries; the headless build is the same module without.
pip uninstall -qq -y opencv-python opencv-python-headless
pip install -qq --no-deps -r requirements/opencv.txt
pip install -qq --no-deps --no-build-isolation -e .
rm -f .venv/.installed-*
touch "$stamp"
say "done; use it with: source .venv/bin/activate"
