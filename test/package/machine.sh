#!/bin/bash
# Boots this machine's systemd over a copy of its root file system that lies in memory. Run by machine.ts in namespaces of
# its own (unshare): nothing outside them is changed.
# machine.sh FOLDER: what is in it is in /share, both ways.
set -euo pipefail
mount --make-rprivate /
root=/mnt/root
mount -t tmpfs -o mode=755 upper /mnt
mkdir /mnt/{upper,work,root}
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay $root
mount -t proc proc $root/proc
mount -t sysfs -o ro sysfs $root/sys
mount -t tmpfs -o mode=755 dev $root/dev
for device in null zero full random urandom tty; do
  touch $root/dev/$device
  mount --bind /dev/$device $root/dev/$device
done
mkdir $root/dev/{pts,shm}
mount -t devpts -o newinstance,ptmxmode=666 devpts $root/dev/pts
ln -s pts/ptmx $root/dev/ptmx
for folder in run tmp dev/shm; do mount -t tmpfs tmpfs $root/$folder; done
mkdir -p $root/share
mount --bind "$1" $root/share
mount -t cgroup2 cgroup $root/sys/fs/cgroup
mkdir -p "$root/sys/fs/cgroup/dsr-test-$2"
echo $$ >"$root/sys/fs/cgroup/dsr-test-$2/cgroup.procs"

# Of the units only what any service needs; nothing that reaches the machine's own kernel.
units=$root/etc/systemd/system
rm -rf "$units"/*.wants "$units"/*.requires $root/etc/fstab $root/usr/sbin/policy-rc.d $root/etc/dsr $root/var/lib/dsr
mkdir "$units/multi-user.target.wants"
for unit in systemd-{sysctl,modules-load,random-seed,binfmt,hwdb-update,tmpfiles-setup-dev,timesyncd,networkd,udevd,udev-trigger,logind,firstboot,sysusers}.service \
  systemd-udevd-{control,kernel}.socket networking.service getty.target proc-sys-fs-binfmt_misc.automount \
  dev-hugepages.mount dev-mqueue.mount sys-kernel-{debug,tracing,config}.mount sys-fs-fuse-connections.mount; do
  ln -sf /dev/null "$units/$unit"
done
[ -x $root/usr/bin/node ] || ln -s "$NODE" $root/usr/bin/node

ip link set lo up
cd $root
pivot_root . mnt
umount -l /mnt
exec env -i container=dsr-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --unit=multi-user.target --log-target=journal --show-status=0
