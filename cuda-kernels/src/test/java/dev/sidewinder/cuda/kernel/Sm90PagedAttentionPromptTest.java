package dev.sidewinder.cuda.kernel;

import static dev.sidewinder.cuda.kernel.AttentionCase.padded;
import static dev.sidewinder.cuda.kernel.AttentionCase.piece;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.ActivationRows.Type;
import dev.sidewinder.cuda.kernel.AttentionCase.Piece;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.extension.RegisterExtension;

/// Attention of prompts on warpgroup instructions: the checks of [PagedAttentionTest] for the shape that they take.
class Sm90PagedAttentionPromptTest {

    private static final long SEED = 11;
    private static final int HEAD_DIM = 128;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private PagedAttentionCheck check() {
        return new PagedAttentionCheck(emulator.device(), emulator.kernels(), Sm90PagedAttentionPrompt.on(emulator.kernels()));
    }

    @Test
    void attendsInPiecesOfEverySizeAndStart() {
        int[] counts = {1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 300};
        int[] starts = {0, 128, 256, 77, 1};
        for (CacheType cache : CacheType.values()) {
            for (int i = 0; i < counts.length; i++) {
                check().checkPrompt(AttentionCase.of(new AttentionShape(1, 1, HEAD_DIM), cache, i % 2 == 0 ? Type.F32 : Type.BF16,
                        SEED + i, piece(0, starts[i % starts.length], counts[i])));
            }
        }
    }

    @Test
    void attendsInPiecesOfSeveralPromptsWithPaddedRowsInBetween() {
        for (CacheType cache : CacheType.values()) {
            check().checkPrompt(AttentionCase.of(new AttentionShape(32, 2, HEAD_DIM), cache, Type.BF16, SEED, padded(3), piece(0, 0, 9),
                    piece(1, 300, 1), padded(1), piece(2, 120, 9), piece(3, 0, 0), piece(4, 127, 3), padded(2)));
        }
    }

    /// Rows of one warpgroup and of both, and tiles that do not divide 128 tokens.
    @Test
    void attendsWithEveryNumberOfQueryHeads() {
        int[] groups = {2, 4, 8, 16, 20, 33, 64, 100, 128};
        for (int i = 0; i < groups.length; i++) {
            check().checkPrompt(AttentionCase.of(new AttentionShape(2 * groups[i], 2, HEAD_DIM), CacheType.values()[i % 2], Type.BF16,
                    SEED + i, piece(0, 126, 4), piece(1, 0, 2)));
        }
    }

    @Test
    void aPromptHasTheSameBitsHoweverItIsCutAndWhateverElseRuns() {
        List<Piece> others = List.of(piece(1, 0, 17), padded(5), piece(2, 300, 40));
        check().checkPromptInvariance(AttentionCase.of(new AttentionShape(2, 1, HEAD_DIM), CacheType.BF16, Type.BF16, SEED, piece(0, 0, 300)),
                others, 128);
        check().checkPromptInvariance(AttentionCase.of(new AttentionShape(5, 1, HEAD_DIM), CacheType.E4M3, Type.F32, SEED, piece(0, 128, 150)),
                others, 128);
    }

    /// Pieces of any length, not only those that end on the grid: a token's bits are those it has in a longer piece.
    @Test
    void aTokenHasTheSameBitsInPiecesOfEveryLength() {
        int[][] cuts = {{1, 5}, {3, 8}};
        for (CacheType cache : CacheType.values()) {
            AttentionCase prompt = AttentionCase.of(new AttentionShape(16, 1, HEAD_DIM), cache, Type.BF16, SEED, piece(0, 128, 12));
            for (int tokens : cuts[cache.ordinal()]) {
                check().checkPromptInvariance(prompt, List.of(padded(1)), tokens);
            }
        }
    }

    // ---- long contexts, in segments of a block so that they are quick ------------------------------------------------------------

    /// Whole walks; every segment for itself; few slots, so that parts are several segments long; few blocks.
    private static final List<PromptSplit> SPLITS = List.of(new PromptSplit(1, 0, 128), new PromptSplit(40, 300, 128),
            new PromptSplit(40, 24, 128), new PromptSplit(5, 11, 128), new PromptSplit(3, 300, 128));

    @Test
    void aPieceBehindALongContextHasTheSameBitsHoweverTheContextIsSplit() {
        int[] lengths = {1, 127, 128, 129, 128 * 4 + 1, 128 * 7, 128 * 8 + 64};
        for (int i = 0; i < lengths.length; i++) {
            int from = Math.max(0, lengths[i] - 3 - i % 3);
            check().checkPromptSplits(AttentionCase.of(new AttentionShape(16, 1, HEAD_DIM), CacheType.values()[i % 2], Type.BF16, SEED + i,
                    piece(0, from, lengths[i] - from)), SPLITS);
        }
    }

    @Test
    void piecesThatCrossSegmentsHaveTheSameBitsHoweverContextsAreSplit() {
        int[] counts = {127, 129};
        for (int i = 0; i < counts.length; i++) {
            check().checkPromptSplits(AttentionCase.of(new AttentionShape(2, 2, HEAD_DIM), CacheType.values()[i % 2], Type.BF16, SEED,
                    padded(2), piece(0, 200, counts[i]), piece(1, 128 * 5 - 1, 3), padded(1), piece(2, 0, 1), piece(3, 0, 0)),
                    SPLITS.subList(0, 3));
        }
    }

    /// Segments of several blocks: each but the last is walked with one softmax.
    @Test
    void segmentsOfSeveralBlocksAreWalkedWhole() {
        List<PromptSplit> splits = List.of(new PromptSplit(1, 0, 256), new PromptSplit(9, 40, 256), new PromptSplit(9, 4, 256));
        for (CacheType cache : CacheType.values()) {
            check().checkPromptSplits(AttentionCase.of(new AttentionShape(16, 1, HEAD_DIM), cache, Type.F32, SEED,
                    piece(0, 508, 9), piece(1, 256 * 3 - 2, 2)), splits);
        }
    }

    /// A minute: every edge of real segments, and pieces that cross them.
    @Test
    @EnabledIfSystemProperty(named = "sidewinder.long", matches = "true")
    void attendsAtEveryEdgeOfRealSegments() {
        int segment = PromptSplit.SEGMENT_TOKENS;
        List<PromptSplit> splits = List.of(new PromptSplit(1, 0, segment), new PromptSplit(64, 512, segment), new PromptSplit(64, 12, segment));
        int[] edges = {-128, -1, 0, 1, 128};
        for (int i = 0; i < edges.length; i++) {
            for (int segments : new int[] {1, 2}) {
                check().checkPromptSplits(AttentionCase.of(new AttentionShape(8, 1, HEAD_DIM), CacheType.values()[(i + segments) % 2],
                        Type.BF16, SEED + i, piece(0, segments * segment + edges[i] - 6, 6)), splits);
            }
        }
        for (int count : new int[] {299, 302}) {
            check().checkPromptSplits(AttentionCase.of(new AttentionShape(2, 1, HEAD_DIM), CacheType.values()[count % 2], Type.BF16, SEED,
                    piece(0, segment - 300, count), padded(1), piece(1, 3, 2)), splits);
        }
    }

    // ---- borders ------------------------------------------------------------------------------------------------------------------

    @Test
    void onlyTheHeadDimThatTheyAreMadeForIsTheirs() {
        assertThat(Sm90PagedAttentionPrompt.takes(new AttentionShape(32, 2, 128))).isTrue();
        assertThat(Sm90PagedAttentionPrompt.takes(new AttentionShape(128, 1, 128))).isTrue();
        assertThat(Sm90PagedAttentionPrompt.takes(new AttentionShape(129, 1, 128))).isFalse();
        assertThat(Sm90PagedAttentionPrompt.takes(new AttentionShape(32, 2, 64))).isFalse();
        assertThat(Sm90PagedAttentionPrompt.takes(new AttentionShape(32, 2, 80))).isFalse();
        assertThat(Sm90PagedAttentionPrompt.takes(new AttentionShape(32, 2, 256))).isFalse();
        check().checkPrompt(AttentionCase.of(new AttentionShape(4, 2, 64), CacheType.BF16, Type.BF16, SEED, piece(0, 120, 12)));
    }

    @Test
    void aBlockFitsTheDevice() {
        assertThat(Sm90PagedAttentionPrompt.sharedBytes(CacheType.BF16)).isEqualTo(224 << 10);
        assertThat(Sm90PagedAttentionPrompt.sharedBytes(CacheType.E4M3)).isEqualTo(208 << 10);
    }

    /// The shape decides, and the launcher: two of them give two results, each the same again.
    @Test
    void aLauncherWithoutThemStaysWithThePortableKernels() {
        var shape = new AttentionShape(8, 1, HEAD_DIM);
        PagedAttention with = new PagedAttention(emulator.kernels(), Sm90PagedAttentionPrompt.on(emulator.kernels()));
        PagedAttention without = new PagedAttention(emulator.kernels());
        int multiprocessors = emulator.device().info().multiprocessors();
        assertThat(with.promptSplit(shape, CacheType.BF16, 1, 1, 64).workers()).isEqualTo(multiprocessors);
        assertThat(without.promptSplit(shape, CacheType.BF16, 1, 1, 64).workers()).isEqualTo(2 * multiprocessors);
    }
}
