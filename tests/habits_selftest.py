#!/usr/bin/env python3
"""The checks of the habits can fail: each is run on a small tree with one fault and must name its file and line."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
FOLDERS = 'set(TENON_ARROWS\n  "base"\n  "tensor: base"\n  "backends/cpu: tensor base"\n)\n'
CLEAN = {"src/base/a.h": "#pragma once\n", "src/tensor/b.cc": '#include "base/a.h"\n#include <vector>\n', "include/tenon/c.h": "#include <string>\n",
         "src/backends/cpu/onednn/d.cc": "#include <oneapi/dnnl/dnnl.hpp>\n", "README.md": "Hello.\n"}
# (script, a file, its text, what the report must contain)
FAULTS = [
    ("arrows.py", "src/base/up.cc", '\n#include "tensor/b.h"\n', "src/base/up.cc:2: base may not include tensor"),
    ("arrows.py", "src/base/rel.cc", '#include "../tensor/b.h"\n', "src/base/rel.cc:1: relative include"),
    ("arrows.py", "src/new/x.cc", "int x;\n", "src/new/x.cc:1: src/new stands in no line"),
    ("arrows.py", "src/tensor/n.cc", "#include <dnnl.hpp>\n", "src/tensor/n.cc:1: <dnnl.hpp>: only src/backends/cpu/onednn/"),
    ("arrows.py", "src/base/l.cc", "#include <spdlog/spdlog.h>\n", "src/base/l.cc:1: <spdlog/spdlog.h>: only src/base/log.cc"),
    ("arrows.py", "src/base/f.h", "#include <fmt/core.h>\n", "src/base/f.h:1: <fmt/core.h> in a header"),
    ("arrows.py", "include/tenon/p.h", "#include <fmt/core.h>\n", "include/tenon/p.h:1: <fmt/core.h> in the public interface"),
    ("arrows.py", "include/tenon/p.h", '#include "base/a.h"\n', 'include/tenon/p.h:1: "base/a.h" in the public interface'),
    ("arrows.py", "cmake/folders.cmake", FOLDERS.replace('"base"', '"base: tensor"'), "cmake/folders.cmake:1: base and tensor may include each other"),
    ("file_sizes.py", "src/base/long.cc", "int x;\n" * 801, "src/base/long.cc:800: 801 lines"),
    ("file_sizes.py", "include/tenon/long.h", "int x;\n" * 400, "include/tenon/long.h:400: 400 lines"),
    ("words.py", "docs/a.md", "see\n" + "/wo" + "rk/main\n", "docs/a.md:2:"),
    ("words.py", "src/base/t.cc", "// TO" + "DO later\n", "src/base/t.cc:1:"),
]


def run(script, files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)) or root, exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                f.write(text)
        done = subprocess.run([sys.executable, os.path.join(HERE, script), root], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def main():
    clean = {"cmake/folders.cmake": FOLDERS, **CLEAN}
    bad = []
    for script in ("arrows.py", "file_sizes.py", "words.py"):
        code, said = run(script, clean)
        if code:
            bad.append(f"{script} fails on a clean tree:\n{said}")
    for script, path, text, expected in FAULTS:
        code, said = run(script, {**clean, path: text})
        if code != 1 or expected not in said:
            bad.append(f"{script} with the fault in {path}: code {code}, expected 1 and '{expected}', got:\n{said}")
    print("\n".join(bad) or f"{len(FAULTS)} faults found, 3 clean runs")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
