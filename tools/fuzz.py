#!/usr/bin/env python3
"""Runs the fuzz targets of build-fuzz/bin, several at a time, and fails when one finds something.

  tools/fuzz.py [--build DIR] [--seconds S] [--jobs N] [TARGET ...]

Each target x_fuzz starts from the seeds of tests/seeds/x/ (committed, small) and, where the test data is there
(TENON_TEST_DATA), from the folders or files that tests/seeds/x.txt names in it, one glob a line. New inputs go to
out/fuzz/x/corpus, findings to out/fuzz/x/. Memory is bounded to 2 GiB, one input to 10 s.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys

SEED_BYTES = 1 << 18  # a larger file teaches a fuzzer nothing and slows it down


def seeds(root, name, folder):
    stem = name.removesuffix("_fuzz")
    chosen = glob.glob(os.path.join(root, "tests/seeds", stem, "*"))
    listing = os.path.join(root, "tests/seeds", stem + ".txt")
    data = os.environ.get("TENON_TEST_DATA", "")
    if data and os.path.exists(listing):
        with open(listing, encoding="utf-8") as f:
            for line in f.read().split():
                chosen += glob.glob(os.path.join(data, line), recursive=True)
    os.makedirs(folder, exist_ok=True)
    count = 0
    for path in sorted(chosen):
        if os.path.isfile(path) and os.path.getsize(path) <= SEED_BYTES:
            shutil.copy(path, os.path.join(folder, f"seed{count:05}"))
            count += 1
    return count


def main():
    root = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(root, "build-fuzz"))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("targets", nargs="*")
    args = parser.parse_args()
    programs = sorted(glob.glob(os.path.join(args.build, "bin", "*_fuzz")))
    if args.targets:
        programs = [p for p in programs if os.path.basename(p) in args.targets]
    if not programs:
        print("fuzz: no target was built")
        return 1

    def run(program):
        name = os.path.basename(program)
        out = os.path.join(root, "out/fuzz", name.removesuffix("_fuzz"))
        count = seeds(root, name, os.path.join(out, "corpus"))
        command = [program, f"-max_total_time={args.seconds}", "-rss_limit_mb=2048", "-timeout=10", "-print_final_stats=1",
                   f"-artifact_prefix={out}/", os.path.join(out, "corpus")]
        env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=env, check=False)
        with open(os.path.join(out, "log"), "w", encoding="utf-8") as f:
            f.write(done.stdout + done.stderr)
        units = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
        print(f"fuzz: {name}: {units.group(1) if units else '?'} inputs from {count} seeds, {'ok' if done.returncode == 0 else 'FOUND something, see ' + out}", flush=True)
        if done.returncode:
            print("\n".join(done.stderr.splitlines()[-40:]), flush=True)
        return done.returncode

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        failed = sum(code != 0 for code in pool.map(run, programs))
    print(f"fuzz: {len(programs)} targets, {args.seconds} s each, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
