#!/usr/bin/env python3
"""How fast `alm import` reads tables, how much memory it takes, and the same file through a plain reader.

usage: import.py ALM [--rows N ...] [--ranks R] [--folder DIR] [--gz]

Rates are per second of processor time, of all ranks together, which other work on the machine disturbs little.
For each N a table of N touches in no order (about N / 5 journeys) is made in DIR, imported, and read once by
pandas.read_csv where pandas is installed, else by Python's csv module. Prints one line a size. The tables and
logs are removed again; 1e7 rows need 2 GB meanwhile.
"""

import argparse
import csv
import gzip
import os
import shutil
import subprocess
import tempfile
import time

MAPPING = """[file]
form = touch
time_unit = s
[columns]
user = user
cluster = ad
item = video
touch_time = seen_at
mediator = watched
outcome = uploaded
"""


def write_table(path, rows, opener):
    """Users come in a scattered order; what is said of a user is a function of the user."""
    users = max(1, rows // 5)
    with opener(path, "wt") as table:
        table.write("user,seen_at,ad,video,watched,uploaded\n")
        lines = []
        for row in range(rows):
            draw = row * 2654435761 % 4294967296
            user = draw % users
            lines.append(f"{user},{1700000000 + draw % 999983},ad {draw % 97},{draw % 1000003},"
                         f"{draw >> 7 & 1},{user % 3 // 2}\n")
            if len(lines) == 100000:
                table.write("".join(lines))
                lines = []
        table.write("".join(lines))


def timed_import(command):
    """Seconds by the clock and of processors, and the largest resident set of a process of it in MiB."""
    begin = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status != 0:
        raise SystemExit("import failed: " + " ".join(command))
    return time.monotonic() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def timed_peer(path, opener):
    """Name and processor seconds of reading every field of the table."""
    try:
        import pandas
    except ImportError:
        begin = time.process_time()
        with opener(path, "rt") as table:
            for _ in csv.reader(table):
                pass
        return "Python csv, fields left as text", time.process_time() - begin
    begin = time.process_time()
    pandas.read_csv(path)
    return "pandas " + pandas.__version__ + " read_csv", time.process_time() - begin


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("alm")
    parser.add_argument("--rows", type=float, nargs="+", default=[1e6, 1e7])
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--gz", action="store_true")
    options = parser.parse_args()
    opener = gzip.open if options.gz else open
    folder = tempfile.mkdtemp(prefix="alm_import_", dir=options.folder)
    try:
        mapping = os.path.join(folder, "mapping.ini")
        with open(mapping, "w", encoding="ascii") as file:
            file.write(MAPPING)
        for rows in (int(rows) for rows in options.rows):
            tables = []
            for part in range(options.ranks):
                name = f"table{part}.csv" + (".gz" if options.gz else "")
                tables.append(os.path.join(folder, name))
                write_table(tables[-1], rows // options.ranks, opener)
            size = sum(os.path.getsize(table) for table in tables)
            log = os.path.join(folder, "log")
            command = [options.alm, "import", "--mapping", mapping, "--in", *tables, "--out", log]
            if options.ranks > 1:
                command = ["mpirun", "--oversubscribe", "-n", str(options.ranks)] + command
            elapsed, seconds, peak = timed_import(command)
            shutil.rmtree(log)
            peer_seconds = 0
            for table in tables:
                peer, more = timed_peer(table, opener)
                peer_seconds += more
            print(f"{rows} rows, {size / 1e6:.0f} MB, {options.ranks} rank(s): import {elapsed:.1f} s, "
                  f"{seconds:.1f} s of processors, {rows / seconds:,.0f} rows/s, peak {peak:.1f} MiB; "
                  f"{peer} {rows / peer_seconds:,.0f} rows/s", flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
