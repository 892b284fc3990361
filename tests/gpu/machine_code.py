"""What nvcc made of the kernels: registers, spills, shared memory, occupancy and instructions, read from
the cubins themselves. Standard library and c++filt only.

usage: machine_code.py check FOLDER BUDGET     every kernel is in the budget and keeps to it
       machine_code.py write FOLDER BUDGET     writes the budget that these kernels need, to be reviewed
       machine_code.py show FOLDER             a table

FOLDER holds NAME/NAME.compute_ARCH.cubin. The budget is JSON: kernel -> architecture -> registers a
thread, static shared memory of a block in bytes, and occupancy, the share of a multiprocessor's warps
that fit (at least); the number of double-precision FMAs; and how many products of the tensor cores and
asynchronous copies there are at least, where there are any. Never allowed: local memory, and so spills;
atomics in kernels that are not named under "atomics", whose are of integers.
"""

import collections
import glob
import json
import os
import re
import struct
import subprocess
import sys

# Instructions are 128 bits; the low 9 bits of the first word name the operation (sm_70 and later).
OPCODES = {
    0x02B: "DFMA", 0x028: "DMUL", 0x029: "DADD", 0x023: "FFMA", 0x03C: "HMMA", 0x11D: "BAR",
    0x181: "LDG", 0x183: "LDL", 0x184: "LDS", 0x186: "STG", 0x187: "STL", 0x188: "STS", 0x189: "SHFL",
    0x18C: "ATOMS", 0x18E: "RED", 0x1A8: "ATOMG", 0x1A6: "RED", 0x1AE: "LDGSTS",
}
SHOWN = ("FFMA", "HMMA", "LDGSTS", "LDG", "STG", "LDS", "STS", "SHFL", "BAR", "DFMA")
LEAST = ("HMMA", "LDGSTS")
# Shared memory of a multiprocessor, KiB; 64 warps, 32 blocks and 65,536 registers on all of them.
SHARED_KIB = {80: 164, 90: 228, 100: 228}
BLOCK_RESERVE = 1024  # bytes of shared memory that the system keeps a block; cubins of sm_90 on count it
EIATTR_REGISTERS, EIATTR_MOST_THREADS = 0x2F, 0x05


def sections(data):
    """Of an ELF file: [(name, bytes, size)]."""
    offset, = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, offset + i * size) for i in range(count)]
    table = headers[names][4]

    def name(at):
        return data[table + at:data.index(b"\0", table + at)].decode()
    no_bits = 8
    return [(name(h[0]), b"" if h[1] == no_bits else data[h[4]:h[4] + h[5]], h[5]) for h in headers]


def attributes(data):
    """Of a .nv.info section: [(attribute, bytes)]."""
    at, found = 0, []
    sized = 4
    while at + 4 <= len(data):
        form, attribute, size = struct.unpack_from("<BBH", data, at)
        size = size if form == sized else 0
        found.append((attribute, data[at + 4:at + 4 + size]))
        at += 4 + size
    return found


def occupancy(threads, registers, shared, architecture):
    warps = -(-threads // 32)
    of_warp = -(-registers * 32 // 256) * 256
    reserve = 0 if architecture >= 90 and shared >= BLOCK_RESERVE else BLOCK_RESERVE
    blocks = min(32, 64 // warps, 65536 // of_warp // warps,
                 SHARED_KIB.get(architecture, 100) * 1024 // (shared + reserve))
    return blocks * warps / 64


def short_name(demangled):
    name = re.sub(r"alm::cuda::|\(anonymous namespace\)::|alm::", "", demangled)
    name = re.sub(r"^void ", "", name)
    depth = 0
    for at, character in enumerate(name):  # up to the parameters
        depth += {"<": 1, ">": -1}.get(character, 0)
        if character == "(" and depth == 0:
            return name[:at]
    return name


def kernels_of(path, architecture):
    """kernel -> facts, of one cubin."""
    with open(path, "rb") as file:
        parts = sections(file.read())
    by_name = {name: data for name, data, _ in parts}
    symbols, strings = by_name[".symtab"], by_name[".strtab"]

    def symbol(index):
        at, = struct.unpack_from("<I", symbols, index * 24)
        return strings[at:strings.index(b"\0", at)].decode()
    registers = {}
    for attribute, value in attributes(by_name[".nv.info"]):
        if attribute == EIATTR_REGISTERS:
            index, count = struct.unpack("<II", value)
            registers[symbol(index)] = count
    found = {}
    sizes = {name: size for name, _, size in parts}
    for name, code, _ in parts:
        if not name.startswith(".text."):
            continue
        kernel = name[len(".text."):]
        threads = 1024
        for attribute, value in attributes(by_name[".nv.info." + kernel]):
            if attribute == EIATTR_MOST_THREADS:
                x, y, z = struct.unpack("<III", value)
                threads = x * y * z
        mix = collections.Counter(
            OPCODES.get(struct.unpack_from("<H", code, at)[0] & 0x1FF, "other")
            for at in range(0, len(code) - 15, 16))
        shared = sizes.get(".nv.shared." + kernel, 0)
        found[kernel] = {
            "registers": registers[kernel], "shared": shared, "threads": threads, "mix": mix,
            "occupancy": round(occupancy(threads, registers[kernel], shared, architecture), 3)}
    return found


def all_kernels(folder):
    """kernel -> architecture -> facts."""
    found = collections.defaultdict(dict)
    for path in sorted(glob.glob(os.path.join(folder, "*", "*.cubin"))):
        architecture = int(re.search(r"(\d+)\.cubin$", path)[1])
        of_file = kernels_of(path, architecture)
        demangled = subprocess.run(["c++filt"], input="\n".join(of_file), capture_output=True,
                                   text=True, check=True).stdout.split("\n")
        for mangled, name in zip(of_file, demangled):
            found[short_name(name)][architecture] = of_file[mangled]
    return found


def check(found, budget):
    faults = []
    allowed = budget["kernels"]
    for kernel in sorted(set(found) - set(allowed)):
        faults.append(f"{kernel}: not in the budget (machine_code.py write, and review the change)")
    for kernel in sorted(set(allowed) - set(found)):
        faults.append(f"{kernel}: in the budget, but no such kernel is compiled")
    for kernel in sorted(set(found) & set(allowed)):
        for architecture, facts in sorted(found[kernel].items()):
            limit = allowed[kernel].get(str(architecture))
            if limit is None:
                continue  # an architecture that the budget says nothing of
            mix = facts["mix"]
            of = f"{kernel} on sm_{architecture}:"
            for what in ("registers", "shared"):
                if facts[what] > limit[what]:
                    faults.append(f"{of} {what} {facts[what]}, budget {limit[what]}")
            if facts["occupancy"] < limit["occupancy"]:
                faults.append(f"{of} occupancy {facts['occupancy']}, budget {limit['occupancy']}")
            if mix["DFMA"] > limit["dfma"]:
                faults.append(f"{of} {mix['DFMA']} double FMAs, budget {limit['dfma']}")
            for what in LEAST:
                if mix[what] < limit.get(what.lower(), 0):
                    faults.append(f"{of} {mix[what]} {what}, budget {limit[what.lower()]}")
            if mix["LDL"] + mix["STL"] > 0:
                faults.append(f"{of} uses local memory")
            if mix["RED"] + mix["ATOMG"] + mix["ATOMS"] > 0 and kernel not in budget["atomics"]:
                faults.append(f"{of} uses atomics")
    return faults


def main(arguments):
    if len(arguments) < 2 or arguments[0] not in ("check", "write", "show"):
        print(__doc__)
        return 1
    found = all_kernels(arguments[1])
    if not found:
        print(f"no cubins under {arguments[1]}")
        return 1
    if arguments[0] == "show":
        for kernel, by_architecture in sorted(found.items()):
            for architecture, facts in sorted(by_architecture.items()):
                mix = " ".join(f"{name} {facts['mix'][name]}" for name in SHOWN if facts["mix"][name])
                print(f"{kernel} sm_{architecture}: {facts['registers']} registers, "
                      f"{facts['shared']} B shared, {facts['threads']} threads, "
                      f"occupancy {facts['occupancy']:.0%}; {mix}")
        return 0
    if arguments[0] == "write":
        with open(arguments[2], encoding="utf-8") as file:
            budget = json.load(file)
        budget["kernels"] = {
            kernel: {str(architecture): {"registers": facts["registers"], "shared": facts["shared"],
                                         "occupancy": facts["occupancy"],
                                         "dfma": facts["mix"]["DFMA"],
                                         **{what.lower(): facts["mix"][what] for what in LEAST
                                            if facts["mix"][what] > 0}}
                     for architecture, facts in sorted(by_architecture.items())}
            for kernel, by_architecture in sorted(found.items())}
        with open(arguments[2], "w", encoding="utf-8") as file:
            lines = [f'    {json.dumps(kernel)}: {json.dumps(limits)}'
                     for kernel, limits in budget["kernels"].items()]
            file.write('{\n  "atomics": ' + json.dumps(budget["atomics"]) + ',\n  "kernels": {\n'
                       + ",\n".join(lines) + "\n  }\n}\n")
        return 0
    with open(arguments[2], encoding="utf-8") as file:
        faults = check(found, json.load(file))
    print("\n".join(faults) if faults else f"{len(found)} kernels keep to their budget")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
