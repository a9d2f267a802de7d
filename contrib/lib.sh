# SPDX-License-Identifier: Apache-2.0
# Shared by the commands of contrib/: what to install, how to build, how to start and stop things. Sourced by bash after
# `set -eu`. Everything that is made lands in build*/ of the source tree or in a temporary folder.

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

build_packages="gcc libc6-dev make autoconf automake pkg-config libevent-dev libnghttp2-dev libssl-dev liblmdb-dev
    libcurl4-openssl-dev libyaml-dev libxxhash-dev libjansson-dev liburcu-dev"
test_packages="perl curl openssl procps clang-format-14"
client_packages="python3-azure-storage python3-aiohttp rclone"

# The Blob service and its client want Node 20, Debian 12 has 18: then npm brings the runtime too, pinned like the rest.
node_wanted=20
node_version=20.19.5

say() {
    printf '== %s\n' "$*" >&2
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# jobs: how many compilers at once.
jobs() {
    nproc
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "needs root to run: $*"
    fi
}

installed() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

# install_packages NAME…: what is not installed yet, and nothing when all is there. Services are not started: Debian's
# packages ask this file about that, and one that an administrator has put there stays.
no_services=/usr/sbin/policy-rc.d

install_packages() {
    local missing=() name log refused='' result=0
    command -v dpkg-query >/dev/null || {
        say "not a Debian system: taking for granted that these are there: $*"
        return 0
    }
    for name in "$@"; do
        installed "$name" || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    log=$(mktemp)
    if ! [ -e $no_services ]; then
        refused=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee $no_services >/dev/null
        as_root chmod 755 $no_services
    fi
    { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update &&
        as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
            apt-get -qq -y --no-install-recommends install "${missing[@]}"; } >"$log" 2>&1 || result=1
    [ -z "$refused" ] || as_root rm -f $no_services
    if [ $result != 0 ]; then
        tail -20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install: ${missing[*]}"
    fi
    rm -f "$log"
}

# install_to_build NAME…: what building takes, and these.
install_to_build() {
    # shellcheck disable=SC2086
    install_packages $build_packages "$@"
}

# build_tree DIR TARGETS… -- CONFIGURE-ARGUMENTS…: brings DIR up to date; quiet unless something fails.
build_tree() {
    local dir=$1 targets=() log
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        targets+=("$1")
        shift
    done
    [ $# -eq 0 ] || shift
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    log=$dir/build.log
    : >"$log"
    if ! [ -x "$source_dir/configure" ] || [ "$source_dir/configure.ac" -nt "$source_dir/configure" ] ||
        [ -n "$(find "$source_dir" -name Makefile.am -newer "$source_dir/configure" -not -path '*/build*')" ]; then
        say "autoreconf"
        (cd "$source_dir" && autoreconf -fi) >>"$log" 2>&1 || { tail -20 "$log" >&2; die "autoreconf failed"; }
    fi
    if ! [ -f "$dir/Makefile" ] || [ "$(cat "$dir/configured" 2>/dev/null)" != "$*" ]; then
        say "configure $* in ${dir#"$source_dir"/}"
        (cd "$dir" && "$source_dir/configure" "$@") >>"$log" 2>&1 ||
            { grep '^configure: error' -A3 "$log" >&2 || tail -20 "$log" >&2; die "configure failed, see $log"; }
        printf '%s\n' "$*" >"$dir/configured"
    fi
    say "make ${targets[*]} in ${dir#"$source_dir"/}"
    make -C "$dir" -s -j"$(jobs)" "${targets[@]}" >>"$log" 2>&1 || { tail -40 "$log" >&2; die "make failed, see $log"; }
}

node_is_new_enough() {
    local version
    version=$(node --version 2>/dev/null) || return 1
    version=${version#v}
    [ "${version%%.*}" -ge $node_wanted ]
}

# npm_modules: installs what t/clients/package-lock.json pins into build/node and sets `node` and `node_modules`.
npm_modules() {
    local dir=$source_dir/build/node arch log
    command -v npm >/dev/null || install_packages nodejs npm
    node_modules=$dir/node_modules
    mkdir -p "$dir"
    log=$dir/npm.log
    if ! cmp -s "$source_dir/t/clients/package-lock.json" "$dir/installed-lock.json"; then
        say "npm: the Blob service and its client"
        cp "$source_dir/t/clients/package.json" "$source_dir/t/clients/package-lock.json" "$dir/"
        (cd "$dir" && npm ci --omit=optional --no-audit --no-fund) >"$log" 2>&1 ||
            { tail -20 "$log" >&2; die "npm could not install the packages of t/clients/package.json"; }
        cp "$dir/package-lock.json" "$dir/installed-lock.json"
    fi
    node=$(command -v node || true)
    node_is_new_enough && return 0
    case $(uname -m) in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) die "needs Node $node_wanted or newer" ;;
    esac
    node=$dir/runtime/node_modules/node-linux-$arch/bin/node
    if ! [ -x "$node" ]; then
        say "npm: Node $node_version"
        npm install --prefix "$dir/runtime" --no-audit --no-fund --no-save "node-linux-$arch@$node_version" \
            >>"$log" 2>&1 || { tail -20 "$log" >&2; die "npm could not install Node $node_version"; }
    fi
}

# wait_for_line FILE PATTERN PID: prints the first line that matches, once it is there; fails when the process is gone.
wait_for_line() {
    local tries=0
    until grep -m1 -E "$2" "$1" 2>/dev/null; do
        kill -0 "$3" 2>/dev/null || { grep -m1 -E "$2" "$1" || { cat "$1" >&2; return 1; }; return 0; }
        tries=$((tries + 1))
        [ $tries -lt 1200 ] || { cat "$1" >&2; return 1; }
        sleep 0.05
    done
}

# start_azurite DIR: sets azurite_pid and azurite_port; its request log is DIR/azurite.log.
start_azurite() {
    "$node" "$node_modules/azurite/dist/src/blob/main.js" --blobHost 127.0.0.1 --blobPort 0 \
        --skipApiVersionCheck --loose --inMemoryPersistence --disableTelemetry >"$1/azurite.log" 2>&1 &
    azurite_pid=$!
    azurite_port=$(wait_for_line "$1/azurite.log" 'listens on http' "$azurite_pid" |
        sed -n 's/.*127\.0\.0\.1:\([0-9]*\).*/\1/p') || die "the Blob service did not start"
    [ -n "$azurite_port" ] || die "the Blob service did not say its port"
}

# start_headpond BINARY CONFIG LOG: sets headpond_pid; headpond_address http|https|admin then tells the addresses.
start_headpond() {
    "$1" -c "$2" 2>"$3" &
    headpond_pid=$!
    headpond_log=$3
    wait_for_line "$3" ' start( |$)' "$headpond_pid" >/dev/null || die "headpond did not start"
}

headpond_address() {
    wait_for_line "$headpond_log" " listen .*scheme=$1(:| |\$)" "$headpond_pid" | sed 's/.*address=\([^ ]*\).*/\1/'
}

# stop PID…: asks, waits, and makes sure. Only for children of this shell.
stop() {
    local pid tries
    for pid in "$@"; do
        [ -n "$pid" ] || continue
        kill "$pid" 2>/dev/null || continue
        tries=0
        while kill -0 "$pid" 2>/dev/null && [ $tries -lt 200 ]; do
            tries=$((tries + 1))
            sleep 0.05
        done
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}
