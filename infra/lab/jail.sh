# The first process of fresh mount, pid, net, ipc and uts namespaces, run by `busybox sh`.
#   jail.sh KIND WORK-FOLDER WRITABLE-FOLDER... -- COMMAND...
# Makes every mount read-only but the named folders. KIND uml: gives up all privileges and runs COMMAND, which is User
# Mode Linux. KIND native: makes the folders of guest-init.sh empty ones and runs COMMAND as it is, output to file
# descriptor 4, exit code to WORK-FOLDER/code. File descriptor 3 is a pipe: when its other end is closed, or its owner
# dies, every process in here is ended.
set -u
die() {
  echo "lab: $*" >&2
  exit 3
}
mount() { busybox mount "$@"; }
# Where the writable folders are separated by newlines: paths may have blanks.
newline='
'
kind=$1
work=$2
keep=
shift
while [ "$1" != -- ]; do
  mount --rbind "$1" "$1" || die "cannot bind $1"
  keep="$keep$1$newline"
  shift
done
shift

kept() {
  echo "$keep" | while read -r folder; do
    [ -n "$folder" ] || continue
    case "$1/" in "$folder"/*) echo yes ;; esac
  done
}

# Flags that a mount has already (nosuid, nodev, ...) must be named again: a user namespace may not drop them.
make_read_only() {
  mounts=$(busybox cut -d' ' -f5,6 /proc/self/mountinfo)
  while read -r point flags; do
    path=$(printf '%b' "$point")
    [ -n "$(kept "$path")" ] || [ ! -e "$path" ] && continue
    flags=$(echo ",$flags" | busybox sed 's/,r[wo]//')
    mount -o "remount,bind,ro$flags" "$path" || mount -t tmpfs -o ro none "$path" || die "cannot make $path read-only"
  done <<END
$mounts
END
}

# Only the devices that User Mode Linux reads, and memory of our own for it.
replace_dev() {
  mount -t tmpfs -o mode=755 none /mnt || die "cannot mount on /mnt"
  for device in null zero full random urandom; do
    : >/mnt/$device
    mount --bind /dev/$device /mnt/$device || die "cannot bind /dev/$device"
  done
  mkdir /mnt/shm
  ln -s /proc/self/fd /mnt/fd
  mount -t tmpfs -o mode=1777,size=100% none /mnt/shm || die "cannot mount /dev/shm"
  mount -o remount,bind,ro /mnt
  mount --move /mnt /dev || die "cannot move /dev"
}

# As guest-init.sh does it in a guest; what is needed of the hidden folders stays, read-only.
hide_folders() {
  . "$work/settings"
  mount -t tmpfs none /mnt || die "cannot mount on /mnt"
  echo "$shown$newline$shared" | while read -r folder; do
    [ -n "$folder" ] || continue
    mkdir -p "/mnt/keep$folder"
    mount --rbind "$folder" "/mnt/keep$folder"
  done
  for folder in $hidden; do
    [ ! -d "$folder" ] || mount -t tmpfs -o mode=1777 none "$folder" || die "cannot mount on $folder"
  done
  echo "$shown$newline$shared" | while read -r folder; do
    [ -n "$folder" ] || continue
    mkdir -p "$folder" 2>/dev/null
    mount --rbind "/mnt/keep$folder" "$folder"
  done
  busybox umount -l /mnt
  mkdir -p /run/netns /run/lock
}

make_read_only
if [ "$kind" = uml ]; then
  replace_dev
  # Where a container hides parts of /proc this is refused; the read-only one stays then.
  mount -t proc -o ro,nosuid,nodev,noexec proc /proc 2>/dev/null
  /usr/bin/setpriv --bounding-set=-all,+dac_read_search --inh-caps=-all --no-new-privs "$@" </dev/null &
else
  hide_folders
  mount -t proc proc /proc || die "cannot mount /proc"
  ip link set lo up
  { "$@" </dev/null >&4 2>&1; echo $? >"$work/code"; } &
fi
command=$!
(
  busybox cat <&3 >/dev/null
  kill -9 $command
) 2>/dev/null &
wait $command
