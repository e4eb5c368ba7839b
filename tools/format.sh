#!/usr/bin/env bash
# Formats every C++ file that git tracks (or would track) with clang-format 19, but for generated ones, which their
# generator lays out. `--check` changes nothing and fails with
# the list of files that are not formatted.
set -e -u -o pipefail
cd "$(dirname "$0")/.."
clang_format=${CLANG_FORMAT:-clang-format-19}
command -v "$clang_format" >/dev/null || { echo "format.sh: no $clang_format here; run 'make setup-dev'" >&2; exit 2; }
# What opgen writes is left as it is.
files() {
  git ls-files -co --exclude-standard -z -- '*.h' '*.cc' '*.cu' '*.cuh' ':!include/tenon/ops.h' ':!include/tenon/ops/*' \
    ':!src/eager/generated/*' ':!src/ir/op_names.h'
}
if [ "${1:-}" = --check ]; then
  bad=$(files | xargs -0 -r -P "$(nproc)" -n 16 "$clang_format" --dry-run 2>&1 | sed -n 's/^\([^:]*\):.*code should be clang-formatted.*/\1/p' | sort -u)
  if [ -n "$bad" ]; then
    printf 'not formatted (run "make format"):\n%s\n' "$bad" >&2
    exit 1
  fi
  echo "format: $(files | tr -cd '\0' | wc -c) files are formatted"
else
  files | xargs -0 -r -P "$(nproc)" -n 16 "$clang_format" -i
fi
