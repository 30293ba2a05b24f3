package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;

/// Launches `kv_write.cu`: puts the keys and values of a step's rows into the paged cache, rounded to its number format.
///
/// A thread takes 8 elements where head_dim is a multiple of 8, and 1 otherwise. The result is the same. Asynchronous:
/// buffers stay alive until the stream has passed.
public final class KvWrite {

    private static final String FAMILY = "kv_write";
    private static final int THREADS = 128;
    private static final int VECTOR = 8;
    /// Elements of an activation that one load takes: 16 bytes of fp32 twice, 16 of bf16 once.
    private static final int F32_LOAD = 4;

    private final Kernel bf16;
    private final Kernel e4m3;
    private final Kernel plainBf16;
    private final Kernel plainE4m3;

    public KvWrite(Kernels kernels) {
        bf16 = kernels.get(FAMILY, "kv_write_bf16");
        e4m3 = kernels.get(FAMILY, "kv_write_e4m3");
        plainBf16 = kernels.get(FAMILY, "kv_write_plain_bf16");
        plainE4m3 = kernels.get(FAMILY, "kv_write_plain_e4m3");
    }

    /// Writes the first `rows` rows, as far as they belong to sequences with a slot.
    ///
    /// @param keys `[rows, kvHeads * headDim]`
    /// @param values the same, in the same number format
    public void write(Stream stream, KvCacheLayer cache, ActivationRows keys, ActivationRows values, StepSequences step, int rows) {
        if (rows < 1 || (step.start() == 0 && rows != step.sequences())) {
            throw new IllegalArgumentException("keys and values of %d rows of %d sequences; without first rows there is one row each"
                    .formatted(rows, step.sequences()));
        }
        if (keys.type() != values.type()) {
            throw new IllegalArgumentException("keys are " + keys.type() + " and values " + values.type() + "; both are one type");
        }
        int width = cache.headDim() % VECTOR == 0 ? VECTOR : 1;
        if (width == VECTOR) {
            int load = keys.type() == ActivationRows.Type.F32 ? F32_LOAD : VECTOR;
            keys.checkAligned("keys", load);
            values.checkAligned("values", load);
        }
        long threads = (long) rows * 2 * cache.kvHeads() * (cache.headDim() / width);
        kernel(cache.type(), width).arguments()
                .pointer(cache.address()).pointer(keys.address()).pointer(values.address())
                .pointer(step.start()).pointer(step.position()).pointer(step.slot()).pointer(step.blockTable())
                .int64(cache.blockStride()).int64(cache.layerOffset()).int64(keys.stride()).int64(values.stride())
                .int32(rows).int32(step.sequences()).int32(step.maxBlocks()).int32(cache.kvHeads()).int32(cache.headDim())
                .int32(keys.isFloat()).float32(cache.keyScale()).float32(cache.valueScale())
                .launchOverlapping(stream, LaunchShape.of(Math.toIntExact(Math.ceilDiv(threads, THREADS)), THREADS));
    }

    private Kernel kernel(CacheType type, int width) {
        return switch (type) {
            case BF16 -> width == VECTOR ? bf16 : plainBf16;
            case E4M3 -> width == VECTOR ? e4m3 : plainE4m3;
        };
    }
}
