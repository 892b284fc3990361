"""From which width on a library multiplies faster than own kernels, by the model of bounds.py; which prints
this as a part of its page. Standard library only.

A layer of w to w over many rows, forward, with a bias: the commonest. Own kernels read both factors of every
64 x 64 tile from the L2 cache (kernels/cuda/tensor_product.cuh, product.cuh), 16 deep at a time, which bounds
them in bf16; in fp32 two shared-memory reads for four multiply-adds do. The library is taken to reach
SHARE_OF_LIBRARY of the FLOPs of the data sheet. In bf16 it leaves fp32 sums to own code, by way of the L2
cache (wide_linear.cu).
"""

import re

ROWS = 40960  # touches of 8,192 journeys
WIDTHS = (64, 128, 192, 256, 384, 512, 1024, 2048)
TILE = 64
SHARE_OF_LIBRARY, SHARE_OF_OWN_FP32, SHARE_OF_MEMORY = 0.7, 0.5, 0.7
L2_BYTES_A_CLOCK = 5120  # read, of an A100; taken for the others, too
CLOCKS = {"A100": 1.41e9, "H100": 1.755e9, "B200": 1.85e9}
LEAST_GAIN = 1.05  # how much faster the library must be to be chosen


def l2_bytes_a_second(gpu):
    return SHARE_OF_MEMORY * L2_BYTES_A_CLOCK * CLOCKS[gpu[0]]


def seconds(width, gpu, precision):
    """Of own kernels and of the library."""
    _, memory, tensor, single, _ = gpu
    memory = SHARE_OF_MEMORY * memory
    held = 2 if precision == "bf16" else 4  # bytes of an activation
    flops, numbers = 2 * ROWS * width * width, ROWS * width
    moved = (2 * held * numbers + 4 * width * width) / memory
    peak = tensor if precision == "bf16" else single
    library = max(flops / (SHARE_OF_LIBRARY * peak), moved)
    if precision == "fp32":
        return max(flops / (SHARE_OF_OWN_FP32 * peak), moved), library
    of_tiles = flops / (2 * TILE * TILE) * TILE * (held + 4)  # weights are in fp32
    sums = 2 * 4 * numbers / l2_bytes_a_second(gpu)
    rounding = (4 + 2) * width * width / memory
    return max(of_tiles / l2_bytes_a_second(gpu), moved), library + sums + rounding


def least_width(gpus, precision):
    """From which on the library gains enough on every GPU."""
    for width in WIDTHS:
        if all(own >= LEAST_GAIN * library for own, library in
               (seconds(width, gpu, precision) for gpu in gpus)):
            return width
    return None


def check(header, gpus):
    """Whether the header of the choice has these widths, said in lines; the exit status."""
    with open(header, encoding="utf-8") as file:
        found = dict(re.findall(r"library_from_(\w+) = (\d+);", file.read()))
    wanted = {precision: str(least_width(gpus, precision)) for precision in ("bf16", "fp32")}
    print(f"the model has {wanted}, the header {found}")
    return 0 if found == wanted else 1


def section(gpus):
    lines = ["## Which code multiplies", "",
             "`kernels/cuda/product_choice.h` is the table of it. Its widths come from the same model, and no GPU "
             f"measured them: a layer of w to w, forward with a bias, of {ROWS:,} touches. Own kernels are bound by "
             f"what their 64 x 64 tiles read from the L2 cache ({L2_BYTES_A_CLOCK:,} bytes a clock, of which 0.7) in "
             "bf16, by half the FLOPs in fp32; a library is taken to reach 0.7 of the FLOPs, and in bf16 it leaves "
             "its sums to own code by way of that cache. It is chosen from the first of these widths on at which it "
             f"gains a factor of {LEAST_GAIN} on every GPU: "
             + " and ".join(f"{least_width(gpus, precision)} in {precision}" for precision in ("bf16", "fp32"))
             + ". Own kernels / library, us:", "",
             "| w | " + " | ".join(f"{gpu[0]}, {precision}" for precision in ("bf16", "fp32") for gpu in gpus)
             + " |", "|---:|" + "---:|" * 2 * len(gpus)]
    for width in WIDTHS:
        cells = [f"{1e6 * own:.0f} / {1e6 * library:.0f}" for precision in ("bf16", "fp32") for own, library in
                 (seconds(width, gpu, precision) for gpu in gpus)]
        lines.append(f"| {width} | " + " | ".join(cells) + " |")
    return lines + [
        "", "The gradient of the weights gains more: own kernels write a partial sum of them every 256 rows, for "
        f"2,048 x 2,048 weights {ROWS // 256 * 4 * 2048 * 2048 / 1e9:.1f} GB of them, where the library cuts the "
        "rows as its 32 MiB of room allow."]
