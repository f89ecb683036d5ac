#!/bin/sh
# Make an empty Python environment with pip: tools/environment.sh DIRECTORY
#
# PYTHON names the Python to take; without it, the newest of those that we support and that really run. Debian and
# Ubuntu keep what gives an environment its pip in packages of their own: where these are missing, pip comes from
# the Python's own pip, or out of Debian's package, which is unpacked and not installed, so that nobody has to be root.
set -eu

directory=$1

is_supported() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

choose_python() {
    for name in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if is_supported "$name"; then
            echo "$name"
            return
        fi
    done
    echo "${PYTHON:-python3} is not Python 3.11 or newer: install one, or name it: make PYTHON=/path/to/python3.11" >&2
    return 1
}

has() {
    "$python" -m "$1" --version >/dev/null 2>&1
}

download() {
    apt-get download "$1" || { apt-get update && apt-get download "$1"; }
}

debian_pip() {
    unpacked=$directory/debian
    mkdir -p "$unpacked" &&
        (cd "$unpacked" && download python3-pip-whl && dpkg -x python3-pip-whl_*.deb .) >&2 &&
        set -- "$unpacked"/usr/share/python-wheels/pip-*.whl &&
        "$directory/bin/python" "$1/pip" install --quiet --no-index "$1" &&
        rm -r "$unpacked"
}

python=$(choose_python)
echo "$directory: an environment of $("$python" --version)" >&2
if has ensurepip; then
    "$python" -m venv --clear "$directory"
    exit
fi
"$python" -m venv --clear --without-pip "$directory"
if has pip && "$python" -m pip --python "$directory/bin/python" install --quiet pip; then
    exit
fi
if command -v apt-get >/dev/null && debian_pip; then
    exit
fi
echo "$python cannot make an environment with pip: install the package python3-venv (or $python-venv)" >&2
exit 1
