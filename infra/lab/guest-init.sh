# The first program in the guest, run as `sh WORK/init`. Lays a writable overlay, whose changes vanish, over the
# machine's files, mounts what a Linux system has, then runs WORK/command and leaves its exit code in WORK/code.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
work=${0%/*}
. "$work/settings" # hidden, shown, shared: folders, one a line; modules: a folder; shells: how many

# Programs of this machine that are setuid must not be so in here: started by an ordinary user, the guest sees root's
# files as nobody's. Hence nosuid, and busybox's own mount until the overlay is there.
lay_overlay() {
  m=$work/mnt
  mount() { busybox mount "$@"; }
  umount() { busybox umount "$@"; }
  mount -t proc proc /proc
  mount -t tmpfs none "$m"
  mkdir -p "$m/up/root" "$m/work/root" "$m/root" "$m/lib"
  ln -s "$modules" "$m/lib/modules"
  modprobe -d "$m" overlay
  mount -t overlay -o "nosuid,lowerdir=/,upperdir=$m/up/root,workdir=$m/work/root" none "$m/root"
  for folder in $hidden; do
    [ ! -d "$folder" ] || mount -t tmpfs -o mode=1777 none "$m/root$folder"
  done
  echo "$shown" | while read -r folder; do
    [ -n "$folder" ] || continue
    id=$(echo "$folder" | tr / _)
    mkdir -p "$m/up/$id" "$m/work/$id" "$m/root$folder"
    mount -t overlay -o "nosuid,lowerdir=$folder,upperdir=$m/up/$id,workdir=$m/work/$id" none "$m/root$folder"
  done
  echo "$shared" | while read -r folder; do
    mkdir -p "$m/root$folder"
    mount -t hostfs -o "$folder" none "$m/root$folder"
  done
  umount /proc
  cd "$m/root" && pivot_root . mnt
}

if [ "${1-}" != inside ]; then
  lay_overlay
  exec chroot . /bin/sh "$work/init" inside
fi

umount -l /mnt
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /run/netns /run/lock /lib/modules
mount -t devpts devpts /dev/pts
mount -t tmpfs none /dev/shm
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
ln -sfn "$modules/$(uname -r)" "/lib/modules/$(uname -r)"
echo lab >/proc/sys/kernel/hostname
# io_uring's memory maps corrupt this kernel (seen with 6.12 and Node's libuv 1.50); Node does without.
[ ! -e /proc/sys/kernel/io_uring_disabled ] || echo 2 >/proc/sys/kernel/io_uring_disabled
modprobe ipv6 # a usual kernel has it built in
ip link set lo up
if [ -e /sys/class/net/vec0 ]; then
  ip address add 10.0.2.100/24 dev vec0
  ip link set vec0 up
fi
# Sizes and hang-ups of the terminals that the consoles are.
control() {
  stty -F /dev/tty2 raw -echo
  while read -r verb tty rows columns; do
    case $verb in
    size) stty -F "$tty" rows "$rows" columns "$columns" ;;
    hangup) kill -HUP $(ps -t "$tty" -o pid=) ;;
    esac
  done </dev/tty2
}
[ "$shells" = 0 ] || control 2>/dev/null &
console=3
while [ $((shells -= 1)) -ge 0 ]; do
  sh "$work/console" /dev/tty$console &
  console=$((console + 1))
done

stty -F /dev/tty1 raw
sh "$work/command" </dev/null >/dev/tty1 2>&1
echo $? >"$work/code"
stty -F /dev/tty1 sane # waits until all that was written has left
busybox poweroff -f
