package dev.sidewinder.server.cli;

import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.MemoryAdmission;
import dev.sidewinder.kvcache.MemoryWish;
import dev.sidewinder.kvcache.SequenceMemory;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.TokenSource;
import java.util.List;

/// Runs one prompt through a backend, without an engine around it.
final class PromptPass {

    /// Tokens in one piece; a multiple of the grid.
    static final int PIECE_TOKENS = 4 * CacheShape.BLOCK_TOKENS;

    /// Takes the logits of one token.
    @FunctionalInterface
    interface RowReader {
        /// @param position of the token in the prompt
        /// @param values   its logits are `values[offset, offset + vocabSize)`; valid during the call
        void row(int position, float[] values, int offset) throws Exception;
    }

    private PromptPass() {}

    /// @param all whether every token's logits are wanted, or only the last one's
    static void run(Backend backend, int[] tokens, boolean all, RowReader reader) throws Exception {
        var cache = FrameCache.plain(backend.memory().frames());
        if (!(cache.admit(MemoryWish.alone(tokens.length)) instanceof MemoryAdmission.Granted(SequenceMemory memory))) {
            throw new IllegalArgumentException("there is no room for a prompt of " + tokens.length + " tokens in " + backend.memory());
        }
        try (memory) {
            long step = 0;
            for (int from = 0; from < tokens.length; from += PIECE_TOKENS) {
                int count = Math.min(PIECE_TOKENS, tokens.length - from);
                boolean last = from + count == tokens.length;
                memory.reserve(from, from + count);
                LogitRows rows = all ? LogitRows.ALL : last ? LogitRows.LAST : LogitRows.NONE;
                var entry = new BatchEntry(0, tokens, from, count, TokenSource.PROMPT, rows, memory);
                Logits logits = backend.forward(new Batch(++step, List.of(entry), cache.launch(step)));
                cache.stepCompleted(step);
                for (int row = 0; row < logits.rows(); row++) {
                    reader.row(from + count - logits.rows() + row, logits.values(), logits.offset(row));
                }
            }
        }
    }
}
