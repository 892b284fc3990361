"""Seeded bugs in the CUDA kernels, each of which the stage that claims to catch it must catch: so the
tests themselves are tested. Standard library only.

usage: mutations.py run CONFIG FAMILY...    the bugs of some families (all: every one)
       mutations.py table                   the list as Markdown
       mutations.py documented FILE         whether FILE holds that list

A bug is an edit of one file of kernels/cuda in a copy of that folder. The kernels it touches are compiled
anew, linked with the other objects of a build, and the test of one op runs. Caught: the test fails, and
where a sanitizer claims the bug, by a report of its own. Stages: plain, asan, tsan as built by tests/simt;
trace (accesses.py); nvcc (spills and local memory are errors).
CONFIG is written by the build.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import namedtuple

Bug = namedtuple("Bug", "family what stage file old new op")
HERE = os.path.dirname(os.path.abspath(__file__))
KERNELS = os.path.join(HERE, "..", "..", "kernels", "cuda")
FAMILIES = ("reduce", "optimizer", "dense", "pool", "bilinear", "losses", "attention", "linear",
            "tensor", "wide", "touch_head", "infonce")
# The file of a family that has none of its name.
FILES = {"tensor": "linear.cu", "wide": "wide_linear.cu"}
# The tests of a family, where they are others than EveryCudaOp.
SUITES = {"tensor": "EveryBf16Op", "touch_head": "EveryBf16Op", "wide": "EveryWideOp"}

BARRIER = "__syncthreads();"
BUGS = (
    # --- reduce
    Bug("reduce", "sums of warps are read before they are written", "plain", "sums.cuh",
        "of_warps[threadIdx.x / kWarp] = value;\n  " + BARRIER,
        "of_warps[threadIdx.x / kWarp] = value;", "sum_squares"),
    Bug("reduce", "squares are added up in single precision", "plain", "reduce.cu",
        "  double mine = 0;", "  float mine = 0;", "sum_squares"),
    Bug("reduce", "numbers are cut, not rounded", "plain", "reduce.cu",
        "llrint(", "static_cast<int64_t>(", "quantise"),
    Bug("reduce", "what the law expects stands for an observed mediator", "plain", "reduce.cu",
        "mediator == kMediatorMissing ? sigmoid_parts", "true ? sigmoid_parts",
        "expected_mediator_forward"),
    Bug("reduce", "the slope of an expected mediator is left out", "plain", "reduce.cu",
        "share * (1 - share) * a.d_share", "a.d_share", "expected_mediator_backward"),
    Bug("reduce", "reads past the end", "asan", "reduce.cu",
        "i < first + kBlockNumbers && i < count; i += kThreads) {\n    const int size",
        "i < first + kBlockNumbers; i += kThreads) {\n    const int size", "max_abs"),
    Bug("reduce", "a mediator too many", "asan", "reduce.cu",
        "if (j >= static_cast<int64_t>(a.share.size())) return;",
        "if (j > static_cast<int64_t>(a.share.size())) return;", "expected_mediator_forward"),
    Bug("reduce", "a maximum without its atomic", "tsan", "reduce.cu",
        "if (lane() == 0)\n    atomicMax(reinterpret_cast<int*>(a.largest), "
        "most > kInfinity ? kInfinity : most);",
        "if (lane() == 0 && __float_as_int(*a.largest) < most)\n"
        "    *reinterpret_cast<int*>(a.largest) = most;", "max_abs"),
    Bug("reduce", "an array that only local memory can hold", "nvcc", "reduce.cu",
        "const float rounded = static_cast<float>(a.sum.data()[i]);",
        "float held[64];\n  for (int k = 0; k < a.shift; ++k) held[k * k % 64] = "
        "static_cast<float>(a.sum.data()[i] + k);\n  const float rounded = held[i % 64];",
        "dequantise"),
    # --- optimizer
    Bug("optimizer", "the second moment keeps its bias", "plain", "optimizer.cu",
        "sqrtf(v * settings.unbias2)", "sqrtf(v)", "adamw"),
    Bug("optimizer", "the sum of squares in place of their mean", "plain", "optimizer.cu",
        "square / static_cast<float>(width)", "square", "adagrad_rows"),
    Bug("optimizer", "a step that is to be skipped moves weights", "plain", "optimizer.cu",
        "  if (is_nan(scale)) return;\n  const StepSettings", "  const StepSettings", "adamw"),
    Bug("optimizer", "the norm is not kept to its bound", "plain", "optimizer.cu",
        "clip ? mean * clip_norm / norm : mean", "mean", "gradient_scale"),
    Bug("optimizer", "one thread too many", "asan", "optimizer.cu",
        "if (i >= static_cast<int64_t>(a.weights.size())) return;",
        "if (i > static_cast<int64_t>(a.weights.size())) return;", "adamw"),
    Bug("optimizer", "every lane updates the state", "tsan", "optimizer.cu",
        "  if (lane() == 0) {\n    state =", "  {\n    state =", "adagrad_rows"),
    # --- dense
    Bug("dense", "missing values are let through", "plain", "dense.cu",
        "missing ? 0.0f : (x", "false ? 0.0f : (x", "dense_features"),
    Bug("dense", "entries of earlier warps are not counted", "plain", "sort.cu",
        "to += of_warps[w][digit];", "to += 0 * of_warps[w][digit];", "scatter_rows"),
    Bug("dense", "one pass of the sort too few", "plain", "sort.cu",
        "(table_rows - 1) >> shift > 0", "(table_rows - 1) >> shift > 255", "scatter_rows"),
    Bug("dense", "a feature too many", "asan", "dense.cu",
        "f < a.x.cols; f += kWarp", "f <= a.x.cols; f += kWarp", "dense_features"),
    Bug("dense", "counts of warps are read before they are written", "tsan", "sort.cu",
        "of_warps[warp][digit] = __popc(alike);\n    " + BARRIER,
        "of_warps[warp][digit] = __popc(alike);", "scatter_rows"),
    Bug("dense", "the count of digits without its atomic", "tsan", "sort.cu",
        "atomicAdd(&of_digit[digit_of(row[i], shift)], 1);",
        "of_digit[digit_of(row[i], shift)] += 1;", "scatter_rows"),
    # --- pool
    Bug("pool", "clamped scores pass a gradient", "plain", "pool.cu",
        "fabsf(score) > kPoolClamp ? 0.0f : slope", "slope", "pool_backward"),
    Bug("pool", "the mean slope is left out", "plain", "pool.cu",
        "d_out, width) - mean_slope)", "d_out, width))", "pool_backward"),
    Bug("pool", "the gradient overwrites", "plain", "pool.cu",
        "total = to_float(d_x) + (", "total = (", "pool_backward"),
    Bug("pool", "the gradient passes the ReLU before", "plain", "pool.cu",
        "a.mask_dx && !(to_float", "false && !(to_float", "pool_backward"),
    Bug("pool", "the gradient of a touch's weight overwrites", "plain", "pool.cu",
        "if (lane() == 0) a.d_weight.data()[j] += d_weight;",
        "if (lane() == 0) a.d_weight.data()[j] = d_weight;", "weighted_sum_backward"),
    Bug("pool", "every lane adds to a touch's weight", "tsan", "pool.cu",
        "if (lane() == 0) a.d_weight.data()[j] += d_weight;",
        "a.d_weight.data()[j] += d_weight;", "weighted_sum_backward"),
    Bug("pool", "weights are read before lane 0 wrote them", "tsan", "pool.cu",
        "    total += e;\n  }\n  __syncwarp();", "    total += e;\n  }", "pool_forward"),
    # --- bilinear
    Bug("bilinear", "the bias is left out", "plain", "bilinear.cu",
        "a.bias.data()[k] + product", "product", "bilinear_forward"),
    Bug("bilinear", "a row that goes on is taken for one that came in", "plain", "sort.cuh",
        "(opens ? 1 : 0)", "0", "bilinear_backward"),
    Bug("bilinear", "the context of the touch, not of its journey", "asan", "bilinear.cu",
        "context.row(journeys[j])[c]", "context.row(j)[c]", "bilinear_backward"),
    Bug("bilinear", "every lane adds to the logit", "tsan", "bilinear.cu",
        "if (lane() == 0) a.logit", "a.logit", "bilinear_forward"),
    # --- losses
    Bug("losses", "missing mediators pass no gradient", "plain", "touch_share.cuh",
        "touch.by_logit = both * p.not_p / none;", "touch.by_logit = 0;", "separable_loss"),
    Bug("losses", "the label is among the others", "plain", "losses.cu",
        "if (k != label) others", "others", "softmax_loss"),
    Bug("losses", "rows without a target count", "plain", "losses.cu",
        "    if (known) {", "    {", "bce_loss"),
    Bug("losses", "every lane hands in the weight", "plain", "losses.cu",
        "one ? losses.weight : 0", "losses.weight", "additive_loss"),
    Bug("losses", "blocks share a partial sum", "tsan", "losses.cu",
        "partials[s * int64_t{gridDim.x} + blockIdx.x] = of_block[s];",
        "partials[s * int64_t{gridDim.x}] = of_block[s];", "separable_loss"),
    Bug("losses", "the next sum overwrites the last before it is read", "tsan", "sums.cuh",
        BARRIER + "  // it may be called again", "", "separable_loss"),
    # --- attention
    Bug("attention", "sums are not scaled to the new maximum", "plain", "attention.cu",
        "total = total * keep + e;", "total = total + e;", "attention_forward"),
    Bug("attention", "a touch does not see itself", "plain", "attention.cu",
        "for (int64_t l = journey.first; l <= j; ++l) {\n      const float score",
        "for (int64_t l = journey.first; l < j; ++l) {\n      const float score",
        "attention_forward"),
    Bug("attention", "touches see those after them", "plain", "attention.cu",
        "for (int64_t j = l; j < journey.last; ++j)",
        "for (int64_t j = journey.first; j < journey.last; ++j)", "attention_backward"),
    Bug("attention", "groups that part wait for the whole warp", "plain", "attention.cu",
        "__shfl_xor_sync(of_group, sum, flip)", "__shfl_xor_sync(kAllLanes, sum, flip)",
        "attention_forward"),
    Bug("attention", "stores past the head", "tsan", "attention.cu",
        "      if (c < d) put(row[c], at[i]);", "      put(row[c], at[i]);", "attention_forward"),
    # --- linear
    Bug("linear", "the reversal is left out", "plain", "linear_parts.cuh",
        ": alpha * sum;", ": sum;", "linear_backward"),
    Bug("linear", "the gradient passes the ReLU before", "plain", "linear_parts.cuh",
        "mask && !(to_float(x.row(r)[c]) > 0.0f) ?", "false ?", "linear_backward"),
    Bug("linear", "the gradient of idle units passes", "plain", "linear.cu",
        "to_float(a.y.row<Number>(j)[c]) > 0.0f ? d : 0.0f", "d", "join_context_backward"),
    Bug("linear", "the last chunk of rows is left out", "plain", "linear.cu",
        "add_partial_rows(launches, of_weights, weight_chunks, a.d_w);",
        "add_partial_rows(launches, of_weights, weight_chunks - 1, a.d_w);", "linear_backward"),
    Bug("linear", "reads past the last row", "asan", "product.cuh",
        "first_i + i < last_i && first_k", "first_k", "linear_forward"),
    Bug("linear", "the next tile overwrites what others still read", "tsan", "product.cuh",
        "    " + BARRIER + "\n  }\n#pragma unroll", "  }\n#pragma unroll", "linear_forward"),
    Bug("linear", "tiles whose columns share a bank", "trace", "product.cuh",
        "kTileStride = kTile + 1", "kTileStride = kTile", "linear_forward"),
    # --- tensor
    Bug("tensor", "half of the depth is taken twice", "plain", "tensor_product.cuh",
        "group, k + 8);\n  }", "group, k);\n  }", "linear_forward"),
    Bug("tensor", "a copy that nobody waited for", "plain", "tensor_product.cuh",
        "simt::cp_async_wait<1>();", "simt::cp_async_wait<2>();", "linear_forward"),
    Bug("tensor", "operands are cut, not rounded", "plain", "tensor_product.cuh",
        "__floats2bfloat162_rn(first, second)",
        "__halves2bfloat162(__float2bfloat16_rz(first), __float2bfloat16_rz(second))",
        "linear_forward"),
    Bug("tensor", "numbers are cut, not rounded, as they are stored", "plain", "numbers.cuh",
        "__float2bfloat16_rn(value)", "__float2bfloat16_rz(value)", "linear_forward"),
    Bug("tensor", "chunks reach into the next", "plain", "tensor_product.cuh",
        "depth - first_k > chunk_depth ? first_k + chunk_depth : depth;", "depth;",
        "linear_backward"),
    Bug("tensor", "of the bias only the last stage of a chunk", "plain", "tensor_product.cuh",
        "of_column += to_float(", "of_column = to_float(", "linear_backward"),
    Bug("tensor", "reads past the last row", "asan", "tensor_product.cuh",
        "r < rows ? cols - c : 0", "cols - c", "linear_forward"),
    Bug("tensor", "the next tile overwrites what others still read", "tsan", "tensor_product.cuh",
        BARRIER + "\n    now = 1 - now;", "now = 1 - now;", "linear_backward"),
    Bug("tensor", "tiles whose columns share a bank", "trace", "tensor_product.cuh",
        "kSide + kVector<Number>;", "kSide;", "linear_forward"),
    Bug("tensor", "more blocks than there are registers for", "nvcc", "tensor_product.cuh",
        "kBlocks = 6;", "kBlocks = 16;", "linear_forward"),
    # --- wide
    Bug("wide", "rows of the first panel again", "plain", "wide_linear.cu",
        "store(panel.first + at / cols,", "store(at / cols,", "linear_forward"),
    Bug("wide", "copies take the room of what comes after them", "plain", "wide_linear.cu",
        "copied_ ? from_.rows * stride() : 0", "copied_ ? from_.rows : 0", "linear_forward"),
    Bug("wide", "the bias' gradient is the sum of rounded numbers", "plain", "wide_linear.cu",
        "!a.relu && !d_y.copied() &&", "!a.relu &&", "linear_backward"),
    Bug("wide", "too little room for the library", "plain", "wide_linear.cu",
        ".add(&workspace, library->workspace_bytes())", ".add(&workspace, 256)",
        "linear_forward"),
    Bug("wide", "a row too many is rounded", "asan", "wide_linear.cu",
        "if (r >= from.rows) return;", "if (r > from.rows) return;", "linear_forward"),
    Bug("wide", "sums of parts are held in bf16", "plain", "cublaslt.cc",
        "uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE}", "uint32_t{CUBLASLT_REDUCTION_SCHEME_MASK}",
        "linear_backward"),
    Bug("wide", "an algorithm for other strides", "plain", "cublaslt.cc",
        "          p.left.stride,\n", "          0,\n", "linear_forward"),
    # --- touch_head
    Bug("touch_head", "the context half takes the weights of the other", "plain",
        "touch_head_tile.cuh", "of_journey ? of_context : of_touch;", "of_touch;",
        "touch_head_forward"),
    Bug("touch_head", "the bilinear term is left out", "plain", "touch_head_tile.cuh",
        "if (of_journey) with_context", "if (false) with_context", "touch_head_forward"),
    Bug("touch_head", "a slice that nobody waited for", "plain", "touch_head_tile.cuh",
        "simt::cp_async_wait<1>();", "simt::cp_async_wait<2>();", "touch_head_forward"),
    Bug("touch_head", "the gradient of idle units passes", "plain", "touch_head.cu",
        "sum = z > 0.0f ? to_float(__float2bfloat16_rn(d)) : 0.0f;", "sum = d;", "touch_head_backward"),
    Bug("touch_head", "the gradient passes the ReLU before", "plain", "touch_head.cu",
        "if (a.mask_dx) {", "if (false) {", "touch_head_backward"),
    Bug("touch_head", "sums of the hidden gradient before it is rounded", "plain", "touch_head.cu",
        "to_float(__float2bfloat16_rn(d))", "d", "touch_head_backward"),
    Bug("touch_head", "pairs of transposed weights the wrong way round", "plain",
        "touch_head_tile.cuh", "tensor::rounded(mine, next)", "tensor::rounded(next, mine)",
        "touch_head_backward"),
    Bug("touch_head", "the last block's sums are left out", "plain", "touch_head.cu",
        "partials.w_out, blocks, g.w_out", "partials.w_out, blocks - 1, g.w_out",
        "touch_head_backward"),
    Bug("touch_head", "reads past the last touch", "asan", "touch_head_tile.cuh",
        "there ? inside : 0", "inside", "touch_head_forward"),
    Bug("touch_head", "the next slice overwrites what others still read", "tsan",
        "touch_head_tile.cuh", "* kSlice);\n    __syncwarp();", "* kSlice);",
        "touch_head_forward"),
    Bug("touch_head", "weights are replaced while other warps still read them", "tsan",
        "touch_head.cu", BARRIER + "\n  load_pairs_transposed", "load_pairs_transposed",
        "touch_head_backward"),
    Bug("touch_head", "stages whose rows share a bank", "trace", "touch_head_tile.cuh",
        "kStageStride = kSlice + 8;", "kStageStride = kSlice;", "touch_head_forward"),
    Bug("touch_head", "sums picked by a number known at run time", "nvcc", "touch_head_tile.cuh",
        "simt::mma_m16n8k16(sums[j], a, b);", "simt::mma_m16n8k16(sums[(j + slice) % (kWidth / 8)], a, b);",
        "touch_head_forward"),
    # --- infonce
    Bug("infonce", "scores of a tile that is not there yet", "plain", "infonce.cu",
        "    load_frequencies(a, first, frequencies);\n    " + BARRIER + "\n#pragma",
        "    load_frequencies(a, first, frequencies);\n#pragma", "infonce"),
    Bug("infonce", "sums are not scaled to the new maximum", "plain", "infonce.cu",
        "others * rescale(most, larger)", "others", "infonce"),
    Bug("infonce", "a positive that shares an id is left out", "plain", "infonce_tile.cuh",
        " || column == positive", "", "infonce"),
    Bug("infonce", "columns of other groups count", "plain", "infonce_tile.cuh",
        "if (column < columns.first || column >= columns.last) return kNone;",
        "if (column < 0 || column >= a.y.rows) return kNone;", "infonce"),
    Bug("infonce", "a tile that no loop waited for", "plain", "infonce_tile.cuh",
        BARRIER + "  // the tile may", "// the tile may", "infonce"),
    Bug("infonce", "the next tile overwrites what others still read", "tsan", "infonce.cu",
        "slopes[r][c] * y[c][sharer + kSharers * i];\n      }\n    }\n    " + BARRIER,
        "slopes[r][c] * y[c][sharer + kSharers * i];\n      }\n    }", "infonce"),
    Bug("infonce", "tiles whose rows share a bank", "trace", "infonce_tile.cuh",
        "kPad = 1", "kPad = 0", "infonce"),
)
SANITIZE = {"plain": [], "trace": ["-fsanitize=thread"],
            "asan": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
            "tsan": ["-fsanitize=thread"]}
REPORTS = {"asan": ("AddressSanitizer:", "runtime error:"), "tsan": ("ThreadSanitizer: data race",),
           "nvcc": ("ptxas error",)}


class Faulty(Exception):
    """The list is wrong, not the kernels."""


def seed(bug, folder):
    """A copy of the kernels with the bug; the units to compile."""
    kernels = os.path.join(folder, "kernels", "cuda")
    shutil.copytree(KERNELS, kernels)
    path = os.path.join(kernels, bug.file)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if bug.old not in text:
        raise Faulty(f"{bug.file} does not hold: {bug.old}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(bug.old, bug.new, 1))
    # A header matters to the family's file, a file of its own besides.
    units = [FILES.get(bug.family, bug.family + ".cu")]
    if bug.file.endswith((".cu", ".cc")) and bug.file not in units:
        units.append(bug.file)
    return units


def compile_units(bug, units, folder, config):
    """Objects of the units; raises Faulty where a host compiler refuses."""
    objects = []
    for unit in units:
        target = os.path.join(folder, unit + ".o")
        objects.append(target)
        command = [config["compiler"], "-std=c++20", "-O1", "-g1", "-w", "-ffp-contract=off", "-I",
                   folder, "-I", config["source"], "-isystem", config["include"],
                   *SANITIZE[bug.stage], "-x", "c++", "-c",
                   os.path.join(folder, "kernels", "cuda", unit), "-o", target]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Faulty(f"{unit} does not compile: {done.stderr[:500]}")
    return objects


def link(bug, units, objects, folder, config):
    program = os.path.join(folder, "program")
    others = [name for name in config["objects"][bug.stage].split("|")
              if not any(name.endswith("/" + unit + ".o") for unit in units)]
    sanitize = [] if bug.stage == "trace" else SANITIZE[bug.stage]
    done = subprocess.run([config["compiler"], *sanitize, *objects, *others,
                           *config["libraries"].split("|"), "-o", program],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Faulty(f"does not link: {done.stderr[-500:]}")
    return program


def caught(bug, config):
    """Whether its stage sees the bug, and what it said."""
    with tempfile.TemporaryDirectory(prefix="alm_mutation_") as folder:
        units = seed(bug, folder)
        if bug.stage == "nvcc":
            command = [config["nvcc"], "-std=c++20", "-O3", "--expt-relaxed-constexpr",
                       "-ccbin", config["compiler"], "-arch=sm_90", "-I", folder, "-I",
                       config["source"], "-Xptxas", "-warn-spills,-warn-lmem-usage,-Werror", "-cubin",
                       os.path.join(folder, "kernels", "cuda", units[-1]), "-o",
                       os.path.join(folder, "cubin")]
        else:
            objects = compile_units(bug, units, folder, config)
            program = link(bug, units, objects, folder, config)
            suite = SUITES.get(bug.family, "EveryCudaOp")
            command = [program, f"--gtest_filter=*{suite}*/{bug.op}", "--gtest_fail_fast"]
            if bug.stage == "trace":
                command = [sys.executable, os.path.join(HERE, "accesses.py"), "check", program,
                           os.path.join(HERE, "access_budget.json"), bug.op]
        try:
            done = subprocess.run(command, capture_output=True, timeout=300)
        except subprocess.TimeoutExpired:
            return True, "no end"
        text = (done.stdout + done.stderr).decode(errors="replace")
        reported = any(report in text for report in REPORTS.get(bug.stage, ("",)))
        return done.returncode != 0 and reported, text


def run(config, families):
    survivors = 0
    for bug in BUGS:
        if bug.family not in families:
            continue
        began = time.monotonic()
        found, text = caught(bug, config)
        print(f"{'caught' if found else 'SURVIVED'} by {bug.stage} in "
              f"{time.monotonic() - began:.0f} s: {bug.family}, {bug.what}", flush=True)
        if not found:
            survivors += 1
            print(text[-600:])
    return survivors


def table():
    lines = ["| family | bug | caught by |", "|---|---|---|"]
    lines += [f"| {bug.family} | {bug.what} | {bug.stage} |" for bug in BUGS]
    return "\n".join(lines)


def documented(path, list_of_bugs, script):
    """Whether a page holds the list as `script table` prints it, said in a line; the exit status."""
    with open(path, encoding="utf-8") as file:
        fresh = list_of_bugs in file.read()
    print("the list of bugs is there" if fresh else f"another list of bugs than {script} table")
    return 0 if fresh else 1


def main(arguments):
    if arguments == ["table"]:
        print(table())
        return 0
    if len(arguments) == 2 and arguments[0] == "documented":
        return documented(arguments[1], table(), "mutations.py")
    if len(arguments) < 3 or arguments[0] != "run":
        print(__doc__)
        return 1
    families = FAMILIES if "all" in arguments[2:] else arguments[2:]
    for family in FAMILIES:
        if sum(bug.family == family for bug in BUGS) < 3:
            raise Faulty(f"fewer than three bugs of {family}")
    with open(arguments[1], encoding="utf-8") as file:
        return 1 if run(json.load(file), families) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
