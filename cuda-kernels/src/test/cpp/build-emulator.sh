#!/bin/sh
# Compiles the emulator and, for it, every kernel family: libcuda.so.1 and one x86-64 library per .cu file.
#
#   build-emulator.sh KERNELS OUTPUT WORK
#
# KERNELS is src/main/cuda; the emulator and the kernels of its own tests lie beside this script. OUTPUT gets
# libcuda.so.1, a stand-in for cuBLAS, and FAMILY.so. Only what is older than a file it was made from, or than this script, is
# compiled again.
set -eu

# Two compilers at a time: small machines have two cores.
compilers=2

here=$(CDPATH='' cd "$(dirname "$0")" && pwd -P)

die() {
    echo "build-emulator: $*" >&2
    exit 1
}

# Kernels. -ffp-contract=off: an operation rounds where it is written, so results do not depend on which products g++
# contracts (nvcc contracts others); sources that need a fused operation say __fmaf_rn. No strict aliasing, as in nvcc.
# Symbols are hidden and not unique, so that families that share templates share no shared memory. tools/mutate-kernels sets a
# lower optimisation: it compiles each family many times and runs it once.
kernel_flags="-x c++ -std=c++17 -O${SIDEWINDER_EMULATOR_OPTIMIZATION:-3} -march=x86-64-v3 -ffp-contract=off -fno-math-errno -fno-strict-aliasing
    -fPIC -shared -fvisibility=hidden -fno-gnu-unique -Wall -Wno-unknown-pragmas -Wno-unused-variable
    -Wno-unused-but-set-variable -Wl,-z,defs"
runtime_flags='-std=c++17 -O2 -Wall -Wextra -fPIC -fvisibility=hidden -pthread'

# ---- one file: build-emulator.sh --runtime SOURCE OBJECT, or --kernels KERNELS SOURCE OUTPUT WORK --------------------------

case ${1:-} in
    --runtime)
        # shellcheck disable=SC2086  # lists of options, here and below
        g++ $runtime_flags -c -o "$3.new" "$2" || exit 1  # and not 255, at which xargs would end without waiting for the others
        mv "$3.new" "$3"
        exit 0
        ;;
    --kernels)
        family=$(basename "$3" .cu)
        rm -f "$4/$family.so"
        g++ $kernel_flags -ffile-prefix-map="$(dirname "$3")/=" -I "$here/emulator" -I "$2" -MMD -MF "$5/$family.needs" \
            -o "$4/.$family.new" "$3" -L "$4" -l:libcuda.so.1 || exit 1
        mv "$4/.$family.new" "$4/$family.so"
        exit 0
        ;;
esac

[ $# -eq 3 ] || die "usage: build-emulator.sh KERNELS OUTPUT WORK"
kernels=$1
output=$2
work=$3

command -v g++ >/dev/null || die "there is no g++, which compiles the CUDA kernels for the emulator that tests them
(Debian: apt install g++). To build without these tests: mvn -Demulator.skip=true"
[ "$(uname -sm)" = 'Linux x86_64' ] || die "the emulator runs on Linux on x86-64; to build without it: mvn -Demulator.skip=true"

mkdir -p "$output" "$work"

# Another compiler or other flags: everything again.
compiler="$(g++ --version | head -n 1) $kernel_flags $runtime_flags"
if [ "$(cat "$work/compiler" 2>/dev/null || true)" != "$compiler" ]; then
    rm -f "$work"/*.o "$output"/*.so "$output/libcuda.so.1"
fi

# Whether a product is missing or older than one of the files behind it.
is_stale() {
    product=$1
    shift
    [ ! -f "$product" ] || [ -n "$(find "$@" -newer "$product" 2>/dev/null)" ]
}

stale=
for source in "$here"/emulator/*.cpp; do
    if is_stale "$work/$(basename "$source" .cpp).o" "$source" "$here"/emulator/*.h "$0"; then
        stale="$stale$source
"
    fi
done
for object in "$work"/*.o; do
    [ -f "$here/emulator/$(basename "$object" .o).cpp" ] || rm -f "$object"
done
if [ -n "$stale" ] || [ ! -f "$output/libcuda.so.1" ]; then
    printf '%s' "$stale" | xargs -r -P "$compilers" -I '{}' sh -c 'sh "$0" --runtime "$1" "$2/$(basename "$1" .cpp).o"' \
        "$0" '{}' "$work" || die "the emulator does not compile; see above"
    # The soname is what lets the dynamic linker take this library for the driver.
    g++ -shared -pthread -Wl,-soname,libcuda.so.1 -Wl,-z,defs -Wl,-Bsymbolic -o "$work/libcuda.new" "$work"/*.o -ldl \
        || die "the emulator does not link; see above"
    mv "$work/libcuda.new" "$output/libcuda.so.1"
fi

# Two names for one stand-in of cuBLAS. Only the old one is found by the versions that JCublas asks for.
for version in 12 13; do
    library=$output/libcublas.so.$version
    if is_stale "$library" "$here"/cublas/* "$0"; then
        versions=
        [ $version = 13 ] || versions="-Wl,--version-script=$here/cublas/versions_12.map"
        # shellcheck disable=SC2086
        g++ $runtime_flags -shared -Wl,-soname,libcublas.so.$version $versions -Wl,-z,defs \
            -DSTAND_IN_VERSION=${version}0000 -o "$work/libcublas.new" "$here/cublas/cublas_stand_in.cpp" \
            -L "$output" -l:libcuda.so.1 || die "the stand-in for cuBLAS does not compile; see above"
        mv "$work/libcublas.new" "$library"
    fi
done

# Whether a kernel library is missing or older than this script or one of the files that g++ read for it.
is_stale_library() {
    [ -f "$1" ] && [ -f "$2" ] || return 0
    newer=$(sed '1s/^[^:]*://; s/\\$//' "$2" | xargs sh -c 'find "$@" -newer "$0"' "$1" "$0" 2>&1) || return 0
    [ -n "$newer" ]
}

stale=
for source in "$kernels"/*.cu "$here"/kernels/*.cu; do
    [ -f "$source" ] || continue
    family=$(basename "$source" .cu)
    if is_stale_library "$output/$family.so" "$work/$family.needs"; then
        stale="$stale$source
"
    fi
done
for library in "$output"/*.so; do
    name=$(basename "$library" .so)
    [ -f "$kernels/$name.cu" ] || [ -f "$here/kernels/$name.cu" ] || rm -f "$library"
done
if [ -n "$stale" ]; then
    echo "compiling for the emulator: $(printf '%s' "$stale" | wc -l) kernel families"
    printf '%s' "$stale" | xargs -P "$compilers" -I '{}' sh "$0" --kernels "$kernels" '{}' "$output" "$work" \
        || die "a kernel family does not compile with g++; see above"
fi
printf '%s\n' "$compiler" >"$work/compiler"
