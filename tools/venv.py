#!/usr/bin/env python3
"""Makes the Python environment of the interop tests and prints where its python is.

  tools/venv.py FOLDER REQUIREMENTS

An environment that is there already and holds every pinned version is used as it is; otherwise the missing pins are
installed into it (or into a new one). torch goes first, tensorflow-serving-api last and without dependencies: it would
pull in the big `tensorflow` package beside `tensorflow-cpu`. About 90 seconds and 4 GB.
"""
import os
import re
import subprocess
import sys

FIRST, LAST = "torch", "tensorflow-serving-api"


def key(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path):
    found = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            name, _, version = line.split("#")[0].strip().partition("==")
            if name:
                found[key(name)] = version
    return found


def installed(python):
    """{name: version without a local part}, without starting pip."""
    code = "import importlib.metadata as m\nfor d in m.distributions(): print(d.metadata['Name'], d.version)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return {key(n): v.split("+")[0] for n, v in (line.split(None, 1) for line in done.stdout.splitlines() if " " in line)}


def main():
    folder, requirements = sys.argv[1:3]
    python = os.path.join(os.path.abspath(folder), "bin/python")
    wanted = pins(requirements)

    def missing():
        have = installed(python) if os.path.exists(python) else {}
        return [name for name, version in wanted.items() if have.get(name) != version]

    if missing():
        if not os.path.exists(python):
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, stdout=sys.stderr)
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        todo = missing()
        for group, more in (([n for n in todo if n == FIRST], []), ([n for n in todo if n not in (FIRST, LAST)], []),
                            ([n for n in todo if n == LAST], ["--no-deps"])):
            if group:
                print("venv: installing " + " ".join(group), file=sys.stderr)
                # The installed torch is named again, so that nothing in the second step replaces it.
                keep = [f"{FIRST}=={wanted[FIRST]}"] if FIRST in wanted and not more else []
                subprocess.run([*pip, *more, *keep, *(f"{n}=={wanted[n]}" for n in group if n != FIRST or not keep)], check=True, stdout=sys.stderr)
        if missing():
            print(f"venv: {folder} does not hold {' '.join(missing())} as pinned in {requirements}", file=sys.stderr)
            return 1
    print(python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
