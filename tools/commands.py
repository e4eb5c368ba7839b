"""The compile command of every source file of a build."""
import json
import os
import re


def compile_commands(build):
    """The entries of BUILD/compile_commands.json. Files that the build compiles together (cmake/quick_build.cmake) have one
    entry there; here each has its own, as if it were compiled alone."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        entries = json.load(f)
    out = []
    for entry in entries:
        joined = entry["file"]
        if not re.search(r"/Unity/unity_\d+_cxx\.cxx$", joined):
            out.append(entry)
            continue
        with open(joined, encoding="utf-8") as f:
            for file in re.findall(r'^#include "(.+)"$', f.read(), re.MULTILINE):
                out.append({**entry, "file": file, "command": entry["command"].replace(f"-c {joined}", f"-c {file}")})
    return out
