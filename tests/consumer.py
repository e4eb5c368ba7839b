#!/usr/bin/env python3
"""The installed library serves a project outside the tree: install, find_package(Tenon), build, run.

Usage: consumer.py SOURCE_DIR BUILD_DIR. Also checks that the installed prefix can move (no path of the build tree in
its CMake files) and that every public header compiles alone.
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode:
        raise RuntimeError(f"failed: {' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def cached(build, name):
    with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as f:
        found = re.search(rf"^{name}:[A-Z]+=(.*)$", f.read(), re.M)
    return found.group(1) if found else ""


def main():
    source, build = (os.path.realpath(p) for p in sys.argv[1:3])
    compiler = cached(build, "CMAKE_CXX_COMPILER")
    sanitize = cached(build, "TENON_SANITIZE")
    flags = [f"-fsanitize={sanitize}"] if sanitize else []
    with tempfile.TemporaryDirectory() as work:
        first, prefix = os.path.join(work, "first"), os.path.join(work, "moved")
        run("cmake", "--install", build, "--prefix", first)
        os.rename(first, prefix)
        for where, _, names in os.walk(prefix):
            for name in (n for n in names if n.endswith(".cmake")):
                with open(os.path.join(where, name), encoding="utf-8") as f:
                    text = f.read()
                for path in (source, build, first):
                    if path + "/" in text:
                        print(f"{os.path.relpath(os.path.join(where, name), prefix)} names {path}: the prefix cannot move")
                        return 1
        headers = sorted(os.path.relpath(os.path.join(w, n), os.path.join(prefix, "include"))
                         for w, _, names in os.walk(os.path.join(prefix, "include")) for n in names)
        def alone(header):
            run(compiler, "-std=c++20", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror", "-fsyntax-only", "-x", "c++",
                "-I", os.path.join(prefix, "include"), "-", input="".join(f"#include <{h}>\n" for h in header))

        # The generated headers of the ops are all alike: the first one alone, then all of them in one.
        generated = [h for h in headers if h.startswith("tenon/ops/")]
        groups = [[h] for h in headers if h not in generated[1:]] + [generated]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(alone, groups))
        out = os.path.join(work, "build")
        run("cmake", "-S", os.path.join(source, "tests/consumer"), "-B", out, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
            f"-DCMAKE_CXX_COMPILER={compiler}", f"-DCMAKE_CXX_FLAGS={' '.join(flags)}", "-DCMAKE_BUILD_TYPE=Release")
        run("cmake", "--build", out)
        said = run(os.path.join(out, "consumer"))
        print(f"{len(headers)} public headers compile alone; the consumer said: {said.strip()}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as error:
        print(error)
        sys.exit(1)
