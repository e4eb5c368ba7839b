#!/usr/bin/env python3
"""The installed library serves a project outside the tree: install, find_package(Tenon), build, run.

Usage: consumer.py SOURCE_DIR BUILD_DIR. Also checks that the installed prefix can move (no path of the build tree in
its CMake files) and that every public header compiles alone.
"""
import os
import re
import subprocess
import sys
import tempfile


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode:
        print("failed:", " ".join(command), "\n", done.stdout[-4000:], done.stderr[-4000:])
        sys.exit(1)
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
        for header in headers:
            run(compiler, "-std=c++20", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror", "-fsyntax-only", "-x", "c++",
                "-I", os.path.join(prefix, "include"), "-", input=f"#include <{header}>\n")
        out = os.path.join(work, "build")
        run("cmake", "-S", os.path.join(source, "tests/consumer"), "-B", out, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
            f"-DCMAKE_CXX_COMPILER={compiler}", f"-DCMAKE_CXX_FLAGS={' '.join(flags)}", "-DCMAKE_BUILD_TYPE=Release")
        run("cmake", "--build", out)
        said = run(os.path.join(out, "consumer"))
        print(f"{len(headers)} public headers compile alone; the consumer said: {said.strip()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
