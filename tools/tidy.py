#!/usr/bin/env python3
"""clang-tidy over a part of the tree, in parallel, with the warnings of .clang-tidy as errors.

  tools/tidy.py [--build DIR] [--all | --part I/N [--only-part]] [--seconds S] [FILE ...]

Without FILE, --all or --part it checks the files that differ from `main` (or from the last commit on main itself).
--part I/N checks those plus the I-th of N fixed parts of the tree: a file belongs to the part that the hash of its path
names, so the parts stay the same from run to run and N runs cover everything but the tests, which only --all and a
change bring in. It says which part it checked and how
many files it left out. --seconds stops starting new files after that time; what is left is reported, not passed over in
silence.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
import time

from commands import compile_commands

TESTS = re.compile(r"(^|/)tests/|_(test|fuzz)\.cc$")


def git(*args):
    done = subprocess.run(["git", *args], capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else []


def changed():
    base = "main" if git("rev-parse", "--verify", "-q", "main") and git("rev-parse", "main") != git("rev-parse", "HEAD") else "HEAD~1"
    return set(git("diff", "--name-only", "--diff-filter=AM", base)) | set(git("ls-files", "-o", "--exclude-standard"))


def part_of(path, parts):
    return int(hashlib.sha256(path.encode()).hexdigest(), 16) % parts


def own_database(build):
    """The build's commands without its precompiled headers (which are g++'s): every file must include what it needs."""
    commands = compile_commands(build)
    for entry in commands:
        entry["command"] = re.sub(r" -Winvalid-pch| -include \S+/cmake_pch\.hxx", "", entry["command"])
    commands = [e for e in commands if not e["file"].endswith("/cmake_pch.hxx.cxx")]
    os.makedirs(os.path.join(build, "tidy"), exist_ok=True)
    with open(os.path.join(build, "tidy", "compile_commands.json"), "w", encoding="utf-8") as f:
        json.dump(commands, f)
    return commands


def main():
    root = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))
    os.chdir(root)
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--part", default="")
    parser.add_argument("--only-part", action="store_true", help="the part without the changed files")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    tidy = os.environ.get("CLANG_TIDY", "clang-tidy-19")
    database = own_database(args.build)
    known = sorted({os.path.relpath(os.path.realpath(e["file"]), root) for e in database})
    known = [k for k in known if not k.startswith("..") and not k.startswith(args.build) and "/generated/" not in k]
    if args.files:
        chosen = [k for k in known if k in set(args.files)]
    elif args.all:
        chosen = known
    else:
        diff = changed()
        chosen = [] if args.only_part else [k for k in known if k in diff]
        if args.part:
            index, parts = (int(x) for x in args.part.split("/"))
            chosen += [k for k in known if k not in diff and not TESTS.search(k) and part_of(k, parts) == index % parts]
    start = time.monotonic()
    failed, left = [], []

    def check(path):
        if args.seconds and time.monotonic() - start > args.seconds:
            left.append(path)
            return
        done = subprocess.run([tidy, "--quiet", "--extra-arg=-Wno-unknown-warning-option", "--extra-arg=-Wno-deprecated-declarations", "--extra-arg=-Wno-unknown-pragmas", "-p", os.path.join(args.build, "tidy"), path], capture_output=True, text=True, check=False)
        if done.returncode:
            failed.append(path)
            print("\n".join(line for line in done.stdout.splitlines() if re.search(r"(error|warning): ", line)) or done.stderr, flush=True)

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(check, chosen))
    what = "all files" if args.all else f"changed files and part {args.part}" if args.part else "the named files" if args.files else "changed files"
    print(f"tidy: {len(chosen) - len(left)} of {len(known)} files checked ({what}) in {time.monotonic() - start:.0f} s, {len(failed)} failed"
          + (f"; the time limit left out {len(left)}" if left else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
