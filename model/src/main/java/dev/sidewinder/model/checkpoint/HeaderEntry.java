package dev.sidewinder.model.checkpoint;

/// One tensor as a safetensors header describes it: bytes `[begin, end)` of the data section.
record HeaderEntry(String name, DType type, long[] shape, long begin, long end) {

    long bytes() {
        return end - begin;
    }
}
