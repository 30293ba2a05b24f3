package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.AttentionCase.Piece;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/// A step of an [AttentionCase] on a device.
///
/// Blocks lie in random order among others that belong to nobody, and the layer between two others. Whatever is no token
/// of the case is NaN: the rest of last blocks, other blocks and layers, queries of padded rows. Block tables end in -1, as
/// do all entries of padded rows, whose positions make no sense either.
final class AttentionMemory implements AutoCloseable {

    private static final int BLOCK = KvCacheLayer.BLOCK_TOKENS;
    private static final int SPARE_BLOCKS = 3;
    /// Layers of a block: the case's is the one in the middle.
    private static final int LAYERS = 3;
    private static final int SENSELESS = 0x7f7f7f7f;
    /// Blocks are numbered from here on and the layer's offset makes up for it: every address needs 64-bit arithmetic.
    private static final int FIRST_BLOCK = 1 << 20;
    /// Columns before and behind a row's queries, so that rows are wider than what is used of them.
    private static final int MARGIN = 8;

    private final AttentionCase attention;
    private final AttentionNumbers.Sequences sequences;
    private final CheckMemory memory;
    private final KvCacheLayer cache;
    private final StepSequences step;
    private final ActivationRows queries;
    private final int blocks;

    /// Which tokens the cache holds already.
    enum Content { NONE, BEFORE_THE_STEP, OF_THE_STEP, ALL }

    /// Room for longer sequences than the case has.
    ///
    /// @param tableBlocks entries of a sequence in the block table, at least
    /// @param blocks in the cache, at least
    record Room(int tableBlocks, int blocks) {

        static final Room JUST_ENOUGH = new Room(1, 1);
    }

    AttentionMemory(Device device, AttentionCase attention, AttentionNumbers.Sequences sequences, Content held, Room room) {
        this.attention = attention;
        this.sequences = sequences;
        this.memory = new CheckMemory(device);
        AttentionShape shape = attention.shape();
        List<Piece> pieces = attention.pieces();
        int maxBlocks = Math.max(room.tableBlocks(),
                pieces.stream().mapToInt(piece -> Math.ceilDiv(piece.length(), BLOCK)).max().orElseThrow() + 1);
        int[] table = new int[pieces.size() * maxBlocks];
        Arrays.fill(table, -1);
        int used = pieces.stream().filter(piece -> !piece.padded()).mapToInt(piece -> Math.ceilDiv(piece.length(), BLOCK)).sum();
        this.blocks = Math.max(room.blocks(), used + SPARE_BLOCKS);
        List<Integer> free = new ArrayList<>();
        for (int i = 0; i < blocks; i++) {
            free.add(i);
        }
        Collections.shuffle(free, new Random(attention.seed()));
        int next = 0;
        int[] position = new int[pieces.size()];
        int[] slot = new int[pieces.size()];
        for (int s = 0; s < pieces.size(); s++) {
            Piece piece = pieces.get(s);
            slot[s] = piece.padded() ? -1 : s;
            position[s] = piece.padded() ? SENSELESS : piece.position();
            for (int b = 0; !piece.padded() && b < Math.ceilDiv(piece.length(), BLOCK); b++) {
                table[s * maxBlocks + b] = FIRST_BLOCK + free.get(next++);
            }
        }
        long layerBytes = KvCacheLayer.bytesPerBlock(attention.cache(), shape.kvHeads(), shape.headDim());
        long stride = Math.ceilDiv(LAYERS * layerBytes, KvCacheLayer.ALIGNMENT) * KvCacheLayer.ALIGNMENT;
        long offset = layerBytes / KvCacheLayer.ALIGNMENT * KvCacheLayer.ALIGNMENT;
        byte[] content = new byte[Math.toIntExact(blocks * stride)];
        Arrays.fill(content, (byte) 0xff);
        for (int s = 0; s < pieces.size() && held != Content.NONE; s++) {
            Piece piece = pieces.get(s);
            if (!piece.padded()) {
                int from = held == Content.OF_THE_STEP ? piece.position() : 0;
                int to = held == Content.BEFORE_THE_STEP ? piece.position() : piece.length();
                fill(content, piece, from, to, Arrays.copyOfRange(table, s * maxBlocks, (s + 1) * maxBlocks), stride, offset);
            }
        }
        this.cache = new KvCacheLayer(memory.upload(content), attention.cache(), stride, offset - FIRST_BLOCK * stride, shape.kvHeads(),
                shape.headDim(), attention.keyScale(), attention.valueScale());
        this.step = new StepSequences(memory.upload(attention.start()), memory.upload(position), memory.upload(slot),
                memory.upload(table), pieces.size(), maxBlocks);
        this.queries = activations(shape.queryHeads() * shape.headDim(), AttentionNumbers::queries);
    }

    /// The numbers of a token's row.
    interface RowNumbers {
        float[] of(AttentionNumbers numbers, int position);
    }

    /// Rows of the step on the device, padded ones NaN, in rows that are wider on both sides.
    ActivationRows activations(int width, RowNumbers source) {
        int stride = width + 2 * MARGIN;
        float[] rows = new float[attention.rows() * stride];
        Arrays.fill(rows, Float.NaN);
        int row = 0;
        for (Piece piece : attention.pieces()) {
            AttentionNumbers numbers = sequences.of(piece.identity());
            for (int i = 0; i < piece.count(); i++, row++) {
                if (!piece.padded()) {
                    System.arraycopy(source.of(numbers, piece.position() + i), 0, rows, row * stride + MARGIN, width);
                }
            }
        }
        long address = memory.upload(attention.queries(), rows);
        return new ActivationRows(address + (long) MARGIN * attention.queries().bytes(), attention.queries(), stride);
    }

    private void fill(byte[] content, Piece piece, int from, int to, int[] table, long stride, long offset) {
        AttentionNumbers numbers = sequences.of(piece.identity());
        for (int t = from; t < to; t++) {
            long block = (table[t / BLOCK] - FIRST_BLOCK) * stride + offset;
            put(content, block, t % BLOCK, numbers.keys(t), attention.keyScale());
            put(content, block + halfBytes(), t % BLOCK, numbers.values(t), attention.valueScale());
        }
    }

    private long halfBytes() {
        return KvCacheLayer.bytesPerBlock(attention.cache(), attention.shape().kvHeads(), attention.shape().headDim()) / 2;
    }

    private void put(byte[] content, long at, int token, float[] row, float scale) {
        int headDim = attention.shape().headDim();
        for (int i = 0; i < row.length; i++) {
            long cell = (long) (i / headDim * BLOCK + token) * headDim + i % headDim;
            switch (attention.cache()) {
                case BF16 -> {
                    short bits = SmallFloats.bf16Bits(row[i]);
                    content[Math.toIntExact(at + 2 * cell)] = (byte) bits;
                    content[Math.toIntExact(at + 2 * cell + 1)] = (byte) (bits >> 8);
                }
                case E4M3 -> content[Math.toIntExact(at + cell)] = SmallFloats.e4m3Code(row[i] / scale);
            }
        }
    }

    CheckMemory memory() {
        return memory;
    }

    KvCacheLayer cache() {
        return cache;
    }

    /// With first rows; [#decodeStep] is without.
    StepSequences step() {
        return step;
    }

    StepSequences decodeStep() {
        return new StepSequences(0, step.position(), step.slot(), step.blockTable(), step.sequences(), step.maxBlocks());
    }

    ActivationRows queries() {
        return queries;
    }

    /// Copies what another step of the same room holds to where this one's lies.
    void takeContentOf(AttentionMemory other) {
        if (other.step.maxBlocks() != step.maxBlocks() || other.step.sequences() != step.sequences() || other.blocks != blocks) {
            throw new IllegalArgumentException(other.step + " in place of " + step);
        }
        Stream stream = memory.device().stream();
        stream.copy(cache.address(), other.cache.address(), blocks * cache.blockStride());
        stream.copy(step.position(), other.step.position(), 4L * step.sequences());
        stream.copy(step.slot(), other.step.slot(), 4L * step.sequences());
        stream.copy(step.blockTable(), other.step.blockTable(), 4L * step.sequences() * step.maxBlocks());
        takeRows(queries, other.queries);
    }

    void takeRows(ActivationRows target, ActivationRows source) {
        long margin = (long) MARGIN * target.type().bytes();
        memory.device().stream().copy(target.address() - margin, source.address() - margin,
                attention.rows() * target.stride() * target.type().bytes());
    }

    /// All blocks, all layers.
    byte[] cacheContent() {
        return memory.bytes(cache.address(), Math.toIntExact(blocks * cache.blockStride()));
    }

    @Override
    public void close() {
        memory.close();
    }
}
