#!/usr/bin/env bash
# Sets up what the lab and the tests need, and nothing else:
#   setup.sh [node] [packages] [build] [--native] [--also PACKAGE]...
#   node      Node is new enough; npm ci when node_modules is missing or older than package-lock.json
#   packages  Debian packages that are missing, as root or through sudo; none of them is left running or enabled
#   build     dist/
# All three when none is named. --native: without User Mode Linux. Exit 3: a privilege is missing; it says what to type.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { echo "setup: $*" >&2; }
fail() {
  say "${@:2}"
  exit "$1"
}

check_node() {
  local version
  version=$(node --version 2>/dev/null) || fail 3 "Node.js is missing: Node 20.19 or newer is needed (Debian 13: apt-get install nodejs npm; elsewhere https://nodejs.org)"
  [ "$(printf '%s\nv20.19.0\n' "$version" | sort -V | head -1)" = v20.19.0 ] ||
    fail 3 "Node $version is too old: 20.19 or newer is needed (Debian 13: apt-get install nodejs npm; elsewhere https://nodejs.org)"
  local have # npm writes the two in no certain order: a minute counts as the same time
  have=$(stat -c %Y node_modules/.package-lock.json 2>/dev/null) || have=0
  if [ $((have + 60)) -lt "$(stat -c %Y package-lock.json)" ]; then
    say "npm ci: the project's Node packages"
    npm ci --no-audit --no-fund --loglevel=error >&2 || fail 1 "npm ci failed"
  fi
}

# A program, as a name or a file's pattern, and the Debian package that has it.
programs() {
  cat <<'END'
busybox busybox-static
setpriv util-linux
ip iproute2
ps procps
modprobe kmod
ipvsadm ipvsadm
lighttpd lighttpd
nginx nginx-light
/usr/sbin/php-fpm* php-fpm
haproxy haproxy
tcpdump tcpdump
curl curl
END
  [ "$native" ] || echo slirp4netns slirp4netns
  [ "$native" ] || cat <<'END'
patchelf patchelf
/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
END
  [ "$native" ] || is_ubuntu || echo linux.uml user-mode-linux
}

uml=.lab/uml # a folder for each release of Debian whose User Mode Linux is unpacked there
has_uml() { command -v linux.uml >/dev/null || [ -x $uml/bookworm/usr/bin/linux.uml ]; }
is_ubuntu() { grep -qE '^ID(_LIKE)?=.*ubuntu' /etc/os-release; }

# Packages of a release of Debian, unpacked into a folder, fetched by an apt with folders of its own.
unpack() {
  local release=$1 into=$2
  local folder=$PWD/.lab/apt
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  rm -rf "$folder" "$into"
  mkdir -p "$folder/lists/partial" "$folder/archives/partial" "$into"
  echo "deb [signed-by=$keyring] http://deb.debian.org/debian $release main" >"$folder/sources.list"
  local apt=(apt-get -qq -o "Dir::Etc::SourceList=$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder" -o APT::Sandbox::User=root)
  "${apt[@]}" update >/dev/null && (cd "$folder" && "${apt[@]}" download "${@:3}") >/dev/null || return 1
  local package
  for package in "$folder"/*.deb; do dpkg-deb -x "$package" "$into" || return 1; done
  rm -rf "$folder"
}

# Ubuntu has no User Mode Linux.
fetch_uml() {
  say "fetching Debian's User Mode Linux, since Ubuntu has none"
  unpack bookworm $uml/bookworm user-mode-linux || fail 1 "User Mode Linux could not be fetched from deb.debian.org"
}

# Boots it and powers it off: it may be of another machine, whose seccomp is another.
boots() {
  [ -x "$1/usr/bin/linux.uml" ] || return 1
  local scratch ended=0 # its sockets need a short path
  scratch=$(mktemp -d)
  timeout 60 "$1/usr/bin/linux.uml" mem=64M seccomp=on rootfstype=hostfs root=/dev/root rootflags=/ ro quiet con=null \
    "uml_dir=$scratch" init=/bin/busybox -- poweroff -f >/dev/null 2>&1 </dev/null || ended=$?
  rm -rf "$scratch"
  return $ended
}

# From 6.16 on it enters its kernel by seccomp and not by ptrace, which takes a half to a fifth of the time. With the C
# library that it was built for.
fetch_quick_uml() {
  local to=$uml/forky new=$uml/new library
  boots $to && return 0
  say "fetching a newer User Mode Linux, of Debian forky, which is quicker"
  unpack forky $new user-mode-linux libc6 && library=$PWD/$to/usr/lib/x86_64-linux-gnu &&
    patchelf --set-interpreter "$library/ld-linux-x86-64.so.2" --set-rpath "$library" $new/usr/bin/linux.uml &&
    rm -rf $to && mv $new $to && boots $to && return 0
  rm -rf $new $to
  say "no newer User Mode Linux: the lab takes the installed one, which is slower"
}

missing() {
  local program package
  while read -r program package; do
    command -v "$program" >/dev/null || compgen -G "$program" >/dev/null || echo "$package"
  done < <(programs)
  for package in "${also[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}

check_packages() {
  local packages
  [ "$native" ] || [ "$(uname -m)" = x86_64 ] ||
    fail 3 "User Mode Linux exists only for x86-64. As root, npm run lab -- --native uses this machine's own kernel"
  mapfile -t packages < <(missing)
  [ ${#packages[@]} -gt 0 ] || return 0
  local by_hand="apt-get update && apt-get install --no-install-recommends ${packages[*]}"
  command -v apt-get >/dev/null || fail 3 "these programs' packages are missing, and this is no Debian or Ubuntu: ${packages[*]}"
  local installing="installing the Debian packages ${packages[*]}"
  if [ "$(id -u)" = 0 ]; then
    say "$installing"
    bash infra/lab/setup.sh --install "${packages[@]}"
  elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    say "$installing, through sudo"
    sudo bash infra/lab/setup.sh --install "${packages[@]}"
  else
    fail 3 "Debian packages are missing, and you are neither root nor may you use sudo. Type this as root, then try again:
  $by_hand"
  fi || fail 3 "the installation failed. Type this as root, then try again:
  $by_hand"
}

enabled_units() { systemctl list-unit-files --state=enabled --no-legend --plain 2>/dev/null | cut -d' ' -f1 | sort; }

# As root. Servers among the packages are neither started, now or at boot, nor is anything else restarted.
install() {
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  local policy=/usr/sbin/policy-rc.d log before
  log=$(mktemp)
  before=$(enabled_units || true)
  if [ ! -e $policy ]; then
    trap "rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
  fi
  local options=(-y -qq --no-install-recommends -o DPkg::Lock::Timeout=300)
  if ! { apt-get update -qq && apt-get install "${options[@]}" "$@"; } >"$log" 2>&1; then
    tail -20 "$log" >&2
    return 1
  fi
  comm -13 <(echo "$before") <(enabled_units || true) | while read -r unit; do
    systemctl disable --now --quiet "$unit" 2>/dev/null || true
  done
  rm -f "$log"
}

if [ "${1-}" = --install ]; then
  install "${@:2}"
  exit
fi

steps=()
also=()
native=
while [ $# -gt 0 ]; do
  case $1 in
  node | packages | build) steps+=("$1") ;;
  --native) native=yes ;;
  --also) also+=("${2:?--also needs the name of a package}") && shift ;;
  --also=?*) also+=("${1#--also=}") ;;
  *) fail 2 "unknown: $1; known are node, packages, build, --native and --also PACKAGE" ;;
  esac
  shift
done
for step in "${steps[@]:-node packages build}"; do
  for part in $step; do
    case $part in
    node) check_node ;;
    packages)
      check_packages
      [ "$native" ] || has_uml || fetch_uml
      [ "$native" ] || fetch_quick_uml
      ;;
    build) npm run --silent build >&2 || fail 1 "the build failed" ;;
    esac
  done
done
