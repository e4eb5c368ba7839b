"""The files of the tree, for the checks of the habits."""
import os
import subprocess


def files(root):
    """Paths relative to the root: what git tracks or would track; without git, everything but hidden, built and made files."""
    try:
        done = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        done = None
    if done is not None and done.returncode == 0:
        return sorted(p for p in done.stdout.splitlines() if os.path.isfile(os.path.join(root, p)))
    found = []
    for where, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f in (".ci",) or not (f.startswith((".", "build")) or f in ("out", "__pycache__"))]
        found += [os.path.relpath(os.path.join(where, n), root) for n in names if not n.endswith(".pyc")]
    return sorted(found)
