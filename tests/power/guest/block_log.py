"""What a guest wrote to its disk, in order (qemu's blklogwrites, the format of dm-log-writes), and what the disk may
hold if the power goes at some moment of it.

A write that was followed by a flush is on disk. Of those behind the last flush each sector is, or is not. A write that
the guest had not yet been told of when it asked for the flush counts as flushed: the log has one order only.
"""

import struct

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD = 1, 2, 4
SECTOR = 512


class Entry:
    def __init__(self, offset, flags, data):
        self.offset, self.flags, self.data = offset, flags, data


def read_log(path):
    with open(path, "rb") as file:
        magic, _, count, sector = struct.unpack("<QQQI", file.read(28))
        if magic != MAGIC:
            raise SystemExit(f"{path} is no block log")
        entries, at = [], sector
        for _ in range(count):
            file.seek(at)
            start, sectors, flags, length = struct.unpack("<QQQQ", file.read(32))
            at += sector
            data = b""
            if sectors and not flags & DISCARD:
                file.seek(at)
                data = file.read(sectors * sector)
                at += sectors * sector
            elif flags & DISCARD:
                data = bytes(sectors * sector)
            entries.append(Entry(start * sector, flags, data))
    return entries


class Disk:
    """Goes through a log. `split` bytes from the beginning are the disk, what lies behind is the report."""

    def __init__(self, image, split):
        with open(image, "rb") as file:
            self.on_disk = bytearray(file.read(split))
        self.split = split
        self.tail = []  # (offset, data), not flushed
        self.report = []  # (offset, text)

    def take(self, entry):
        if entry.flags & FLUSH:
            for offset, data in self.tail:
                self.on_disk[offset:offset + len(data)] = data
            self.tail = []
        if not entry.data:
            return
        if entry.offset >= self.split:
            self.report.append(entry.data.rstrip(b"\0").decode())
        elif entry.flags & FUA:
            self.on_disk[entry.offset:entry.offset + len(entry.data)] = entry.data
        else:
            self.tail.append((entry.offset, entry.data))

    def remains(self, dice, share):
        """What is there after the power went: of the sectors that are not flushed, this share."""
        left = bytearray(self.on_disk)
        for offset, data in self.tail if share > 0 else []:
            for at in range(0, len(data), SECTOR):
                if dice.random() < share:
                    left[offset + at:offset + at + SECTOR] = data[at:at + SECTOR]
        return left
