#!/bin/sh
# Writes generated_stubs.cpp: an entry point for every driver symbol that JCuda's native library imports and that
# driver_*.cpp does not define. Run it again when JCuda's version changes or a call is emulated.
#
#   generate-stubs.sh libJCudaDriver-VERSION-linux-x86_64.so >generated_stubs.cpp
set -eu
export LC_ALL=C
here=$(dirname "$0")
imports=$(mktemp)
defined=$(mktemp)
trap 'rm -f "$imports" "$defined"' EXIT
nm -D --undefined-only "$1" | awk '$2 ~ /^cu[A-Z]/ { print $2 }' | sort -u >"$imports"
sed -n 's/^DRIVER_CALL \(cu[A-Za-z0-9_]*\)(.*/\1/p' "$here"/driver_*.cpp | sort -u >"$defined"

cat <<TEXT
// Made by generate-stubs.sh from $(basename "$1"): do not edit.
//
// A symbol that is missing when JCuda calls it ends the process without a word. These fail with CUDA_ERROR_NOT_SUPPORTED.

extern "C" int sidewinder_emulator_not_supported(const char* call);

#define NOT_SUPPORTED(name) \\
    extern "C" __attribute__((visibility("default"))) int name() { return sidewinder_emulator_not_supported(#name); }

TEXT
comm -23 "$imports" "$defined" | sed 's/.*/NOT_SUPPORTED(&)/'
