package dev.sidewinder.engine.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.KeptStates;
import dev.sidewinder.cuda.kernel.StepSequences;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.StateWrite;
import dev.sidewinder.scheduler.BatchEntry;
import java.util.List;

/// What changes from step to step, on the device at addresses that never change: written to pinned memory on the host and
/// brought over in one copy (block tables apart, see [BlockTable]). All int32:
///
/// | part         | shape             | what                                                                   |
/// |--------------|-------------------|------------------------------------------------------------------------|
/// | start        | `[sequences + 1]` | first row of each sequence                                             |
/// | position     | `[sequences]`     | position of that row                                                   |
/// | slot         | `[sequences]`     | state slot; -1: padding                                                |
/// | source       | `[sequences]`     | row of the step before whose token this one runs; -1: the host knew it |
/// | keptStart    | `[sequences + 1]` | first entry of each sequence in the next two                           |
/// | keptPosition | `[kept]`          | tokens of the sequence behind which its state is written on the way    |
/// | keptSlot     | `[kept]`          | slot that gets it                                                      |
/// | logitRow     | `[ahead + rows]`  | rows of which logits are wanted, behind those that stand ahead of all  |
/// | token        | `[rows]`          | token id; -1: padding                                                  |
///
/// Two buffers on the host take turns, so that a step may be written while the copy of the one before waits for its turn. The
/// copy of the step before that must have been made: a step is written when that one has been awaited.
final class StepTables implements AutoCloseable {

    /// The source of a token that the host has.
    static final int KNOWN = -1;

    private static final int PADDED = -1;

    /// @param rows      tokens at most
    /// @param sequences at most
    /// @param maxBlocks KV blocks of a sequence at most
    /// @param ahead     rows that may stand ahead of these in the residual stream, at most: [#follow]
    record Size(int rows, int sequences, int maxBlocks, int ahead) {

        private int start() {
            return 0;
        }

        private int position() {
            return sequences + 1;
        }

        private int slot() {
            return position() + sequences;
        }

        private int source() {
            return slot() + sequences;
        }

        private int keptStart() {
            return source() + sequences;
        }

        private int keptPosition() {
            return keptStart() + sequences + 1;
        }

        private int keptSlot() {
            return keptPosition() + kept();
        }

        /// Multiples of 128 that pieces with all rows together pass, one at the end of a block for each of them included.
        private int kept() {
            return rows / CacheShape.BLOCK_TOKENS + sequences;
        }

        /// The first one of these tables; those ahead are in front of it.
        private int logitRow() {
            return keptSlot() + kept() + ahead;
        }

        private int token() {
            return logitRow() + rows;
        }

        private long words() {
            return token() + (long) rows;
        }

        /// Device memory for tables of this size.
        long bytes() {
            return words() * Integer.BYTES + BlockTable.bytes(sequences, maxBlocks);
        }
    }

    private final Size size;
    private final long address;
    private final PinnedMemory[] hosts;
    private int turn;
    private final BlockTable blocks;
    private int rows;
    private int sequences;
    private int kept;
    private int logitRows;
    private boolean hasSources;

    /// @param memory takes [Size#bytes] of it
    StepTables(Device device, long memory, Size size) {
        this.size = size;
        this.address = memory;
        hosts = new PinnedMemory[] {device.pinned(size.words() * Integer.BYTES), device.pinned(size.words() * Integer.BYTES)};
        blocks = new BlockTable(device, memory + size.words() * Integer.BYTES, size.sequences(), size.maxBlocks());
    }

    /// Begins a step.
    void clear() {
        turn ^= 1;
        rows = 0;
        sequences = 0;
        kept = 0;
        set(size.keptStart(), 0);
        logitRows = 0;
        hasSources = false;
    }

    /// Adds the tokens of an entry.
    ///
    /// @param vocabSize ids are below it
    /// @param source    row of the step before that chooses the entry's token; [#KNOWN] when it stands there
    void add(BatchEntry entry, int vocabSize, int source) {
        if (sequences == size.sequences() || rows + entry.count() > size.rows()) {
            throw new IllegalArgumentException("a batch of more than " + size.sequences() + " sequences or " + size.rows()
                    + " tokens; this backend was planned for those");
        }
        set(size.start() + sequences, rows);
        set(size.position() + sequences, entry.from());
        set(size.slot() + sequences, entry.allocation().slot());
        set(size.source() + sequences, source);
        hasSources |= source != KNOWN;
        blocks.set(sequences, entry.allocation(), CacheShape.blocksFor(entry.from() + entry.count()));
        sequences++;
        keep(entry.writes());
        for (int i = 0; i < entry.count(); i++) {
            set(size.token() + rows++, source == KNOWN ? checked(entry.tokens()[entry.from() + i], vocabSize) : PADDED);
        }
        set(size.start() + sequences, rows);
        for (int row = rows - entry.logitRows(); row < rows; row++) {
            set(size.logitRow() + logitRows++, row);
        }
    }

    private void keep(List<StateWrite> writes) {
        for (StateWrite write : writes) {
            set(size.keptPosition() + kept, write.position());
            set(size.keptSlot() + kept, write.slot());
            kept++;
        }
        set(size.keptStart() + sequences, kept);
    }

    private static int checked(int token, int vocabSize) {
        if (token < 0 || token >= vocabSize) {
            throw new IllegalArgumentException("token " + token + "; the vocabulary has " + vocabSize);
        }
        return token;
    }

    /// Adds rows without a sequence, one each, until there are `count`.
    void pad(int count) {
        while (rows < count) {
            set(size.start() + sequences, rows);
            set(size.position() + sequences, 0);
            set(size.slot() + sequences, PADDED);
            set(size.source() + sequences, KNOWN);
            set(size.token() + rows, PADDED);
            rows++;
            sequences++;
            set(size.start() + sequences, rows);
        }
    }

    /// Says that the rows of these tables come behind others in the residual stream, of which logits are wanted too. Everything
    /// has been added.
    ///
    /// @param others rows of which logits are wanted, which are all there are ahead
    void follow(int others) {
        if (others > size.ahead()) {
            throw new IllegalArgumentException(others + " rows ahead of those of the tables; there is room for " + size.ahead());
        }
        for (int row = 0; row < others; row++) {
            set(size.logitRow() - others + row, row);
        }
        for (int i = 0; i < logitRows; i++) {
            int index = size.logitRow() + i;
            set(index, hosts[turn].segment().getAtIndex(JAVA_INT, index) + others);
        }
    }

    private void set(int index, int value) {
        hosts[turn].segment().setAtIndex(JAVA_INT, index, value);
    }

    /// Brings the step to the device.
    void upload(Stream stream) {
        stream.copyToDevice(address, hosts[turn].segment(), (size.token() + (long) rows) * Integer.BYTES);
        blocks.upload(stream);
    }

    /// Tokens of this step.
    int rows() {
        return rows;
    }

    int sequences() {
        return sequences;
    }

    /// Rows of which logits are wanted.
    int logitRows() {
        return logitRows;
    }

    /// Whether a row runs a token that the step before chooses.
    boolean hasSources() {
        return hasSources;
    }

    long tokens() {
        return at(size.token());
    }

    long slots() {
        return at(size.slot());
    }

    long sources() {
        return at(size.source());
    }

    /// The address of the wanted rows from `first` on; below 0 those ahead.
    long logitRow(int first) {
        return at(size.logitRow() + first);
    }

    /// One row each, of `count` sequences: what a decode step sees.
    Pass.Decode decode(int count) {
        var steps = new StepSequences(0, at(size.position()), at(size.slot()), blocks.address(), count, blocks.maxBlocks());
        return new Pass.Decode(steps, count, tokens());
    }

    /// What a pass over pieces of prompts sees.
    Pass.Prompt prompts() {
        var pieces = new StepSequences(at(size.start()), at(size.position()), at(size.slot()), blocks.address(), sequences,
                blocks.maxBlocks());
        return new Pass.Prompt(pieces, rows, kept(), tokens());
    }

    /// The states that pieces of prompts leave on their way.
    KeptStates kept() {
        return kept == 0 ? KeptStates.NONE : new KeptStates(at(size.keptStart()), at(size.keptPosition()), at(size.keptSlot()));
    }

    private long at(int index) {
        return address + (long) index * Integer.BYTES;
    }

    @Override
    public void close() {
        for (PinnedMemory memory : hosts) {
            memory.close();
        }
        blocks.close();
    }
}
