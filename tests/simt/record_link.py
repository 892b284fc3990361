"""Runs a command that links a program and keeps it, so that mutations.py can link the program again with
an object in another's place. Standard library only.

usage: record_link.py FILE COMMAND...
"""

import json
import os
import subprocess
import sys

with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump({"folder": os.getcwd(), "command": sys.argv[2:]}, file)
sys.exit(subprocess.call(sys.argv[2:]))
