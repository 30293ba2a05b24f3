#!/bin/sh
# Compiles every kernel family to one fat binary, where nvcc is found; says in one line when it is not.
#
#   build-kernels.sh SOURCES OUTPUT WORK [SKIP]
#
# OUTPUT gets FAMILY.fatbin and kernel-resources.csv (registers, spills and memory of each kernel, from the compiler's
# reports). WORK keeps what was compiled and which files the compiler read for it: a family is compiled again when one of
# those is newer, and all are when compiler or flags change. With SKIP "true" nothing is compiled, and OUTPUT stays empty.
#
# SIDEWINDER_CUDA_ARCHITECTURES and SIDEWINDER_CUDA_PORTABLE replace the lists below, for a quick build for one device.
set -eu

# Machine code for A100 (and all of 8.x), for RTX 4090 and L4, which have products in e4m3, and for H100 and H200; and two
# portable forms that a driver compiles for other and later devices. There is no machine code for sm_90 without the a:
# every device of that generation takes sm_90a. Sources need nothing newer than CUDA 12.4.
architectures=${SIDEWINDER_CUDA_ARCHITECTURES:-80 89 90a}
portable=${SIDEWINDER_CUDA_PORTABLE:-80 90}

# Two compilers at a time: each takes a few hundred megabytes, and small machines have two cores.
compilers=2

die() {
    echo "build-kernels: $*" >&2
    exit 1
}

find_nvcc() {
    # SIDEWINDER_CUDA_FOLDER is for the tests of this script
    for candidate in "$(command -v nvcc 2>/dev/null || true)" "${CUDA_HOME:-/nowhere}/bin/nvcc" \
        "${SIDEWINDER_CUDA_FOLDER:-/usr/local/cuda}/bin/nvcc"; do
        if [ -n "$candidate" ] && [ -x "$candidate" ]; then
            printf '%s\n' "$candidate"
            return
        fi
    done
}

flags() {
    printf '%s ' -std=c++17 -O3 -fatbin -Xptxas -v
    for architecture in $architectures; do
        printf '%s ' "-gencode arch=compute_$architecture,code=sm_$architecture"
    done
    for architecture in $portable; do
        printf '%s ' "-gencode arch=compute_$architecture,code=compute_$architecture"
    done
}

# ---- one family: build-kernels.sh --one NVCC SOURCE WORK ---------------------------------------------------------------

if [ "${1:-}" = --one ]; then
    [ ! -f "$4/failed" ] || exit 1  # another family does not compile: no need to go on
    family=$4/$(basename "$3" .cu)
    rm -f "$family.fatbin"
    : >"$family.began"  # what is edited while this compiles is compiled again
    # shellcheck disable=SC2046  # a list of options
    if ! "$2" $(flags) -MMD -MF "$family.needs" -o "$family.new" "$3" >"$family.log" 2>&1; then
        grep -v '^ptxas info' "$family.log" >&2 || true
        rm -f "$family.log" "$family.new" "$family.needs" "$family.began"
        : >"$4/failed"
        exit 1  # and not 255, at which xargs would end without the compilers that still run
    fi
    grep -i warning "$family.log" >&2 || true
    touch -r "$family.began" "$family.new"
    mv "$family.new" "$family.fatbin"
    rm -f "$family.began"
    exit 0
fi

[ $# -eq 3 ] || [ $# -eq 4 ] || die "usage: build-kernels.sh SOURCES OUTPUT WORK [SKIP]"
sources=$1
output=$2
work=$3
skip=${4:-false}
report=$output/kernel-resources.csv
mkdir -p "$output" "$work"

nvcc=$(find_nvcc)
why=
[ -n "$nvcc" ] || why='no nvcc in PATH, CUDA_HOME or /usr/local/cuda'
[ "$skip" != true ] || why='kernels.skip is set'
if [ -n "$why" ]; then
    rm -f "$output"/*.fatbin "$report"
    echo "$why: this build has no CUDA kernels"
    exit 0
fi

# Another compiler or other flags: everything again.
compiler="$nvcc $(flags) $("$nvcc" --version | tail -n 1)"
if [ "$(cat "$work/compiler" 2>/dev/null || true)" != "$compiler" ]; then
    rm -f "$work"/*.fatbin
    printf '%s\n' "$compiler" >"$work/compiler"
fi

ls "$sources"/*.cu >/dev/null 2>&1 || die "no .cu files in $sources"
# The largest first: the last one keeps one processor waiting for the shortest time.
families=$(cd "$sources" && ls -S -- *.cu)

# Whether the image of a family is missing, or older than one of the files that nvcc read for it. Where those are not known
# any header may be among them.
is_stale() {
    [ -f "$1.fatbin" ] && [ -f "$1.log" ] || return 0
    if [ -f "$1.needs" ]; then
        # a rule for make: TARGET : FILE \ ... . A file that is gone makes find fail.
        newer=$(sed '1s/^[^:]*://; s/\\$//' "$1.needs" | xargs sh -c 'find "$@" -newer "$0"' "$1.fatbin" 2>&1) || return 0
    else
        newer=$(find "$2" "$sources"/*.cuh -newer "$1.fatbin" 2>/dev/null) || true
    fi
    [ -n "$newer" ]
}

stale=
for source in $families; do
    if is_stale "$work/$(basename "$source" .cu)" "$sources/$source"; then
        stale="$stale$sources/$source
"
    fi
done

if [ -n "$stale" ]; then
    echo "compiling kernels with $nvcc: $(printf '%s' "$stale" | wc -l) of $(printf '%s\n' "$families" | wc -l) families"
    rm -f "$work/failed"
    printf '%s' "$stale" | xargs -P "$compilers" -I '{}' sh "$0" --one "$nvcc" '{}' "$work" \
        || die "a kernel family does not compile; see above"
fi

# Copies of what belongs there, and nothing else.
for image in "$output"/*.fatbin; do
    [ -f "$sources/$(basename "$image" .fatbin).cu" ] || rm -f "$image"
done
for source in $families; do
    image=$(basename "$source" .cu).fatbin
    cmp -s "$work/$image" "$output/$image" || cp -p "$work/$image" "$output/$image"
done

# ---- the report -----------------------------------------------------------------------------------------------------

{
    echo 'family,kernel,architecture,registers,spill_store_bytes,spill_load_bytes,stack_bytes,static_shared_bytes'
    for source in "$sources"/*.cu; do
        family=$(basename "$source" .cu)
        awk -v family="$family" '
            /Compiling entry function/ {
                split($0, quoted, "\047")
                kernel = quoted[2]
                architecture = quoted[4]
            }
            /bytes stack frame/ { stack = $1; stores = $5; loads = $9 }
            /Used [0-9]+ registers/ {
                shared = 0
                registers = 0
                for (i = 2; i <= NF; i++) {
                    if ($i ~ /^registers/) registers = $(i - 1)
                    if ($i ~ /^smem/) shared = $(i - 2)
                }
                print family "," kernel "," architecture "," registers "," stores "," loads "," stack "," shared
            }' "$work/$family.log"
    done
} >"$work/report.new"
cmp -s "$work/report.new" "$report" || cp "$work/report.new" "$report"
rm -f "$work/report.new"
