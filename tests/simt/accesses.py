"""How well the kernels use memory, as counted by the program simt_trace. Standard library only.

usage: accesses.py check PROGRAM BUDGET [OP...]   every kernel (of some ops) is in the budget and keeps to it
       accesses.py write PROGRAM BUDGET           writes what these kernels need, to be reviewed
       accesses.py show PROGRAM                   a table

The budget is JSON: kernel -> load, store: the least share of the 32-byte sectors moved to and from global
memory that would have done; shared: the most passes through the banks per access of shared memory; stored:
the most bytes stored to global memory over the performance cases.
"""

import collections
import json
import re
import subprocess
import sys

ROUNDING = 1e-3


def kernel_name(text):
    """Of what the compiler calls the template that launches it."""
    name = re.search(r"kKernel = &?(.*)\]$", text)[1]
    return re.sub(r"alm::cuda::|\{anonymous\}::|\(anonymous namespace\)::|alm::", "", name)


def measure(program, ops=()):
    """kernel -> facts."""
    lines = subprocess.run([program, *ops], capture_output=True, text=True, check=True).stdout.split("\n")
    counts = ("stored", "loaded", "distinct", "launches", "products", "flops")
    found = collections.defaultdict(lambda: {"load": 1.0, "store": 1.0, "shared": 1.0,
                                             **dict.fromkeys(counts, 0)})
    passes = collections.defaultdict(lambda: [0, 0])
    for line in filter(None, lines):
        name, space, direction, units, least, size, distinct = line.split("\t")
        facts = found[kernel_name(name)]
        if space == "launches":
            facts["launches"], facts["products"], facts["flops"] = int(units), int(least), int(size)
        elif space == "global":
            facts["distinct"] += int(distinct)
            facts[direction] = round(int(least) / int(units), 3)
            facts[direction + ("ed" if direction == "load" else "d")] += int(size)
        else:
            sums = passes[kernel_name(name)]
            sums[0] += int(units)
            sums[1] += int(least)
            facts["shared"] = round(sums[0] / sums[1], 3)
    return found


def check(found, budget, all_ops):
    faults = []
    for kernel in sorted(set(found) - set(budget)):
        faults.append(f"{kernel}: not in the budget (accesses.py write, and review the change)")
    for kernel in sorted(set(budget) - set(found) if all_ops else ()):
        faults.append(f"{kernel}: in the budget, but no performance case runs it")
    for kernel in sorted(set(found) & set(budget)):
        facts, limit = found[kernel], budget[kernel]
        for what in ("load", "store"):
            if facts[what] < limit[what] - ROUNDING:
                faults.append(f"{kernel}: {what}s use {facts[what]} of the sectors they move, "
                              f"budget {limit[what]}")
        if facts["shared"] > limit["shared"] + ROUNDING:
            faults.append(f"{kernel}: {facts['shared']} passes an access of shared memory, "
                          f"budget {limit['shared']}")
        if facts["stored"] > limit["stored"]:
            faults.append(f"{kernel}: stores {facts['stored']} bytes, budget {limit['stored']}")
    return faults


def main(arguments):
    if len(arguments) < 2 or arguments[0] not in ("check", "write", "show"):
        print(__doc__)
        return 1
    found = measure(arguments[1], arguments[3:])
    if arguments[0] == "show":
        for kernel, facts in sorted(found.items()):
            print(f"{kernel}: load {facts['load']:.2f} ({facts['loaded']} B), store "
                  f"{facts['store']:.2f} ({facts['stored']} B), shared {facts['shared']:.2f}")
        return 0
    if arguments[0] == "write":
        keys = ("load", "store", "shared", "stored")
        lines = [f"  {json.dumps(kernel)}: {json.dumps({key: facts[key] for key in keys})}"
                 for kernel, facts in sorted(found.items())]
        with open(arguments[2], "w", encoding="utf-8") as file:
            file.write("{\n" + ",\n".join(lines) + "\n}\n")
        return 0
    with open(arguments[2], encoding="utf-8") as file:
        faults = check(found, json.load(file), not arguments[3:])
    print("\n".join(faults) if faults else f"{len(found)} kernels keep to their budget")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
