#!/usr/bin/env python3
"""Words that do not belong in the tree: paths of one machine, hosts of package registries, promises without a home.

Usage: words.py SOURCE_DIR [BUILD_DIR]. Every text file of the tree is read; binary files and goldens are passed over.
A line of a test that must hold such a word carries the mark `words-ok`.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "habits"))
import tree  # noqa: E402

RULES = [
    (r"(?<![\w./-])/(work|root|home/\w+|Users/\w+)/", "a path of one machine"),
    (r"\b(pypi\.org|files\.pythonhosted\.org|registry\.npmjs\.org|crates\.io/api|deb\.debian\.org|proxy\.golang\.org)\b",
     "a host of a package registry: the tool's own configuration names it"),
    (r"\b(TODO|FIXME|XXX|HACK)\b", "a promise in the code: do it, or describe what holds now"),
    (r"(?i)\b(coding agent|language model wrote|this session|the session's|workplace)\b", "about how the project is made, not about the project"),
    (r"<<<<<<< |>>>>>>> ", "a conflict marker"),
]
BINARY = (".npz", ".npy", ".png", ".ico", ".onnx", ".tflite", ".pb", ".h5", ".keras", ".pt", ".pt2", ".safetensors", ".gz", ".zip", ".bin")
SELF = "tests/words.py"


def main():
    root = os.path.realpath(sys.argv[1])
    bad, count = [], 0
    for path in tree.files(root):
        full = os.path.join(root, path)
        if path.endswith(BINARY) or path == SELF:
            continue
        with open(full, "rb") as f:
            data = f.read()
        if b"\0" in data[:4096]:
            continue
        count += 1
        for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
            if "words-ok" in line:
                continue
            for pattern, why in RULES:
                found = re.search(pattern, line)
                if found:
                    bad.append(f"{path}:{number}: '{found.group(0)}': {why}")
    print("\n".join(bad) or f"{count} files, no word that does not belong")
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main())
