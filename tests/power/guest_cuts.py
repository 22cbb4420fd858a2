#!/usr/bin/env python3
"""The writer in a guest, under a kernel of its own, and the power of its disk cut at every moment of what it wrote.

qemu emulates the machine (no virtualization needed) and logs each write and flush of its disk. The guest reports past
its page cache to a partition of the same disk, so the log also says what had been acknowledged when. A cut is after a
flush, or after a report; what was flushed is there, of the sectors behind that none, all, or some. Each is mounted here
and verified. Needs root, for mounts, and a loop device.
"""

import argparse
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import power
from guest import block_log

HERE = pathlib.Path(__file__).resolve().parent
KERNEL_PACKAGE = "linux-image-cloud-amd64"
MODULES = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"]
MEBI = 1 << 20
BEGIN, SPLIT, END = 1 * MEBI, 56 * MEBI, 60 * MEBI  # of the disk: the file system, the report, the end
LANES = ["--lanes", "2"]
COMMITS = 16
MUTANTS = ["no_data_sync", "no_folder_sync", "no_file_sync", "early_report"]


def must(*command, **how):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **how)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stdout.strip()}")
    return done.stdout


def find_kernel(folder):
    """Debian's own, whatever its number is now; unpacked, not installed. (kernel, folder of its modules)"""
    if not list(folder.glob("boot/vmlinuz-*")):
        depends = power.run(["apt-cache", "depends", KERNEL_PACKAGE], 60).stdout.split()
        package = next((word for word in depends if word.startswith("linux-image-") and word[12].isdigit()), None)
        if package is None:
            power.skip(f"apt-cache knows no {KERNEL_PACKAGE}")
        folder.mkdir(parents=True, exist_ok=True)
        if power.run(["sh", "-c", f"cd {folder} && apt-get download -qq {package}"], 300).returncode != 0:
            power.skip(f"{package} cannot be had")
        must("dpkg", "-x", next(folder.glob("*.deb")), folder)
    kernel = sorted(folder.glob("boot/vmlinuz-*"))[-1]
    return kernel, folder / "lib/modules" / kernel.name.removeprefix("vmlinuz-")


def make_initramfs(program, modules, folder):
    root = folder / "root"
    for name in ("bin", "modules"):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    shutil.copy(program, root / "bin/keystile_power")
    shutil.copy(HERE / "guest/init", root / "init")
    (root / "init").chmod(0o755)
    for name in MODULES:
        for found in modules.rglob(name + ".ko"):
            shutil.copy(found, root / "modules")
    must("sh", "-c", f"cd {root} && find . | cpio --quiet -o -H newc | gzip -1 > {folder}/initramfs")
    return folder / "initramfs"


def make_disk(path):
    """Two partitions: a file system, and sectors for the report."""
    with open(path, "wb") as file:
        file.truncate(END)
        file.seek(446)
        for begin, end in ((BEGIN, SPLIT), (SPLIT, END)):
            file.write(struct.pack("<B3sB3sII", 0, b"\0\0\0", 0x83, b"\0\0\0", begin // 512, (end - begin) // 512))
        file.seek(510)
        file.write(b"\x55\xaa")
    must("mkfs.ext4", "-q", "-F", "-E", f"offset={BEGIN}", path, f"{(SPLIT - BEGIN) // 1024}k")


class Tester:
    def __init__(self, options, folder):
        self.options = options
        self.folder = pathlib.Path(folder)
        self.dice = random.Random(options.seed)
        self.kernel, modules = find_kernel(options.cache / "kernel")
        self.initramfs = make_initramfs(options.program, modules, self.folder)
        self.cuts = 0
        (self.folder / "mount").mkdir()

    def boot(self, disk, mutant="none"):
        """Runs the writer on a copy of that disk; the log of what was written."""
        used, log = self.folder / "used", self.folder / "log"
        shutil.copy(disk, used)
        with open(log, "wb") as file:
            file.truncate(512 * MEBI)
        arguments = f"--commits {COMMITS} --mutant {mutant} {' '.join(LANES)}"
        command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "384",
                   "-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio",
                   "-kernel", self.kernel, "-initrd", self.initramfs,
                   "-append", f'console=ttyS0 quiet panic=-1 no_timer_check "power={arguments}"',
                   "-blockdev", f"driver=file,filename={used},node-name=disk",
                   "-blockdev", f"driver=file,filename={log},node-name=log",
                   "-blockdev", "driver=blklogwrites,node-name=logged,file=disk,log=log",
                   "-device", "virtio-blk-pci,drive=logged"]
        done = power.run([str(word) for word in command], 400)
        if "guest: the writer ends with 0" not in done.stdout:
            raise SystemExit(f"the guest ({done.returncode}) did not come to its end:\n{done.stdout[-3000:]}")
        return block_log.read_log(log)

    def verify(self, image, report):
        """None, or what is wrong."""
        self.cuts += 1
        path, mount = self.folder / "cut", self.folder / "mount"
        path.write_bytes(image)
        place = power.Place(self.folder / "place", self.options.program, store=mount / "store")
        place.report.write_text(report)
        place.reboot()
        how = f"loop,offset={BEGIN},sizelimit={SPLIT - BEGIN}"
        done = power.run(["mount", "-t", "ext4", "-o", how, str(path), str(mount)], 60)
        if done.returncode != 0:
            return f"the file system cannot be mounted: {done.stdout.strip()}"
        try:
            return place.verify(*LANES)
        finally:
            must("umount", mount)

    def replay(self, disk, log, before, stop_early=False):
        """Findings of all cuts; and one of the images, for another life, with its report."""
        state = block_log.Disk(disk, SPLIT)
        findings, flushes, remains = [], 0, None
        for i, entry in enumerate(log):
            state.take(entry)
            is_flush, is_report = bool(entry.flags & block_log.FLUSH), entry.offset >= SPLIT and entry.data
            flushes += is_flush
            if not (is_flush or is_report) or self.dice.random() > self.options.share:
                continue
            # Behind a flush nothing is left to chance. Behind a report: what was flushed must do.
            shares = [0] if is_flush or not state.tail else [0, self.dice.choice([0.1, 0.5, 0.9, 1])]
            for share in shares:
                remains = (state.remains(self.dice, share), before + "".join(state.report))
                if wrong := self.verify(*remains):
                    findings.append(f"cut after write {i} of {len(log)}, {share} of {len(state.tail)} writes that were "
                                    f"not flushed: {wrong}")
                    if stop_early:
                        return findings, remains
                    print(findings[-1] + f"\n  kept in {self.keep(remains, i)}", flush=True)
        told = sum(text.startswith("durable") for text in state.report)
        print(f"{len(log)} writes, {flushes} flushes, {told} acknowledgements, {self.cuts} cuts so far", flush=True)
        return findings, remains

    def keep(self, remains, number):
        kept = self.options.kept / f"guest-{number}"
        kept.mkdir(parents=True, exist_ok=True)
        (kept / "disk").write_bytes(remains[0])
        (kept / "report").write_text(remains[1])
        return kept

    def run(self, lives):
        disk, before, found = self.folder / "disk", "", 0
        make_disk(disk)
        for life in range(lives):
            print(f"life {life + 1}: the guest runs", flush=True)
            findings, remains = self.replay(disk, self.boot(disk), before)
            found += len(findings)
            # The next life begins where some cut left this one.
            image, before = remains
            with open(disk, "r+b") as file:
                file.write(image)
        return found

    def find(self, mutant):
        disk = self.folder / "disk"
        make_disk(disk)
        findings, _ = self.replay(disk, self.boot(disk, mutant), "", stop_early=True)
        print(f"mutant {mutant}: {f'found: {findings[0]}' if findings else 'NOT FOUND'}", flush=True)
        return not findings


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="keystile_power")
    parser.add_argument("--cache", type=pathlib.Path, default="build/power", help="where the guest's kernel is kept")
    parser.add_argument("--kept", type=pathlib.Path, default="build/power/kept", help="where findings are kept")
    parser.add_argument("--share", type=float, default=1, help="of the moments at which a cut is possible")
    parser.add_argument("--lives", type=int, default=1)
    parser.add_argument("--mutants", nargs="*", default=MUTANTS)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    for program in ("qemu-system-x86_64", "busybox", "cpio", "mkfs.ext4", "dpkg"):
        if shutil.which(program) is None:
            power.skip(f"there is no {program}")
    if os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
        power.skip("only root mounts, and only where there are loop devices")
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory(prefix="keystile-power-", dir="/dev/shm") as folder:
        tester = Tester(options, folder)
        found = tester.run(options.lives)
        missed = sum(tester.find(mutant) for mutant in options.mutants)
    print(f"{tester.cuts} cuts, {found} findings")
    sys.exit(1 if found or missed else 0)


if __name__ == "__main__":
    main()
