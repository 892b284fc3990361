"""Ways to damage the bytes of a log. Every choice is a function of (seed, case), so that a case can be
repeated alone."""

import hashlib
import struct

BLOCK = 512
SIGNATURES = (b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"FHIB", b"BTHD", b"BTLF", b"BTIN", b"FADB", b"FAHD",
              b"EAHD", b"EAIB", b"EASB", b"EADB", b"TREE", b"SNOD", b"HEAP", b"GCOL")
TELLING = (0, 1, 2, 0x7f, 0x80, 0xff, 0xffff, 0x10000, 0x7fffffff, 0xffffffff, 1 << 31, 1 << 32,
           1 << 47, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


class Draws:
    """Counter-based random numbers: the n-th draw of a case is a hash of (seed, case, n)."""

    def __init__(self, seed, case):
        self.key, self.count = struct.pack("<QQ", seed, case), 0

    def below(self, bound):
        text = hashlib.blake2b(self.key + struct.pack("<Q", self.count), digest_size=8).digest()
        self.count += 1
        return int.from_bytes(text, "little") % bound

    def pick(self, values):
        return values[self.below(len(values))]

    def bytes(self, count):
        return bytes(self.below(256) for _ in range(count))


def lookup3(text):
    """Jenkins's hashlittle with start value 0: the checksum of HDF5's newer metadata."""
    mask = 0xffffffff

    def rotate(x, by):
        return ((x << by) | (x >> (32 - by))) & mask

    a = b = c = (0xdeadbeef + len(text)) & mask
    while len(text) > 12:
        x, y, z = struct.unpack_from("<III", text)
        a, b, c = (a + x) & mask, (b + y) & mask, (c + z) & mask
        a = ((a - c) & mask) ^ rotate(c, 4)
        c = (c + b) & mask
        b = ((b - a) & mask) ^ rotate(a, 6)
        a = (a + c) & mask
        c = ((c - b) & mask) ^ rotate(b, 8)
        b = (b + a) & mask
        a = ((a - c) & mask) ^ rotate(c, 16)
        c = (c + b) & mask
        b = ((b - a) & mask) ^ rotate(a, 19)
        a = (a + c) & mask
        c = ((c - b) & mask) ^ rotate(b, 4)
        b = (b + a) & mask
        text = text[12:]
    if not text:
        return c
    x, y, z = struct.unpack("<III", text.ljust(12, b"\0"))
    a, b, c = (a + x) & mask, (b + y) & mask, (c + z) & mask
    c = ((c ^ b) - rotate(b, 14)) & mask
    a = ((a ^ c) - rotate(c, 11)) & mask
    b = ((b ^ a) - rotate(a, 25)) & mask
    c = ((c ^ b) - rotate(b, 16)) & mask
    a = ((a ^ c) - rotate(c, 4)) & mask
    b = ((b ^ a) - rotate(a, 14)) & mask
    return ((c ^ b) - rotate(b, 24)) & mask


def positions(data, marks):
    found = []
    for mark in marks:
        at = data.find(mark)
        while at >= 0:
            found.append(at)
            at = data.find(mark, at + 1)
    return sorted(found)


def sealed_pieces(data):
    """(begin, end) of metadata whose checksum, the last 4 bytes, we know how to make anew: the
    superblock and the first chunk of every object header, of the newer formats."""
    pieces = [(0, 48)] if data[:8] == b"\x89HDF\r\n\x1a\n" and data[8] >= 2 else []
    for begin in positions(data, [b"OHDR"]):
        flags = data[begin + 5]
        at = begin + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        end = at + width + int.from_bytes(data[at:at + width], "little") + 4
        if end <= len(data) and lookup3(bytes(data[begin:end - 4])) == int.from_bytes(
                data[end - 4:end], "little"):
            pieces.append((begin, end))
    return pieces


def change_field(data, begin, end, draws):
    """Another value in one field of [begin, end): a telling one, a neighbour, a bit, any byte."""
    width = draws.pick((1, 1, 2, 4, 8))
    at = begin + draws.below(max(1, end - begin - width + 1))
    old = int.from_bytes(data[at:at + width], "little")
    new = draws.pick((draws.pick(TELLING), old + 1, old - 1, old ^ (1 << draws.below(8 * width)),
                      draws.below(1 << 62)))
    data[at:at + width] = (new % (1 << (8 * width))).to_bytes(width, "little")


def flip_bits(data, draws):
    for _ in range(1 + draws.below(4)):
        data[draws.below(len(data))] ^= 1 << draws.below(8)


def scribble(data, draws):
    at = draws.below(len(data))
    text = draws.bytes(min(1 + draws.below(64), len(data) - at))
    data[at:at + len(text)] = text


def truncate(data, draws):
    del data[draws.below(len(data)):]


def extend(data, draws):
    data += draws.bytes(1 + draws.below(300))


def swap_blocks(data, draws):
    blocks = max(2, len(data) // BLOCK)
    one, other = (BLOCK * draws.below(blocks) for _ in range(2))
    first, second = data[one:one + BLOCK], data[other:other + BLOCK]
    if len(first) == len(second):
        data[one:one + BLOCK], data[other:other + BLOCK] = second, first


def zero_run(data, draws):
    at = draws.below(len(data))
    count = min(1 + draws.below(2048), len(data) - at)
    data[at:at + count] = bytes(count)


def drop_run(data, draws):
    at = draws.below(len(data))
    del data[at:at + 1 + draws.below(200)]


def change_metadata(data, draws):
    """A field near a signature of HDF5's structure, its checksum (if any) left as it was."""
    begin = draws.pick(positions(data, SIGNATURES) + [0])
    change_field(data, begin, min(begin + 96, len(data)), draws)


def change_sealed_metadata(data, draws):
    """A field of checked metadata, and the checksum made to fit: HDF5 believes it."""
    pieces = sealed_pieces(data)
    if not pieces:
        change_metadata(data, draws)
        return
    begin, end = draws.pick(pieces)
    change_field(data, begin + 4, end - 4, draws)
    data[end - 4:end] = struct.pack("<I", lookup3(bytes(data[begin:end - 4])))


# (change, share in 20, whether checksums still tell of it)
BYTE_MUTATIONS = ((flip_bits, 3, True), (scribble, 2, True), (truncate, 2, True), (extend, 1, True),
                  (swap_blocks, 2, True), (zero_run, 2, True), (drop_run, 1, True),
                  (change_metadata, 3, True), (change_sealed_metadata, 4, False))
ALL_SHARES = [entry for entry in BYTE_MUTATIONS for _ in range(entry[1])]


def mutate_bytes(data, draws):
    """Damages a bytearray; returns (what was done, whether checksums still tell of it)."""
    change, _, telling = draws.pick(ALL_SHARES)
    change(data, draws)
    return change.__name__, telling
