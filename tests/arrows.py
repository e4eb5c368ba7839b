#!/usr/bin/env python3
"""Who includes whom: fails with file:line where an #include goes against cmake/folders.cmake or docs/structure.md.

Usage: arrows.py SOURCE_DIR [BUILD_DIR]. The include paths of the build stop most of this; they cannot stop a relative
include, a header of a third party in the public interface, or a second user of a library that has one home.
"""
import os
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# Libraries with one home: a prefix of the included path, and where it may stand (prefixes of src/-relative paths).
HOMES = {
    r"(oneapi/)?dnnl": ["backends/cpu/onednn/"],
    r"llvm(-c)?/": ["backends/cpu/codegen/"],
    r"spdlog/": ["base/log.cc"],
    r"(absl|grpc|grpcpp|google/protobuf)/": ["serve/grpc_transport/"],
    r"(cuda|cudnn|cublas|nvrtc)": ["backends/cuda/"],
    r"CLI/": ["tools/"],
    r"gtest/|gmock/": [],
    r"benchmark/": [],
    r"cairo": [],
}
STD_ONLY = re.compile(r"^[a-z_0-9]+(\.h)?$|^sys/[a-z]+\.h$")  # in include/tenon: the standard library only


def arrows(root):
    """{folder: folders it may include, itself among them}, from cmake/folders.cmake."""
    with open(os.path.join(root, "cmake/folders.cmake"), encoding="utf-8") as f:
        lines = re.findall(r'^\s*"([^"]+)"\s*$', f.read(), re.M)
    table = {}
    for line in lines:
        name, _, allowed = line.partition(":")
        table[name.strip()] = {name.strip(), *allowed.split()}
    return table


def folder_of(path, table):
    """The longest folder of the table that holds the src/-relative path, or None."""
    parts = path.split("/")[:-1]
    while parts:
        if "/".join(parts) in table:
            return "/".join(parts)
        parts.pop()
    return None


def cycles(table):
    """Pairs of folders that may include each other, directly or not."""
    def reach(start):
        seen, todo = set(), [start]
        while todo:
            for other in table.get(todo.pop(), ()):
                if other not in seen and other != start:
                    seen.add(other)
                    todo.append(other)
        return seen
    reached = {name: reach(name) for name in table}
    return sorted({tuple(sorted((a, b))) for a in table for b in reached[a] if a in reached.get(b, ())})


def check_file(root, path, table):
    """Yields (line, message) for one file given relative to the root."""
    public = path.startswith("include/")
    inner = path[len("src/"):] if path.startswith("src/") else None
    folder = folder_of(inner, table) if inner else None
    is_test = re.search(r"_(test|fuzz|bench)\.(cc|h)$|test_util\.h$", path) is not None
    is_main = inner is not None and inner.startswith("tools/") and path.endswith("_main.cc")
    if inner and folder is None:
        yield 1, f"src/{os.path.dirname(inner)} stands in no line of cmake/folders.cmake"
        return
    with open(os.path.join(root, path), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            kind, what = found.groups()
            if what.startswith(".") or "/../" in what:
                yield number, f'relative include "{what}": name it from src/ or include/'
                continue
            if public:
                if kind == "<" and not STD_ONLY.match(what):
                    yield number, f"<{what}> in the public interface: only the standard library and tenon/ may stand there"
                elif kind == '"' and not what.startswith("tenon/"):
                    yield number, f'"{what}" in the public interface: it may include only "tenon/..."'
                continue
            for pattern, homes in HOMES.items():
                if re.match(pattern, what) and not any(inner.startswith(h) for h in homes) and not is_test:
                    yield number, f"<{what}>: only {' '.join('src/' + h for h in homes) or 'tests, benchmarks and examples'} may include it"
            if kind == "<":
                if re.match("fmt/", what) and path.endswith(".h"):
                    yield number, f"<{what}> in a header: fmt stands in .cc files only"
                continue
            if not what.startswith("tenon/"):
                target = folder_of(what, table)
                if target is None:
                    if not os.path.exists(os.path.join(root, "tests", what)) or not is_test:
                        yield number, f'"{what}" is in no folder of cmake/folders.cmake: third parties are included with <>'
                elif target not in table[folder] and not is_test and not is_main:
                    yield number, f"{folder} may not include {target} (cmake/folders.cmake): \"{what}\""


def main():
    root = os.path.realpath(sys.argv[1])
    table = arrows(root)
    bad = [f"cmake/folders.cmake:1: {a} and {b} may include each other" for a, b in cycles(table)]
    count = 0
    for top in ("include", "src"):
        for where, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith((".h", ".cc", ".cu", ".cuh", ".inc")):
                    path = os.path.relpath(os.path.join(where, name), root)
                    count += 1
                    bad += [f"{path}:{number}: {message}" for number, message in check_file(root, path, table)]
    print("\n".join(bad) or f"{count} files, {len(table)} folders, no include against the arrows")
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main())
