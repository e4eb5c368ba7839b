#!/usr/bin/env python3
"""What must not compile, and the message that says why. Each case is compiled with what a user would include; a case
that compiles, or fails for another reason, fails the test. With g++, and with clang++-19 where it is installed.
Usage: traps.py SOURCE_DIR BUILD_DIR."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

INCLUDE = os.path.join(os.path.abspath(sys.argv[1]), "include")
FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror", "-I" + INCLUDE]
PRELUDE = """#include <tenon/compile.h>
#include <tenon/formats.h>
#include <tenon/keras.h>
using namespace tenon;
namespace layers = tenon::keras::layers;
struct Mine : keras::LayerImpl {};
struct Mixed { Tensor t = {}; int n = 0; };
inline keras::Sequential model({layers::Dense(1)});
inline Tensor x = zeros({2});
inline Variable w(x);
inline Shape shape({1});
"""
# (the body of a function, what the message contains: a regular expression). An empty one: the body must compile, so that
# a broken prelude cannot make the others pass.
CASES = [
    ("(void)model(x); (void)save(model.module(), \"a.tenon\"); keras::Adam adam; w.assign(2 * x);", ""),
    # A failure that nobody looks at.
    ("save(model.module(), \"a.tenon\");", "nodiscard"),
    ("load(\"a.tenon\");", "nodiscard"),
    ("[]() -> Status { return Status(); }();", "nodiscard"),
    ("Status s; if (s) {}", "could not convert|not contextually convertible"),
    # Silent conversions.
    ("Tensor t = 1.0;", "conversion from|no viable conversion"),
    ("bool b = x == x; (void)b;", "cannot convert|no viable conversion"),
    ("double d = x; (void)d;", "cannot convert|no viable conversion"),
    ("int n = shape[0]; (void)n;", "cannot convert|no viable conversion"),
    ("std::int64_t n = Dim::any() * 2; (void)n;", "cannot convert|no viable conversion"),
    ("w = x;", "no match for|no viable overloaded"),
    ("(void)(x + \"a\");", "no match for|invalid operands"),
    # What would dangle.
    ("auto d = model.predict(x).data<float>(); (void)d;", "deleted"),
    ("auto d = Literal(shape).data<float>(); (void)d;", "deleted"),
    # Two names are no name: std::string(\"a\", \"bc\") would read between two literals.
    ("keras::CompileOptions o{.loss = {\"a\", \"bc\"}}; (void)o;", "could not convert|no matching|no viable|cannot convert"),
    ("keras::CompileOptions o{.optimizer = {\"a\", \"bc\"}}; (void)o;", "could not convert|no matching|no viable|cannot convert"),
    ("layers::Dense d(8, {.activation = {\"relu\", \"tanh\"}});", "could not convert|no matching|no viable|cannot convert"),
    # Options stand in Keras's order, and only there are they read.
    ("keras::CompileOptions o{.loss = \"mse\", .optimizer = \"adam\"}; (void)o;", "designator order|reorder-init-list"),
    ("keras::AdamOptions a{.learning_rat = 1e-3}; (void)a;", "learning_rat"),
    # Objects behind handles are not copied, handles are never empty.
    ("Mine a; Mine b = a; (void)b;", "deleted"),
    ("keras::Layer none;", "no matching function|no matching constructor|no default constructor"),
    ("GradientTape a, b = a;", "deleted"),
    # A class that cannot be made from its config cannot be registered.
    ("keras::register_layer<Mine>(\"Mine\");", "from_config|constraints not satisfied|no matching"),
    # Structures: the message says what to write.
    ("(void)function([](auto t) { return t; });", "give the arguments types"),
    ("(void)function([](const Tensor&) { return 1; });", "returns Tensors, or containers"),
    ("(void)function([](const Tensor& t, const Tensor* p) { return p ? *p : t; })(x, &x);", "an argument is made of Tensors, a number, an enum or a string"),
    ("(void)flatten(Mixed());", "each member is a Tensor"),
    ("(void)data::Dataset(x).map([](const Tensor&) { return 1; });", "the body returns Tensors"),
    ("data::Dataset<int> d(1);", "constraints not satisfied|constraint"),
]


def check(compiler, folder):
    prelude = os.path.join(folder, "prelude.h")
    with open(prelude, "w", encoding="utf-8") as f:
        f.write(PRELUDE)
    clang = "clang" in compiler
    compiled = prelude + (".pch" if clang else ".gch")
    subprocess.run([compiler, *FLAGS, "-x", "c++-header", prelude, "-o", compiled], check=True)
    include = ["-include-pch", compiled] if clang else ["-include", prelude]
    wrong = 0
    for number, (body, message) in enumerate(CASES):
        source = os.path.join(folder, f"case{number}.cc")
        with open(source, "w", encoding="utf-8") as f:
            f.write("void user();\nvoid user() { " + body + " }\n")
        done = subprocess.run([compiler, *FLAGS, *include, "-fsyntax-only", source], capture_output=True, text=True, check=False)
        errors = "\n".join(line for line in done.stderr.splitlines() if re.search(r"error|note", line))
        if done.returncode == 0 and message:
            print(f"{compiler}: compiles, and must not: {body}")
            wrong += 1
        elif done.returncode != 0 and (not message or not re.search(message, errors)):
            print(f"{compiler}: {body}\nexpected {message or 'no error'}, got\n{done.stderr[:1500]}")
            wrong += 1
    print(f"{compiler}: {len(CASES)} cases, {wrong} wrong")
    return wrong


def main():
    failures = 0
    for compiler in ("g++", "clang++-19"):
        if shutil.which(compiler) is None:
            print(f"{compiler}: not installed, not tried")
            continue
        with tempfile.TemporaryDirectory() as folder:
            failures += check(compiler, folder)
    return 1 if failures else 0


sys.exit(main())
