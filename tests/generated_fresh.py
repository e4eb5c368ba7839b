#!/usr/bin/env python3
"""What opgen derives from the op records is committed and up to date. Usage: generated_fresh.py SOURCE_DIR BUILD_DIR."""
import os
import subprocess
import sys

sys.exit(subprocess.run([os.path.join(sys.argv[2], "bin/opgen"), "--check", sys.argv[1]], check=False).returncode)
