#!/bin/sh
# Gets a prebuilt llama.cpp (npm packages) into work/, takes the C headers that match it out of the same
# package, and compiles the two small programs here. Needs node+npm, git, gcc, python3 with numpy.
set -eu
cd "$(dirname "$0")"
V="${PEER_VERSION:-3.22.1}"          # node-llama-cpp 3.22.1 carries llama.cpp v0.5.0
mkdir -p work/npm && cd work/npm
[ -f package.json ] || npm init -y >/dev/null 2>&1
NODE_LLAMA_CPP_SKIP_DOWNLOAD=true npm install --ignore-scripts --no-audit --no-fund "node-llama-cpp@$V" "@node-llama-cpp/linux-x64@$V"
cd ..
rm -rf libs include headers.git
ln -s npm/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64 libs
git clone -q --bare npm/node_modules/node-llama-cpp/llama/gitRelease.bundle headers.git
mkdir include
git --git-dir=headers.git archive HEAD include ggml/include | tar x -C include
rm -rf headers.git
LLAMA=$(ls libs/libllama.v*.so libs/libllama.so 2>/dev/null | head -1)
GGML=$(ls libs/libggml.v*.so libs/libggml.so 2>/dev/null | head -1)
gcc -O2 -Wall -Wno-unused-function -Iinclude/include -Iinclude/ggml/include ../peerbench.c -o peerbench \
    "$LLAMA" "$GGML" libs/libggml-base.so -lm -Wl,-rpath,'$ORIGIN/libs'
gcc -O3 -march=native -Wno-unused-function ../membw.c -o membw -lpthread
PY=${PYTHON:-python3}
"$PY" -c 'import numpy' 2>/dev/null || {
    echo "$PY has no numpy: install it (Debian: apt-get install -y python3-numpy), or name another python with PYTHON=" >&2
    exit 1
}
echo "ready: llama.cpp $(sed -n 's/.*"tag": *"\([^"]*\)".*/\1/p' npm/node_modules/node-llama-cpp/llama/llama.cpp.info.json)"
