package dev.sidewinder.model.synthetic;

import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.E4m3;
import dev.sidewinder.model.checkpoint.Nvfp4;
import dev.sidewinder.model.checkpoint.Parameter;
import dev.sidewinder.model.checkpoint.SafetensorsWriter;
import dev.sidewinder.model.checkpoint.StoredTensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/// The numbers of synthetic tensors.
///
/// Counter-based: element `i` of a parameter depends on the seed, the parameter's name and `i`, and on nothing else, so
/// any piece can be made by any thread in any order. Every format stores the same numbers: those rounded to BF16, and
/// quantised from there. Safe for use by many threads.
final class RandomTensors implements SafetensorsWriter.Source {

    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /// Elements made at once; the scratch arrays stay in the first-level cache.
    private static final int RUN = 4096;

    /// 2^64 divided by the golden ratio: steps through all counters evenly.
    private static final long STEP = 0x9E37_79B9_7F4A_7C15L;

    private final long seed;
    private final Map<Distribution, ValueTable> tables = new ConcurrentHashMap<>();

    RandomTensors(long seed) {
        this.seed = seed;
    }

    @Override
    public void fill(StoredTensor tensor, long from, MemorySegment into) {
        ValueTable table = table(tensor.parameter());
        long key = key(tensor.parameter());
        switch (tensor.part()) {
            case VALUES -> {
                if (tensor.type() == DType.F32) {
                    floats(table, key, from, into);
                } else {
                    bf16(table, key, from, into);
                }
            }
            case FP8_CODES -> fp8(table, key, from, into);
            case NVFP4_CODES -> nvfp4(table, key, from, into);
            case BLOCK_SCALES -> blockScales(table, key, from, into);
            case SCALE -> into.set(FLOAT, 0, table.fp8Scale());
            case GLOBAL_SCALE -> into.set(FLOAT, 0, table.nvfp4Scale());
            case FP8_INPUT_SCALE -> into.set(FLOAT, 0, largestInput(tensor) / E4m3.MAX);
            case NVFP4_INPUT_SCALE -> into.set(FLOAT, 0, Nvfp4.globalScale(largestInput(tensor)));
        }
    }

    ValueTable table(Parameter parameter) {
        return tables.computeIfAbsent(Distribution.of(parameter), ValueTable::new);
    }

    private void bf16(ValueTable table, long key, long fromByte, MemorySegment into) {
        short[] values = table.bf16();
        short[] run = new short[RUN];
        int[] draws = new int[RUN];
        long count = into.byteSize() / Short.BYTES;
        for (long done = 0; done < count; done += RUN) {
            int length = (int) Math.min(RUN, count - done);
            draw(key, fromByte / Short.BYTES + done, draws, length);
            for (int i = 0; i < length; i++) {
                run[i] = values[draws[i]];
            }
            MemorySegment.copy(run, 0, into, SHORT, done * Short.BYTES, length);
        }
    }

    private void floats(ValueTable table, long key, long fromByte, MemorySegment into) {
        float[] run = new float[RUN];
        int[] draws = new int[RUN];
        long count = into.byteSize() / Float.BYTES;
        for (long done = 0; done < count; done += RUN) {
            int length = (int) Math.min(RUN, count - done);
            values(table, key, fromByte / Float.BYTES + done, draws, run, length);
            MemorySegment.copy(run, 0, into, FLOAT, done * Float.BYTES, length);
        }
    }

    private void fp8(ValueTable table, long key, long fromByte, MemorySegment into) {
        byte[] codes = table.fp8();
        byte[] run = new byte[RUN];
        int[] draws = new int[RUN];
        long count = into.byteSize();
        for (long done = 0; done < count; done += RUN) {
            int length = (int) Math.min(RUN, count - done);
            draw(key, fromByte + done, draws, length);
            for (int i = 0; i < length; i++) {
                run[i] = codes[draws[i]];
            }
            MemorySegment.copy(run, 0, into, ValueLayout.JAVA_BYTE, done, length);
        }
    }

    private void nvfp4(ValueTable table, long key, long fromByte, MemorySegment into) {
        float global = table.nvfp4Scale();
        float[] run = new float[RUN];
        int[] draws = new int[RUN];
        byte[] codes = new byte[RUN / 2];
        long count = into.byteSize() * 2;
        for (long done = 0; done < count; done += RUN) {
            int length = (int) Math.min(RUN, count - done);
            values(table, key, fromByte * 2 + done, draws, run, length);
            for (int block = 0; block < length; block += Nvfp4.BLOCK) {
                byte scale = Nvfp4.encodeScale(run, block, global);
                Nvfp4.encodeBlock(run, block, scale, global, codes, block / 2);
            }
            MemorySegment.copy(codes, 0, into, ValueLayout.JAVA_BYTE, done / 2, length / 2);
        }
    }

    private void blockScales(ValueTable table, long key, long fromByte, MemorySegment into) {
        float global = table.nvfp4Scale();
        float[] run = new float[RUN];
        int[] draws = new int[RUN];
        byte[] scales = new byte[RUN / Nvfp4.BLOCK];
        long count = into.byteSize() * Nvfp4.BLOCK;
        for (long done = 0; done < count; done += RUN) {
            int length = (int) Math.min(RUN, count - done);
            values(table, key, fromByte * Nvfp4.BLOCK + done, draws, run, length);
            for (int block = 0; block < length; block += Nvfp4.BLOCK) {
                scales[block / Nvfp4.BLOCK] = Nvfp4.encodeScale(run, block, global);
            }
            MemorySegment.copy(scales, 0, into, ValueLayout.JAVA_BYTE, done / Nvfp4.BLOCK, length / Nvfp4.BLOCK);
        }
    }

    private static void values(ValueTable table, long key, long from, int[] draws, float[] into, int count) {
        float[] values = table.values();
        draw(key, from, draws, count);
        for (int i = 0; i < count; i++) {
            into[i] = values[draws[i]];
        }
    }

    /// Draws 16 bits for each of the elements `[from, from + count)`; four elements share one 64-bit number.
    ///
    /// @param from a multiple of 4
    private static void draw(long key, long from, int[] into, int count) {
        long counter = key + (from >>> 2) * STEP;
        int i = 0;
        for (; i + 4 <= count; i += 4) {
            long bits = mix(counter);
            counter += STEP;
            into[i] = (int) bits & 0xFFFF;
            into[i + 1] = (int) (bits >>> 16) & 0xFFFF;
            into[i + 2] = (int) (bits >>> 32) & 0xFFFF;
            into[i + 3] = (int) (bits >>> 48);
        }
        for (long bits = mix(counter); i < count; i++) {
            into[i] = (int) bits & 0xFFFF;
            bits >>>= 16;
        }
    }

    /// The key of a parameter's stream: FNV-1a over its name, mixed with the seed.
    long key(Parameter parameter) {
        long hash = 0xCBF2_9CE4_8422_2325L;
        String name = parameter.name();
        for (int i = 0; i < name.length(); i++) {
            hash = (hash ^ name.charAt(i)) * 0x100_0000_01B3L;
        }
        return mix(hash ^ mix(seed + STEP));
    }

    /// The finaliser of SplitMix64. Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
    private static long mix(long z) {
        z = (z ^ z >>> 30) * 0xBF58_476D_1CE4_E5B9L;
        z = (z ^ z >>> 27) * 0x94D0_49BB_1331_11EBL;
        return z ^ z >>> 31;
    }

    /// The largest activation to cover: within ±8 behind a norm, up to 64 behind a squared ReLU.
    private static float largestInput(StoredTensor tensor) {
        return switch (tensor.parameter().kind()) {
            case EXPERT_DOWN, SHARED_DOWN, MLP_DOWN -> 64;
            case IN_PROJECTION, OUT_PROJECTION, QUERY, KEY, VALUE, ATTENTION_OUTPUT, EXPERT_UP, SHARED_UP, LATENT_IN,
                    LATENT_OUT, MLP_UP, HEAD, DRAFT_PROJECTION, EMBEDDING, NORM, CONV_WEIGHT, CONV_BIAS, A_LOG, SKIP,
                    TIME_STEP_BIAS, ROUTER, CORRECTION_BIAS -> 8;
        };
    }
}
