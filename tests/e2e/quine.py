# SPDX-License-Identifier: ISC
"""A zip whose only file is the zip itself (R. Cox, "Zip Files All The Way Down", 2010): deflate blocks that hold what
comes of them (L) and blocks that repeat what came last (R), in units of five octets."""
import struct
import zlib

NAME = b"a-zip-that-contains-itself.zip"
HEAD, TAIL = 30 + len(NAME), 5 + 46 + len(NAME) + 22


def code_of(value, code, base, group):
    """RFC 1951 section 3.2.5, the tables of lengths and distances: (code, extra bits, how many)."""
    extra = 0
    while True:
        for _ in range(group if extra else 2 * group):
            if value < base + (1 << extra):
                return code, value - base, extra
            code, base = code + 1, base + (1 << extra)
        extra += 1


def match(length, distance):
    """Section 3.2.6: as bits, the first one left."""
    code, rest, extra = code_of(length, 257, 3, 4)
    bits = (f"{code - 256:07b}" if code < 280 else f"{code - 280 + 0xc0:08b}") + f"{rest:0{extra + 1}b}"[:0:-1]
    code, rest, extra = code_of(distance, 0, 1, 2)
    return bits + f"{code:05b}" + f"{rest:0{extra + 1}b}"[:0:-1]


def literal(octets):
    """The head of a stored block."""
    return struct.pack("<BHH", 0, octets, octets ^ 0xffff)


def repeat(octets, size):
    """A block of one match or two, in so many octets; empty blocks fill it up."""
    for first in range(octets, 2, -1):
        rest = octets - first
        if rest in (1, 2):
            continue
        bits = "010" + match(first, octets) + (match(rest, octets) if rest else "") + "0" * 7
        bits += ("010" + "0" * 7) * ((8 * size - len(bits)) // 10)
        if len(bits) == 8 * size:
            return int(bits[::-1], 2).to_bytes(size, "little")
    raise ValueError((octets, size))


def program(tail):
    """What makes head, itself and tail out of head, itself and tail."""
    head_again, four = repeat(HEAD + 5, 5), repeat(20, 5)
    end = repeat(TAIL + 6, 6) + tail
    last = [four, literal(0), literal(0), literal(len(end))]
    return b"".join([
        head_again, literal(5), head_again, literal(5), literal(5),
        literal(20), head_again, literal(5), literal(5), literal(20), four,
        literal(20), four, literal(20), four, literal(20), four,
        literal(20), *last, *last, end, end[:-TAIL]])


def make(crc, size, packed):
    about = struct.pack("<HHHHHLLLHH", 20, 0, 8, 0, 0x21, crc, packed, size, len(NAME), 0)
    head = b"PK\3\4" + about + NAME
    # Before the directory the last block, an empty one.
    tail = b"\1\0\0\xff\xffPK\1\2\x14\0" + about + bytes(14) + NAME + \
        struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 1, 1, 46 + len(NAME), HEAD + packed, 0)
    body = literal(HEAD + 5) + head + literal(HEAD + 5) + program(tail)
    return head + body + tail, len(body) + 5


def quine():
    whole, packed = make(0, 0, 0)

    def crc(guess):
        return zlib.crc32(make(guess, len(whole), packed)[0])

    # It holds its own CRC four times. The CRC of all is affine in that: a system of 32 equations over GF(2).
    basis, at_zero = {}, crc(0)
    for bit in (1 << n for n in range(32)):
        value, bits = crc(bit) ^ at_zero ^ bit, bit
        while value and value.bit_length() in basis:
            other = basis[value.bit_length()]
            value, bits = value ^ other[0], bits ^ other[1]
        if value:
            basis[value.bit_length()] = value, bits
    value, found = at_zero, 0
    while value:
        other = basis[value.bit_length()]
        value, found = value ^ other[0], found ^ other[1]
    return make(found, len(whole), packed)[0]
