#!/bin/sh
# Prepares this checkout: installs system packages, uv, and the packages of uv.lock in .venv.
#
#     ./setup.sh        `make run`, `make test` and `make check` call it; it ends at once if there is nothing to do
#
# System packages are installed if that needs no password; otherwise the command to run is printed and nothing is
# changed. uv is taken from the PATH or installed into .uv. Python is never downloaded. The output of apt-get and uv goes
# to .uv/setup.log, which is named if they fail; a progress line reports from time to time how much is installed.
set -eu

OLDEST_BUBBLEWRAP=0.8
OLDEST_UV=0.6
PINNED_UV=0.13.9
# sha256 of its wheels for Linux: x86_64 (manylinux, musllinux), aarch64 (manylinux 2.17 and musllinux, manylinux 2.28)
UV_DIGESTS="
    d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19
    2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25
    5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe
    ecb6028d79dc96fbeafffe5c8af62a7099487ebc05a701e76714eebcffd06375"
PYTHONS="python3 python3.12 python3.13 python3.11 python3.14"
SUPPORTED="(3, 11) <= sys.version_info < (3, 15)"

root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
stamp=$root/.venv/.synced
log=$root/.uv/setup.log
PROGRESS_SECONDS=20
PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin

main() {
    cd "$root"
    [ "$(uname -s)" = Linux ] || fail "aar runs on Linux: its sandbox is made of Linux namespaces"
    wait_for_other_setup
    install_system_packages "$(missing_packages)"
    check_bubblewrap
    is_synced || sync_packages
}

wait_for_other_setup() { # a second setup waits here until this one ends
    has flock || return 0
    exec 9<setup.sh
    flock 9
}

logged() { # COMMAND ARGUMENT...: run it with its output in the log
    mkdir -p "${log%/*}"
    echo "\$ $*" >>"$log"
    "$@" </dev/null >>"$log" 2>&1
}

fail_logged() { # MESSAGE: fail, after the end of the log
    tail -n 10 "$log" >&2
    fail "$1; the full output is in $log"
}

say() { printf 'setup: %s\n' "$*" >&2; }

fail() {
    say "$@"
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

at_least() { # VERSION OLDEST
    [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

missing_packages() {
    has bwrap && at_least "$(bubblewrap_version)" "$OLDEST_BUBBLEWRAP" || echo bubblewrap
    has git || echo git
    has setpriv && has prlimit && has flock || echo util-linux
    ldconfig -p | grep -q 'libseccomp\.so\.2 ' || echo libseccomp2
}

bubblewrap_version() { bwrap --version | cut -d ' ' -f 2; }

check_bubblewrap() { # an older distribution has no newer package to install
    at_least "$(bubblewrap_version)" "$OLDEST_BUBBLEWRAP" ||
        fail "bubblewrap $(bubblewrap_version) is too old: $OLDEST_BUBBLEWRAP or newer is in Debian 12 and Ubuntu 24.04"
}

install_system_packages() { # "NAME NAME ..." on one or several lines
    [ -n "$1" ] || return 0
    packages=$(echo $1)
    update="apt-get update -qq"
    install="apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $packages"
    if ! has apt-get; then
        fail "missing: $packages (Debian's names). Install them with your system's package manager and start again"
    elif [ "$(id -u)" -eq 0 ]; then
        as_root=
    elif has sudo && sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        say "missing: $packages. Run this command, then start again:"
        fail "  sudo sh -c 'apt-get update && apt-get install -y $packages'"
    fi
    say "installing: $packages"
    export DEBIAN_FRONTEND=noninteractive
    logged $as_root $update || say "continuing with the existing package lists"
    logged $as_root $install || fail_logged "apt-get could not install: $packages"
}

# What the environment was built for. A venv contains its own path, so a moved checkout needs a new one.
wanted_stamp() {
    echo "$root"
    cat uv.lock pyproject.toml setup.sh | sha256sum
}

is_synced() { [ -f "$stamp" ] && [ -x .venv/bin/python ] && [ "$(cat "$stamp")" = "$(wanted_stamp)" ]; }

sync_packages() {
    python=$(find_python)
    [ -n "$python" ] || fail "no Python 3.11 to 3.14 was found (looked for: $PYTHONS). Install one: apt-get install python3"
    use_own_settings
    uv=$(find_uv)
    [ -n "$uv" ] || install_uv
    [ ! -f "$stamp" ] || [ "$(head -n 1 "$stamp")" = "$root" ] || rm -rf .venv
    rm -f "$stamp"
    wanted=$(wanted_stamp)
    say "installing the packages of uv.lock into .venv (the first time: 3 GB to download, 7 GB on disk)"
    report_size 9>&- &
    reporter=$!
    trap 'kill "$reporter" 2>/dev/null || true' EXIT
    logged "$uv" sync --frozen --group dev --python "$python" --compile-bytecode ||
        fail_logged "the packages could not be installed; run it again to continue with the files already downloaded"
    say "the packages are installed"
    echo "$wanted" >"$stamp.part"
    mv "$stamp.part" "$stamp"
}

report_size() { # in the background, so that an interruption reaches uv
    # It ends with this script, however that ends. `sleep` may outlive both, so it must not hold the caller's pipes open.
    while sleep "$PROGRESS_SECONDS" >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
        seconds=$((${seconds:-0} + PROGRESS_SECONDS))
        [ ! -d .venv ] || say "installing for $seconds s: $(du -sh .venv | cut -f 1) of about 7G unpacked"
    done
}

find_python() {
    for name in $PYTHONS; do
        has "$name" || continue
        # Print the interpreter itself, not an active virtual environment or a launcher.
        "$name" -c "import sys; print(sys._base_executable) if $SUPPORTED else sys.exit(1)" 2>/dev/null && return
    done
    true
}

# The caller's environment must not redirect the installation; a home that is not writable is not used.
use_own_settings() {
    unset PYTHONDONTWRITEBYTECODE VIRTUAL_ENV UV_PROJECT UV_WORKING_DIRECTORY UV_PYTHON UV_LOCKED UV_NO_DEV UV_NO_SYNC
    export UV_PROJECT_ENVIRONMENT="$root/.venv" UV_PYTHON_DOWNLOADS=never PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1
    export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-300}"
    [ -n "${UV_CACHE_DIR:-}" ] || has_home || export UV_CACHE_DIR="$root/.uv/cache" PIP_NO_CACHE_DIR=1
}

has_home() {
    [ -d "${HOME:-}" ] && cache=${XDG_CACHE_HOME:-$HOME/.cache}/uv && mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ]
}

find_uv() {
    for candidate in "$root/.uv/bin/uv" uv; do
        # A launcher of that name may exist without the program behind it, so ask for its version.
        version=$("$candidate" --version 2>/dev/null | cut -d ' ' -f 2)
        [ -n "$version" ] && at_least "$version" "$OLDEST_UV" && echo "$candidate" && return
    done
    true
}

install_uv() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        install_system_packages "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    say "installing uv $PINNED_UV into .uv"
    {
        "$python" -m venv --clear .uv && pinned_uv >.uv/requirement.txt &&
        .uv/bin/python -m pip install --quiet --only-binary=:all: --require-hashes -r .uv/requirement.txt
    } </dev/null >&2 ||
        fail "uv could not be installed; see the message above. On another processor, put uv $OLDEST_UV on the PATH"
    uv=$root/.uv/bin/uv
}

pinned_uv() { # a requirements file
    printf 'uv==%s' "$PINNED_UV"
    printf ' --hash=sha256:%s' $UV_DIGESTS
    echo
}

main
