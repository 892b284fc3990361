"""Rules of the house that no compiler checks. Standard library only.

usage: lint.py check ROOT       the rules below, one line per violation
       lint.py format ROOT      clang-format would change nothing (exit 77: no clang-format here)
       lint.py self-test        every rule catches a seeded violation and passes clean files
"""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP_LEVEL = {"CMakeLists.txt", "README.md", "engine", "kernels", "io", "launch", "tests", "docs"}
FLOORS = ("launch", "engine", "io", "kernels")
CODE = (".cc", ".h", ".cu", ".cuh")
TEXT = CODE + (".py", ".sh", ".sbatch", ".md", ".txt", ".cmake", ".ini")

# What a floor may include. The folders of the engine's floor follow their targets in CMakeLists.txt.
MAY_INCLUDE = {
    "launch": ("launch/", "engine/", "io/", "kernels/"),
    "io": ("io/", "kernels/base/"),
    "kernels/base": ("kernels/base/",),
    "kernels": ("kernels/",),
}

# Third-party headers: (header, files that may include it, how many of them may).
ONE_PLACE = (
    (r"hdf5(_hl)?\.h|H5\w+\.h", "io/*.cc", None),
    (r"mpi\.h", "engine/comm/mpi.cc", 1),
    (r"(oneapi/dnnl/)?dnnl.*|omp\.h", "kernels/cpu/gemm.cc", 1),
    (r"boost/(program_options.*|version\.hpp)", "launch/options.cc", 1),
    (r"nlohmann/.*", "io/json.h", 1),
    (r"Eigen/.*", "engine/estimate/*", 1),
    (r"csv\.h", "io/*.cc", 1),
    (r"zlib\.h", "io/*.cc", 1),
    (r"openssl/.*", "io/digest.cc", 1),
    (r"faiss/.*", "io/cluster_fit.cc", 1),
    (r"(libdeflate|zstd|lz4)\w*\.h", "io/compressors.cc", 1),
    (r"cublasLt\.h", "kernels/cuda/cublaslt.cc", 1),
    (r"(cuda|cublas|nvtx|nvrtc|cub/|thrust/|cooperative).*", "kernels/cuda/*", None),
    (r"nccl\.h", "engine/comm/nccl.cc", 1),
)
# Of the system, not third parties.
SYSTEM = re.compile(
    r"[a-z_0-9]+|(sys|arpa|netinet|linux)/\w+\.h|immintrin\.h|arm_neon\.h|"
    r"(unistd|fcntl|sched|pthread|dirent|glob|signal|netdb|poll|dlfcn|errno|stdlib|string|malloc|"
    r"execinfo|cpuid|getopt|spawn)\.h"
)

# Split so that this file does not hold them.
MARKS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
MACHINE_PATHS = re.compile(r"(?<![\w.$}/-])/(home|root|work|Users|mnt|scratch|workspace)/\w")
REGISTRIES = re.compile(
    r"\b(" + "|".join(
        name.replace("_", ".") for name in (
            r"pypi_org", r"pythonhosted_org", r"npmjs_(org|com)", r"deb_debian_org",
            r"archive_ubuntu_com", r"anaconda_(org|com)", r"crates_io", r"golang_org",
            r"ghcr_io", r"docker_io", r"quay_io", r"nvcr_io", r"conan_io")
    ).replace(".", r"\.") + r")\b")
ENDS_PROCESS = re.compile(r"(?<![\w.>:])(std::)?(exit|quick_exit)\s*\(")


def tracked_files(root):
    """Files git knows or would take; without git, everything outside ignored folders."""
    listing = subprocess.run(
        ["git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"], capture_output=True)
    if listing.returncode == 0:
        names = listing.stdout.decode().split("\0")
        return sorted(name for name in names if name and os.path.isfile(os.path.join(root, name)))
    ignored = []
    if os.path.exists(os.path.join(root, ".gitignore")):
        with open(os.path.join(root, ".gitignore"), encoding="utf-8") as lines:
            ignored = [line.strip().strip("/") for line in lines if line.strip()]
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name != ".git"
                      and not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)]
        names += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    return sorted(names)


def engine_targets(root):
    """engine folder -> folders of the engine it stands on, by CMakeLists.txt."""
    with open(os.path.join(root, "CMakeLists.txt"), encoding="utf-8") as cmake:
        calls = re.findall(r"^alm_engine_folder\((\w+)([^)]*)\)", cmake.read(), re.MULTILINE)
    direct = {folder: {name[len("alm_"):] for name in links.split()} for folder, links in calls}

    def below(folder):
        found = {folder}
        for name in direct.get(folder, ()):
            found |= below(name) if name in direct else {name}
        return found

    return {folder: below(folder) for folder in direct}


def may_include(path, targets):
    floor = path.split("/")[0]
    if floor == "kernels":
        return MAY_INCLUDE["kernels/base" if path.startswith("kernels/base/") else "kernels"]
    if floor != "engine":
        return MAY_INCLUDE[floor]
    below = targets.get(path.split("/")[1], set())
    allowed = [f"engine/{name}/" for name in below if name in targets] + ["kernels/base/"]
    if "io" in below:
        allowed.append("io/")
    if "kernels" in below:
        allowed.append("kernels/")
    return tuple(allowed)


def check_include(path, header, quoted, targets, places):
    """Violation of one include line, or None. Counts users of third parties in `places`."""
    for pattern, where, most in ONE_PLACE:
        if re.fullmatch(pattern, header) and not (quoted and os.path.dirname(header)):
            if not fnmatch.fnmatch(path, where):
                return f"<{header}> belongs in {where} alone"
            if most is not None:
                places.setdefault(pattern, set()).add(path)
                if len(places[pattern]) > most:
                    return f"<{header}> may stand in one file; also in " + ", ".join(
                        sorted(places[pattern] - {path}))
            return None
    if quoted:
        if not header.startswith(may_include(path, targets)):
            return f'includes "{header}", which does not stand below it'
    elif not SYSTEM.fullmatch(header):
        return f"<{header}> is no header of the system: give it one place in tests/lint/lint.py"
    return None


def check(root):
    """All violations under `root`, as lines."""
    violations = []
    names = tracked_files(root)
    targets = engine_targets(root)
    places = {}
    for top in sorted({name.split("/")[0] for name in names}):
        if top not in TOP_LEVEL and not top.startswith("."):
            violations.append(f"{top}: does not belong at the top level")
    for name in names:
        if not name.endswith(TEXT) and os.path.basename(name) != "run":
            continue
        floor = name.split("/")[0]
        in_floor = floor in FLOORS and name.endswith(CODE)
        with open(os.path.join(root, name), encoding="utf-8") as file:
            lines = file.read().split("\n")
        if name.endswith(CODE) and not re.fullmatch(r"[a-z0-9_]+\.\w+", os.path.basename(name)):
            violations.append(f"{name}: file names are snake_case")
        if name.endswith((".h", ".cuh")) and "#pragma once" not in lines:
            violations.append(f"{name}: a header without #pragma once")
        for number, line in enumerate(lines, 1):
            def violation(text):
                violations.append(f"{name}:{number}: {text}")
            if MARKS.search(line):
                violation("a mark of unfinished work")
            if MACHINE_PATHS.search(line):
                violation("a path of one machine")
            if REGISTRIES.search(line):
                violation("the host name of a package registry")
            if not in_floor:
                continue
            if ENDS_PROCESS.search(line.split("//")[0]):
                violation("ends the process: throw instead")
            include = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if include:
                fault = check_include(name, include[2], include[1] == '"', targets, places)
                if fault:
                    violation(fault)
    return violations


def check_format(root):
    tool = shutil.which("clang-format")
    if tool is None:
        print("skipped: no clang-format on this machine")
        return 77
    names = [name for name in tracked_files(root) if name.endswith(CODE)]
    result = subprocess.run([tool, "--dry-run", "--Werror"] + names, cwd=root,
                            capture_output=True, text=True)
    files = sorted({line.split(":")[0] for line in result.stderr.split("\n") if ": error:" in line})
    for name in files:
        print(f"{name}: clang-format -i would change it")
    print(f"{len(names)} files, {len(files)} to be formatted")
    return 1 if result.returncode else 0


CLEAN = {
    "CMakeLists.txt": "alm_engine_folder(comm alm_base)\nalm_engine_folder(model alm_comm alm_io)\n"
                      "alm_engine_folder(train alm_model)\n",
    ".gitignore": "/build/\n",
    "build/CMakeCache.txt": "X=" + "/home" + "/someone\n",
    "kernels/base/text.h": "#pragma once\n#include <string>\n",
    "kernels/cpu/gemm.cc": '#include <dnnl.h>\n#include "kernels/base/text.h"\n',
    "io/reader.cc": '#include <hdf5.h>\n#include <sys/stat.h>\n#include "kernels/base/text.h"\n',
    "engine/comm/mpi.cc": '#include <mpi.h>\n#include <unistd.h>\n',
    "engine/train/step.cc": '#include "engine/model/model.h"\n#include "io/reader.h"\n',
    "launch/main.cc": '#include "engine/train/step.h"\n// no exit(1) here\nint at_exit(int x);\n',
}
SEEDED = {
    "io/a.cc": ('#include "engine/comm/communicator.h"\n', "does not stand below"),
    "io/b.cc": ('#include "kernels/ops.h"\n', "does not stand below"),
    "kernels/base/c.h": ('#pragma once\n#include "kernels/ops.h"\n', "does not stand below"),
    "engine/model/d.cc": ('#include "engine/train/step.h"\n', "does not stand below"),
    "engine/comm/e.cc": ('#include "io/reader.h"\n', "does not stand below"),
    "engine/train/f.cc": ("#include <mpi.h>\n", "belongs in engine/comm/mpi.cc"),
    "io/g.h": ("#pragma once\n#include <hdf5.h>\n", "belongs in io/*.cc"),
    "launch/h.cc": ("#include <boost/asio.hpp>\n", "no header of the system"),
    "io/i.h": ("#include <vector>\n", "without #pragma once"),
    "io/j.cc": ("// TO" + "DO: later\n", "unfinished"),
    "docs/k.md": ("see /ho" + "me/someone/x\n", "one machine"),
    "launch/l.sh": ("curl https://py" + "pi.org/simple\n", "registry"),
    "engine/model/m.cc": ("void f() { std::exit(1); }\n", "ends the process"),
    "io/BadName.cc": ("\n", "snake_case"),
    "notes/n.md": ("\n", "top level"),
    "io/json.h": ("#pragma once\n#include <csv.h>\n", "belongs in io/*.cc"),
    "kernels/p.h": ('#pragma once\n#include "dnnl.h"\n', "belongs in kernels/cpu/gemm.cc"),
}


def self_test():
    faults = []

    def tree(files):
        folder = tempfile.mkdtemp(prefix="alm_lint_")
        for name, text in files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        try:
            return check(folder)
        finally:
            shutil.rmtree(folder)

    for line in tree(CLEAN):
        faults.append(f"clean files are refused: {line}")
    for name, (text, wanted) in SEEDED.items():
        found = tree({**CLEAN, name: text})
        if len(found) != 1 or wanted not in found[0] or name.split("/")[0] not in found[0]:
            faults.append(f"{name}: wanted one violation with '{wanted}', got {found}")
    twice = tree({**CLEAN, "io/q.cc": "#include <zlib.h>\n", "io/r.cc": "#include <zlib.h>\n"})
    if len(twice) != 1 or "one file" not in twice[0]:
        faults.append(f"a second user of a library is not caught: {twice}")
    print("\n".join(faults) if faults else f"{len(SEEDED) + 1} seeded violations caught")
    return 1 if faults else 0


def main(arguments):
    if arguments[:1] == ["self-test"]:
        return self_test()
    if len(arguments) != 2 or arguments[0] not in ("check", "format"):
        print(__doc__)
        return 1
    if arguments[0] == "format":
        return check_format(arguments[1])
    violations = check(arguments[1])
    print("\n".join(violations) if violations else "clean")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
