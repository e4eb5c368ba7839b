#!/usr/bin/env python3
"""Adds an op to a copy of the tree exactly as docs/add-an-op.md says: the files are those of the page. Then the op must
stand in the header, the page, the name constants, the harness and the text form, with no other edit; and a wrong golden
must fail. Only the new files are compiled: they are linked with what the build folder holds.
Usage: add_an_op.py SOURCE_DIR BUILD_DIR."""
import ast
import glob
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import types
import zipfile

SOURCE, BUILD = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
sys.path.insert(0, os.path.join(SOURCE, "tools"))
from commands import compile_commands  # noqa: E402

OP, SOURCE_FILE, GOLDEN_FILE, USER_FILE = "cube", "src/ops/cube.cc", "tools/goldens/table/cube.py", "main.cc"
COPIED = ("include", "src", "docs", "cmake", "tests/goldens", "tools/goldens")


def run(command, fails=False, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    output = done.stdout + done.stderr
    if (done.returncode != 0) != fails:
        sys.exit(f"{shlex.join(command)}\nexit status {done.returncode}, expected {'a failure' if fails else '0'}\n{output[-6000:]}")
    return output


def files_of_the_page():
    """The blocks that follow a line with nothing but a path: {path: text}."""
    with open(os.path.join(SOURCE, "docs/add-an-op.md"), encoding="utf-8") as f:
        found = dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", f.read(), re.M | re.S))
    assert set(found) == {SOURCE_FILE, GOLDEN_FILE, USER_FILE}, f"docs/add-an-op.md shows the files {sorted(found)}"
    return found


# Goldens. tools/goldens/make.py needs NumPy and PyTorch, which `make test` does without: here is the part of .npy that
# an elementwise op on floats needs. What it writes is compared with make.py below, where NumPy is there.
KINDS = {"<f2": "e", "<f4": "f", "<f8": "d"}


def read_npz(path):
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            length = struct.unpack_from("<H", data, 8)[0]
            header = ast.literal_eval(data[10:10 + length].decode("latin1"))
            kind = KINDS[header["descr"]]
            body = data[10 + length:]
            values = struct.unpack(f"<{len(body) // struct.calcsize(kind)}{kind}", body)
            arrays[name.removesuffix(".npy")] = (header["shape"], values)
    return arrays


def write_npz(path, arrays):
    with zipfile.ZipFile(path, "w") as archive:
        for name, (shape, values) in arrays.items():
            header = repr({"descr": "<f8", "fortran_order": False, "shape": shape}).encode()
            header += b" " * (-(len(header) + 11) % 64) + b"\n"
            archive.writestr(name + ".npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack(f"<{len(values)}d", *values))


def make_golden(function, samples, path, error=0.0):
    arrays = {}
    for sample in sorted(glob.glob(os.path.join(samples, OP, "*.npz"))):
        shape, values = read_npz(sample)["in0"]
        name = os.path.basename(sample).removesuffix(".npz")
        arrays[name + "/out0"] = (shape, [function(x) * (1 + error) for x in values])
    assert arrays, f"op_samples wrote nothing for {OP}"
    write_npz(path, arrays)


def golden_function(text):
    """The function of the page, by what it gives to the registry."""
    table = {}
    sys.modules["registry"] = types.SimpleNamespace(elementwise=table.update)
    exec(compile(text, GOLDEN_FILE, "exec"), {})  # pylint: disable=exec-used
    return table[OP]


class Tree:
    """The copy, its new objects, and programs of the build linked with them."""

    def __init__(self, root):
        self.root = root
        for folder in COPIED:
            shutil.copytree(os.path.join(SOURCE, folder), os.path.join(root, folder))
        self.objects = []
        self.commands = {entry["file"]: entry["command"] for entry in compile_commands(BUILD)}

    def path(self, *names):
        return os.path.join(self.root, *names)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as f:
            return f.read()

    def write(self, name, text):
        assert not os.path.exists(os.path.join(SOURCE, name)), f"{name} is already in the tree: let docs/add-an-op.md add another op"
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def compile(self, name, like):
        """With the flags of a neighbour, and the copy's headers before those of the source tree."""
        command = shlex.split(self.commands[os.path.join(SOURCE, like)])
        out = self.path(name.replace("/", "_") + ".o")
        command[command.index("-o") + 1] = out
        command[command.index("-c") + 1] = self.path(name)
        at = next(i for i, word in enumerate(command) if word.startswith("-"))
        command[at:at] = ["-I" + self.path("include"), "-I" + self.path("src")]
        run(command, cwd=BUILD)
        self.objects.append(out)

    def link(self, program, drop=None):
        """The build's program with our objects before its library, which so gives only what they lack. `drop`: an object
        of the program that ours stands for."""
        line = run(["ninja", "-t", "commands", "-s", "bin/" + program], cwd=BUILD).strip().splitlines()[-1]
        words = [word for word in shlex.split(line.removeprefix(": && ").removesuffix(" && :")) if word != drop]
        out = self.path("linked_" + program)
        words[words.index("-o") + 1] = out
        words[1:1] = self.objects
        run(words, cwd=BUILD)
        return out


def main():
    page = files_of_the_page()
    with tempfile.TemporaryDirectory() as root:
        tree = Tree(root)
        tree.write(SOURCE_FILE, page[SOURCE_FILE])
        tree.write(GOLDEN_FILE, page[GOLDEN_FILE])

        # The table, by the script that the build runs.
        run(["cmake", "-P", "cmake/op_table.cmake"], cwd=root)
        families = re.compile(r'{"(\w+)", ops::')
        with open(os.path.join(BUILD, "generated/op_table.cc"), encoding="utf-8") as built:
            known = set(families.findall(built.read()))
        added = set(families.findall(tree.read("generated/op_table.cc"))) - known
        assert added == {"cube"}, f"the table has {sorted(added)} beside what was built: build the tree first"
        tree.compile(SOURCE_FILE, "src/ops/trigonometric.cc")
        tree.compile("generated/op_table.cc", "src/ops/trigonometric.cc")

        # `make generate`: header, functions, constants, page.
        opgen = tree.link("opgen")
        stale = run([opgen, "--check", root], fails=True)
        for name in ("include/tenon/ops/cube.h", "src/eager/generated/cube.cc", "docs/ops/cube.md"):
            assert name + " is missing" in stale, f"generated_fresh does not name {name}:\n{stale}"
        run([opgen, root])
        run([opgen, "--check", root])
        assert "Tensor cube(const Tensor& x);" in tree.read("include/tenon/ops/cube.h")
        assert '#include "tenon/ops/cube.h"' in tree.read("include/tenon/ops.h")
        assert '"cube"' in tree.read("src/ir/op_names.h")
        assert "## cube\n\ny = x^3." in tree.read("docs/ops/cube.md")
        assert "(cube.md#cube)" in tree.read("docs/ops/README.md")
        tree.compile("src/eager/generated/cube.cc", "src/eager/generated/trigonometric.cc")
        print("generated: header, function, constant, page")

        # The golden, and the whole harness.
        samples, golden = tree.path("samples"), tree.path("tests/goldens/cube.npz")
        run([tree.link("op_samples"), samples])
        function = golden_function(page[GOLDEN_FILE])
        make_golden(function, samples, golden)
        check_make(tree, samples)
        goldens, environment = tree.link("goldens_test"), {**os.environ, "TENON_GOLDENS": tree.path("tests/goldens")}
        assert "[  PASSED  ] 1 test" in run([goldens, "--gtest_filter=*/cube"], env=environment)
        make_golden(function, samples, golden, error=1e-5)
        wrong = run([goldens, "--gtest_filter=*/cube"], fails=True, env=environment)
        assert "the golden is" in wrong and "cube/" in wrong, wrong
        os.remove(golden)
        assert "tools/goldens/make.py cube" in run([goldens, "--gtest_filter=*/cube"], fails=True, env=environment)
        conformance = tree.link("conformance_test")
        report = run([conformance, "--gtest_filter=*.cube:Records.*"])
        for check in ("infer", "gradient", "second_gradient", "lowering", "backends", "text", "native", "eager", "export"):
            assert re.search(rf"\[       OK \] {check}\.cube", report), f"no check {check} of cube in\n{report}"
        print("harness: passes, and a wrong or missing golden fails")

        # The text form and a user's program.
        tree.write(USER_FILE, page[USER_FILE])
        tree.compile(USER_FILE, "src/tools/opgen_main.cc")
        shown = run([tree.link("opgen", drop="CMakeFiles/opgen_command.dir/src/tools/opgen_main.cc.o")])
        for numbers in ("1, 8, 27", "3, 12, 27", "2, 9, 28"):
            assert numbers in shown, f"the program of the page prints\n{shown}"
        print("a user's program:", shown.split())


def check_make(tree, samples):
    """tools/goldens/make.py finds our golden right, where its libraries are."""
    probe = subprocess.run([sys.executable, "-c", "import numpy, scipy, torch"], capture_output=True, check=False)
    if probe.returncode != 0:
        print("tools/goldens/make.py: not run, no NumPy, SciPy and PyTorch here")
        return
    print(run([sys.executable, tree.path("tools/goldens/make.py"), "--samples", samples, "--check", OP]).strip())


main()
