#!/usr/bin/env python3
"""File sizes: lines per folder, the median and the 90th percentile; fails above the hard stop.

Usage: file_sizes.py SOURCE_DIR [BUILD_DIR]. Budgets (docs/structure.md): a file has at most 800 lines, a public header
fewer than 400. Median (150) and 90th percentile (400) of the C++ files are checked as a whole. Generated files are
exempt: they say so in their first line.
"""
import os
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "habits"))
import tree  # noqa: E402

HARD, HEADER, MEDIAN, P90 = 800, 400, 150, 400
CODE = (".h", ".cc", ".cu", ".cuh")
KINDS = CODE + (".py", ".sh", ".cmake", ".proto")


def folder(path):
    parts = path.split("/")[:-1]
    if parts and parts[0] == "src":
        return "/".join(parts[:3] if len(parts) > 2 and parts[1] in ("backends", "formats", "serve") else parts[:2])
    return "/".join(parts[:2]) if parts and parts[0] == "include" else parts[0] if parts else "."


def main():
    root = os.path.realpath(sys.argv[1])
    lines, bad, per_folder = {}, [], {}
    for path in tree.files(root):
        if not path.endswith(KINDS):
            continue
        with open(os.path.join(root, path), encoding="utf-8") as f:
            text = f.read().split("\n")
        if "generated" in text[0].lower() and "do not edit" in " ".join(text[:2]).lower():
            continue
        lines[path] = len(text) - 1
        per_folder.setdefault(folder(path), []).append(len(text) - 1)
        if lines[path] > HARD:
            bad.append(f"{path}:{HARD}: {lines[path]} lines; the hard stop is {HARD}: split it")
        elif path.startswith("include/") and lines[path] >= HEADER:
            bad.append(f"{path}:{HEADER}: {lines[path]} lines; a public header has fewer than {HEADER}")
    code = sorted(n for p, n in lines.items() if p.endswith(CODE))
    median, p90 = statistics.median(code), code[min(len(code) - 1, int(len(code) * 0.9))]
    print(f"{'folder':32}{'files':>6}{'lines':>8}{'longest':>9}")
    for name, sizes in sorted(per_folder.items()):
        print(f"{name:32}{len(sizes):6}{sum(sizes):8}{max(sizes):9}")
    print(f"{'all':32}{len(lines):6}{sum(lines.values()):8}{max(lines.values()):9}")
    print(f"C++: median {median:.0f} (budget {MEDIAN}), 90th percentile {p90} (budget {P90})")
    if median > MEDIAN:
        bad.append(f"the median of {median:.0f} lines is above {MEDIAN}")
    if p90 > P90:
        bad.append(f"the 90th percentile of {p90} lines is above {P90}")
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
