"""Seeded bugs in what the engine does with streams, memory and graphs of a GPU, and in what ranks with a GPU
each say to each other; a test on the doubles of CUDA and NCCL must catch each. Standard library only.

usage: engine_mutations.py run LINK FAMILY     the bugs of a family
       engine_mutations.py table               the list as Markdown
       engine_mutations.py documented FILE     whether FILE holds that list

A bug is an edit of one file. It is compiled anew and linked in the other's place by the command that linked
the tests, which LINK holds (record_link.py); then the test named by the bug runs, and must fail: one of
tests_simt_training, in the family ranks tests_simt_ranks with three ranks.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import namedtuple

from mutations import documented

Bug = namedtuple("Bug", "family what file old new test")
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

STEP, BATCH, STAGING = "engine/train/device_step.cc", "engine/train/device_batch.cc", "engine/model/staging.cc"
GRAPHS, SUMS = "engine/train/device_step_graphs.cc", "engine/train/device_step_sums.cc"
DEVICE, EXACT = "kernels/cuda/device.cc", "engine/train/device_step_exact.cc"
RANK = "std::getenv(\"OMPI_COMM_WORLD_RANK\")[0]"
ORDERS = "CudaStreamOrders.Change*"
BUGS = (
    Bug("streams", "nothing waits for the copy of the inputs", STEP,
        "  queue_->wait_for(*slot.copied);\n", "", ORDERS),
    Bug("streams", "one page-locked buffer for two batches", STEP,
        "return slots_[static_cast<size_t>(number % std::ssize(slots_))];", "return slots_.front();", ORDERS),
    Bug("streams", "the host reads results that have not come", STEP, "  ranks_.wait(*slot.done, \"step\");\n", "", ORDERS),
    Bug("streams", "the host waits within a step", STEP,
        "  queue_->mark(*slot.done);\n", "  queue_->mark(*slot.done);\n  queue_->wait();\n", ORDERS),
    Bug("streams", "a graph of other sizes", GRAPHS, "          .touches = slot.batch.inputs.touches,\n", "",
        ORDERS),
    Bug("streams", "a graph of memory that has moved", GRAPHS, "          .memory = memory_.address(),\n", "",
        ORDERS),
    Bug("streams", "memory is taken in every step", STAGING, "  if (bytes <= memory_.size()) return;\n", "",
        ORDERS),
    Bug("streams", "a kernel is handed memory of the host", STEP, "                                .scale = &sums->scale});",
        "                                .scale = new float});", ORDERS),
    Bug("streams", "a copy on the null stream", DEVICE, "cudaMemcpyHostToDevice, stream_)",
        "cudaMemcpyHostToDevice, nullptr)", ORDERS),
    Bug("streams", "a stream that waits for the null stream", DEVICE, "cudaStreamNonBlocking",
        "cudaStreamDefault", ORDERS),
    Bug("streams", "padding has weight", "engine/model/inputs.cc",
        "for (std::vector<float>* of : {&outcome, &weight}) of->resize(n);",
        "outcome.resize(n);\n  weight.resize(n, 1.0f);", "*CudaTraining*/arms"),
    Bug("streams", "targets of the law stay on the host", "engine/model/general_head.cc", ".target = inputs.law.mediator,",
        ".target = {new float[inputs.law.mediator.size()], inputs.law.mediator.size()},", "*CudaTraining*/general"),
    Bug("streams", "pairs of padding have weight", "engine/model/removal_pairs.cc", "add({.journey = of});",
        "add({.journey = of, .weight = 1});", "*CudaRefit*/tables"),
    Bug("streams", "pairs keep their journey among those of their block", BATCH, "first_journey += part.journeys;",
        "", "*CudaRefit*/tables"),
    Bug("streams", "a graph of other pairs", GRAPHS,
        "          .pairs = slot.batch.refit ? slot.batch.inputs.removal.pairs() : -1,\n", "", "*CudaRefit*/tiny"),
    Bug("streams", "a step of the second stage moves its neighbours", STEP, "part(first, last - first);",
        "part(first, (batch.refit ? model_.layout().size() : last) - first);", "*CudaRefit*/tables"),
    Bug("streams", "more alignment is promised than there is", "kernels/cuda/cublaslt.cc",
        "ALIGNMENT_B_BYTES, alignment_of(p.left.data)", "ALIGNMENT_B_BYTES, uint32_t{256}",
        "*CudaTraining*/library"),
    Bug("streams", "products on the null stream", "kernels/cuda/wide_linear.cu",
        "library->run(queue.stream(), of_weights", "library->run(nullptr, of_weights", "*CudaTraining*/library"),
    Bug("ranks", "one rank sums its buckets in another order", SUMS, "dense.part(from, unsent - from)",
        "dense.part(" + RANK + " == '1' ? dense.size() - unsent : from, unsent - from)", "curve"),
    Bug("ranks", "one rank leaves a sum out", SUMS, "sum.last->cats, sum.last->items};",
        "sum.last->cats, sum.last->items.part(0, " + RANK + " == '1' ? 0 : sum.last->items.size())};", "curve"),
    Bug("ranks", "a sum begins before its gradient is made", SUMS, "  wire_->wait_for(*made_);\n", "", "curve"),
    Bug("ranks", "a module says that its gradient is complete before it is", "engine/model/alm_mta.cc",
        "  order_.backward(", "  pass.gradient_complete(order_first_);\n  order_.backward(", "curve"),
    Bug("ranks", "the update does not wait for the last sum", SUMS, "  queue_->wait_for(*summed_);\n", "", "curve"),
    Bug("ranks", "memory is registered for ever", "engine/comm/nccl.cc",
        "      library().deregister_memory(communicator_.get(), handle.mapped());\n", "", "curve"),
    Bug("ranks", "rows of one's own batch alone", STEP, "ranks_.size() > 1 ? RowsOf::all_ranks : RowsOf::batch",
        "RowsOf::batch", "curve"),
    Bug("ranks", "places are looked up twice", "engine/train/distinct_rows.cc",
        "  collect();\n  world.all_gather_v", "  find();\n  world.all_gather_v", "curve"),
    Bug("ranks", "losses stay each rank's own", SUMS,
        "DeviceSpan<double>::first_of(sums_, kLosses),", "DeviceSpan<double>::first_of(sums_, 0),", "curve"),
    Bug("ranks", "a group of sums is never sent", "engine/comm/nccl.cc", "ended = library().group_end();",
        "ended = ncclSuccess;", "curve"),
    Bug("ranks", "a graph goes on over a sum", SUMS, "push_back({queue_->cut_recording(), sum})",
        "push_back({nullptr, sum})", "curve"),
    Bug("ranks", "a sum is recorded into a graph", SUMS, "  if (recording_ != nullptr) {\n", "  if (false) {\n", "curve"),
    Bug("ranks", "a step of graphs leaves its sums out", GRAPHS, "        send_sum(slot, part.sum);\n", "", "curve"),
    Bug("ranks", "NCCL is handed memory of the host", "engine/comm/nccl.cc",
        "return library().all_reduce(values.data(), values.data(),",
        "static std::vector<double> host; host.resize(static_cast<size_t>(values.size())); "
        "return library().all_reduce(host.data(), host.data(),", "curve"),
    Bug("ranks", "the scale of the integers is each rank's own", EXACT,
        "  ranks_.all_reduce_max(*queue_, exact.largest, \"gradient scale\");\n", "", "exact"),
    Bug("ranks", "floats are summed in place of integers", STEP, "if (state.options.deterministic) {",
        "if (false) {", "exact"),
)


class Faulty(Exception):
    """The list is wrong, not the engine."""


def compiled(bug, folder, includes):
    with open(os.path.join(ROOT, bug.file), encoding="utf-8") as file:
        text = file.read()
    if bug.old not in text:
        raise Faulty(f"{bug.file} does not hold: {bug.old}")
    source = os.path.join(folder, os.path.basename(bug.file))
    with open(source, "w", encoding="utf-8") as file:
        file.write(text.replace(bug.old, bug.new, 1))
    done = subprocess.run(["c++", "-std=c++20", "-O1", "-g1", "-w", "-ffp-contract=off", "-I", ROOT, *includes,
                           "-x", "c++", "-c", source, "-o", source + ".o"], capture_output=True, text=True)
    if done.returncode != 0:
        raise Faulty(f"{bug.file} does not compile: {done.stderr[:500]}")
    return source + ".o"


def linked(bug, link, bug_object, folder):
    """The program, with the object in place of that of the same file."""
    program = os.path.join(folder, "program")
    command = [word for word in link["command"] if not word.endswith("/" + bug.file + ".o")]
    output = command.index("-o") + 1
    command[output:output + 1] = [program, bug_object]
    done = subprocess.run(command, cwd=link["folder"], capture_output=True, text=True)
    if done.returncode != 0:
        raise Faulty(f"does not link: {done.stderr[-500:]}")
    return program


def caught(bug, link, includes):
    with tempfile.TemporaryDirectory(prefix="alm_mutation_") as folder:
        program = linked(bug, link, compiled(bug, folder, includes), folder)
        try:
            test = ["mpirun", "--oversubscribe", "-n", "3", program, bug.test] if bug.family == "ranks" else [
                program, f"--gtest_filter={bug.test}", "--gtest_fail_fast"]
            done = subprocess.run(test, capture_output=True, timeout=300)
        except subprocess.TimeoutExpired:
            return True, "no end"
        return done.returncode != 0, (done.stdout + done.stderr).decode(errors="replace")


def run(link, family, includes):
    survivors = 0
    for bug in BUGS:
        if bug.family != family:
            continue
        began = time.monotonic()
        found, text = caught(bug, link, includes)
        print(f"{'caught' if found else 'SURVIVED'} in {time.monotonic() - began:.0f} s: {bug.what}", flush=True)
        if not found:
            survivors += 1
            print(text[-600:])
    return survivors


def table():
    return "\n".join(["| family | bug | file |", "|---|---|---|"]
                     + [f"| {bug.family} | {bug.what} | {bug.file} |" for bug in BUGS])


def main(arguments):
    if arguments == ["table"]:
        print(table())
        return 0
    if len(arguments) == 2 and arguments[0] == "documented":
        return documented(arguments[1], table(), "engine_mutations.py")
    if len(arguments) < 3 or arguments[0] != "run":
        print(__doc__)
        return 1
    with open(arguments[1], encoding="utf-8") as file:
        link = json.load(file)
    return 1 if run(link, arguments[2], arguments[3:]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
