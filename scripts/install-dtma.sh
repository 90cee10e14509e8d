#!/usr/bin/env bash
# Makes this machine a toolbox: installs dtma from a signed release, enrols it, starts it. Run again, it changes nothing.
# Everything is in main(), called in the last line, so that a script that was cut short on its way does nothing at all.
set -euo pipefail

# The public key that releases are signed with; scripts/release writes it here. Empty in the source: then --key says it.
RELEASE_KEY=

usage() {
    cat <<'TEXT'
Usage: install-dtma.sh --url URL [--token-file FILE] [options]
       install-dtma.sh --uninstall [--remove-data] [options]

Installs dtma under /opt/dtma, makes it a toolbox of the control plane at URL, and starts it. The enrolment token is
read from a file or from standard input, never from an argument. Run again, it changes nothing and restarts nothing; with
a newer release it updates, and goes back by itself when the new version does not work.

  --url URL         the control plane; without it, dtma is installed and not enrolled
  --token-file FILE the enrolment token; default: the first line of standard input
  --listen ADDRESS  where the gateway listens: plain HTTP on the loopback, TLS anywhere else; default: 127.0.0.1:8788
  --host HOST       by which name or address the gateway is called from elsewhere
  --from DIR|URL    the release: SHA256SUMS, its signature and the programs; default: where this script lies
  --version V       refuse the release when it is not this version
  --key KEY         the release's public key (32 bytes, base64url), when this script does not carry one
  --root DIR        install below this folder instead of /; sets up no packages and no service
  --dry-run         say what would be done, and change nothing
  --uninstall       remove the servers, the program and the service; volumes and state stay
  --remove-data     with --uninstall: remove volumes and state too
TEXT
}

step() { printf '%s\n' "$*" >&2; }

# die WHAT WHAT-NEXT
die() {
    printf 'error: %s\n       %s\n' "$1" "$2" >&2
    exit 1
}

# change TEXT COMMAND...: does it, or says that it would be done.
change() {
    local what=$1
    shift
    if [ -n "$dry_run" ]; then
        printf 'would: %s\n' "$what"
    else
        step "$what"
        "$@"
    fi
}

has_systemd() { [ -z "$root" ] && [ -d /run/systemd/system ] && command -v systemctl >/dev/null; }

# fetch NAME: a file of the release, into the work folder. Nothing of it is trusted before verify.
fetch() {
    case $from in
    https://* | http://127.0.0.1[:/]* | http://localhost[:/]*)
        curl --fail --silent --show-error --location --max-filesize 268435456 --output "$work/$1" "${from%/}/$1" ||
            die "${from%/}/$1 could not be fetched" "check the address and the network, then run this again"
        ;;
    *://*) die "'$from' is no address for a release" "use https, or copy the release and give its folder" ;;
    *) cp "$from/$1" "$work/$1" 2>/dev/null || die "$from has no $1" "give the folder of a release with --from" ;;
    esac
}

# The signature first, then what is read of the list. Sets version and program.
verify() {
    local names
    [[ $key =~ ^[A-Za-z0-9_-]{43}$ ]] ||
        die "there is no key to check the release with" "add --key, as the one who made the release tells it"
    if [ -s "$opt/release.pub" ] && [ "$(cat "$opt/release.pub")" != "$key" ]; then
        die "this machine trusts another release key" "check who made this release; to change the key, uninstall first"
    fi
    # An Ed25519 public key is these twelve bytes and its own 32.
    printf -- '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA%s=\n-----END PUBLIC KEY-----\n' "$(printf %s "$key" | tr -- '-_' '+/')" >"$work/key.pem"
    openssl pkeyutl -help 2>&1 | grep -q -- -rawin ||
        die "this openssl ($(openssl version)) cannot check an Ed25519 signature" "install openssl 3.0 or newer, then run this again"
    openssl pkeyutl -verify -pubin -inkey "$work/key.pem" -rawin -in "$work/SHA256SUMS" -sigfile "$work/SHA256SUMS.sig" >/dev/null 2>&1 ||
        die "the release is not signed with the key $key" "do not use it; get it from where you trust"
    names=$(sed -n "s/^[0-9a-f]\{64\}  \(dtma-[0-9]*\.[0-9]*\.[0-9]*-$(uname -m)\)$/\1/p" "$work/SHA256SUMS")
    [ -n "$names" ] || die "the release has no program for $(uname -m)" "make one on such a machine with scripts/release"
    [ "$(printf '%s\n' "$names" | wc -l)" -eq 1 ] || die "the release has several programs for $(uname -m)" "make it again"
    program=$names
    version=${program#dtma-}
    version=${version%"-$(uname -m)"}
    [ -z "$wanted" ] || [ "$wanted" = "$version" ] || die "the release is $version, not $wanted" "give another --from or --version"
}

# check NAME: that the file is the one that was signed.
check() {
    (cd "$work" && grep -E "^[0-9a-f]{64}  $1\$" SHA256SUMS | sha256sum --check --status) ||
        die "$1 is not the one that was signed" "get the release again"
}

# put MODE SOURCE TARGET: only where it differs.
put() {
    if cmp -s "$2" "$3"; then return; fi
    change "write $3" install -D -m "$1" "$2" "$3"
}

# link TARGET NAME: switched in one step, only where it differs.
link() {
    if [ "$(readlink "$2" 2>/dev/null)" = "$1" ]; then return; fi
    change "link $2 -> $1" switch_link "$1" "$2"
}

switch_link() {
    mkdir -p "$(dirname "$2")"
    ln -sfn "$1" "$2.new"
    mv -T "$2.new" "$2"
}

packages() {
    local missing=()
    [ -z "$root" ] || return 0
    if ! command -v dockerd >/dev/null && ! docker info >/dev/null 2>&1; then missing+=(docker.io); fi
    command -v iptables >/dev/null || [ -x /usr/sbin/iptables ] || missing+=(iptables)
    command -v ip >/dev/null || [ -x /usr/sbin/ip ] || missing+=(iproute2)
    command -v openssl >/dev/null || missing+=(openssl)
    [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    case $from in http*) command -v curl >/dev/null || missing+=(curl) ;; esac
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null ||
        die "these are missing: ${missing[*]}" "install them with this machine's package manager, then run this again"
    change "install Debian packages: ${missing[*]}" apt_install "${missing[@]}"
}

apt_install() {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

install_program() {
    local present='' signed
    present=$(readlink "$opt/current" 2>/dev/null) || true
    if [ -n "$present" ] && [ "$present" != "$version" ]; then
        [ "$(printf '%s\n' "$present" "$version" | sort -V | tail -1)" = "$version" ] ||
            die "$version is older than $present, which is installed" "a downgrade is never done; uninstall first if it must be"
        # One way to a newer version: the one that goes back by itself.
        change "update from $present to $version" "$opt/current/dtma" update --from "$from" --state "$state"
        return
    fi
    signed=$(sed -n "s/^\([0-9a-f]\{64\}\)  $program\$/\1/p" "$work/SHA256SUMS")
    if [ "$(2>/dev/null sha256sum <"$opt/$version/dtma")" != "$signed  -" ]; then
        fetch "$program"
        check "$program"
        put 755 "$work/$program" "$opt/$version/dtma"
    fi
    printf '%s\n' "$key" >"$work/release.pub"
    put 644 "$work/release.pub" "$opt/release.pub"
    link "$version" "$opt/current"
    link /opt/dtma/current/dtma "$root/usr/local/bin/dtma"
}

enrol() {
    [ -n "$url" ] || return 0
    if [ -e "$state/enrolment.ledger" ]; then return; fi
    if [ -n "$dry_run" ]; then
        echo "would: enrol this machine at $url"
        return
    fi
    if [ -z "$token_file" ]; then
        local token=
        if [ -t 0 ]; then
            read -rsp 'Enrolment token: ' token && echo >&2
        else
            read -r token || true
        fi
        [ -n "$token" ] || die "there is no enrolment token" "give it with --token-file FILE, or on standard input"
        token_file=$work/token
        # A builtin: what it is given shows in no list of processes.
        printf '%s\n' "$token" >"$token_file"
    fi
    step "enrol this machine at $url"
    "$opt/current/dtma" enrol --url "$url" --token-file "$token_file" "${place[@]}" --state "$state" >&2
}

service() {
    if ! has_systemd; then
        [ -e "$state/enrolment.ledger" ] && [ -z "$root" ] || return 0
        step "There is no systemd here, so nothing starts dtma. By hand (and after each start of the machine):"
        step "  setsid $opt/current/dtma run --state $state >>/var/log/dtma.log 2>&1 </dev/null &"
        return
    fi
    local before=
    before=$(cat "$unit" 2>/dev/null) || true
    put 644 "$work/dtma.service" "$unit"
    if [ "$before" != "$(cat "$work/dtma.service")" ]; then change "tell systemd" systemctl daemon-reload; fi
    systemctl is-enabled --quiet dtma 2>/dev/null || change "enable dtma at each start of the machine" systemctl enable --quiet dtma
    # Before it is enrolled there is nothing to run.
    if [ ! -e "$state/enrolment.ledger" ] && [ -z "$dry_run$url" ]; then return; fi
    systemctl is-active --quiet dtma || change "start dtma" systemctl start dtma
}

uninstall() {
    local keep=(--keep-data)
    [ -z "$remove_data" ] || keep=()
    if has_systemd && [ -e "$unit" ]; then
        change "stop dtma" systemctl disable --quiet --now dtma
    fi
    if [ -x "$opt/current/dtma" ] && [ -e "$state/enrolment.ledger" ]; then
        change "remove this toolbox's servers${remove_data:+, their data and its identity}" \
            "$opt/current/dtma" uninstall --yes "${keep[@]}" --state "$state"
    fi
    if [ -e "$unit" ]; then change "remove $unit" rm -f "$unit"; fi
    if has_systemd; then change "tell systemd" systemctl daemon-reload; fi
    if [ -L "$root/usr/local/bin/dtma" ]; then change "remove $root/usr/local/bin/dtma" rm -f "$root/usr/local/bin/dtma"; fi
    if [ -d "$opt" ]; then change "remove $opt" rm -rf "$opt"; fi
    if [ -n "$remove_data" ] && [ -d "$state" ]; then change "remove $state" rm -rf "$state"; fi
    if [ -d "$state" ]; then step "$state and the servers' volumes stay; --uninstall --remove-data removes them too"; fi
}

main() {
    local url='' token_file='' from='' wanted='' key=$RELEASE_KEY root='' dry_run='' uninstall='' remove_data=''
    local opt state unit work version program here
    local place=()
    while [ $# -gt 0 ]; do
        case $1 in
        --url) url=${2:?--url needs an address} && shift 2 ;;
        --token-file) token_file=${2:?--token-file needs a file} && shift 2 ;;
        --listen) place+=(--listen "${2:?--listen needs an address}") && shift 2 ;;
        --host) place+=(--host "${2:?--host needs a name or an address}") && shift 2 ;;
        --from) from=${2:?--from needs a folder or an address} && shift 2 ;;
        --version) wanted=${2:?--version needs a version} && shift 2 ;;
        --key) key=${2:?--key needs a key} && shift 2 ;;
        --root) root=${2:?--root needs a folder} && shift 2 ;;
        --dry-run) dry_run=1 && shift ;;
        --uninstall) uninstall=1 && shift ;;
        --remove-data) remove_data=1 && shift ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && die "unknown option '$1'" "see the options above" ;;
        esac
    done
    root=${root%/} opt=$root/opt/dtma state=$root/var/lib/dtma unit=$root/etc/systemd/system/dtma.service
    [ -n "$root" ] || [ "$(id -u)" -eq 0 ] || die "installing needs root" "run this with sudo"
    [ -z "$token_file" ] || [ -r "$token_file" ] || die "$token_file cannot be read" "check the path after --token-file"
    umask 022
    if [ -n "$uninstall" ]; then
        uninstall
        return
    fi
    here=$(cd "$(dirname "${BASH_SOURCE[0]:-.}")" && pwd)
    [ -n "$from" ] || [ ! -e "$here/SHA256SUMS" ] || from=$here
    [ -n "$from" ] || die "there is no release beside this script" "say where one is with --from"
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder's name as it is now
    trap "rm -rf '$work'" EXIT
    packages
    # A dry run on a machine without openssl: nothing more can be said without installing it.
    if [ -n "$dry_run" ] && ! command -v openssl >/dev/null; then return; fi
    fetch SHA256SUMS
    fetch SHA256SUMS.sig
    verify
    fetch dtma.service
    check dtma.service
    install_program
    enrol
    service
    [ -n "$dry_run" ] || step "dtma $version is installed"
}

main "$@"
