package dev.sidewinder.cuda.kernel;

import static dev.sidewinder.cuda.kernel.AttentionCase.decoding;
import static dev.sidewinder.cuda.kernel.AttentionCase.padded;
import static dev.sidewinder.cuda.kernel.AttentionCase.piece;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.ActivationRows.Type;
import dev.sidewinder.cuda.kernel.AttentionCase.Piece;
import dev.sidewinder.cuda.kernel.AttentionPlan.DecodeSplit;
import dev.sidewinder.cuda.kernel.PagedAttention.Result;
import dev.sidewinder.cuda.kernel.PromptSplit.PromptWorkspace;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.extension.RegisterExtension;

class PagedAttentionTest {

    private static final long SEED = 7;
    private static final DecodeSplit BALANCED = new DecodeSplit(SplitPolicy.BALANCED, 5);
    private static final SplitPolicy.Invariant SMALL_PARTS = new SplitPolicy.Invariant(1, 64);

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private PagedAttentionCheck check() {
        return new PagedAttentionCheck(emulator.device(), emulator.kernels());
    }

    // ---- decode ----------------------------------------------------------------------------------------------------

    @Test
    void decodesEveryContextUpToTwoBlocksAndOne() {
        AttentionShape shape = new AttentionShape(2, 1, 64);
        List<Piece> pieces = IntStream.rangeClosed(1, 257).mapToObj(length -> piece(length % 3, length - 1, 1)).toList();
        for (CacheType cache : CacheType.values()) {
            check().checkDecode(AttentionCase.of(shape, cache, Type.BF16, SEED).with(pieces), BALANCED);
        }
    }

    @Test
    void decodesRaggedBatchesWithPaddedRowsInBetween() {
        for (CacheType cache : CacheType.values()) {
            AttentionCase step = decoding(new AttentionShape(32, 2, 128), cache, Type.BF16, SEED, 0, 127, 128, 0, 0, 129, 1, 1025, 0);
            check().checkDecode(step, BALANCED);
            check().checkDecode(step, new DecodeSplit(SplitPolicy.BALANCED, 40));
            check().checkDecode(step, new DecodeSplit(SMALL_PARTS, 3));
        }
    }

    @Test
    void decodesEveryNumberOfQueryHeadsAndEveryHeadDim() {
        for (int headDim : new int[] {64, 80, 128}) {
            for (int group : new int[] {1, 2, 4, 8, 16, 20, 33}) {
                for (CacheType cache : CacheType.values()) {
                    check().checkDecode(decoding(new AttentionShape(2 * group, 2, headDim), cache, group % 2 == 0 ? Type.F32 : Type.BF16,
                            SEED + group, 130, 0, 255, 3), BALANCED);
                }
            }
        }
    }

    @Test
    void mergesMorePartsThanAGroupHas() {
        for (int length : new int[] {8 * 128, 8 * 128 + 1, 9 * 128, 17 * 128 + 5}) {
            check().checkDecode(decoding(new AttentionShape(4, 1, 64), CacheType.E4M3, Type.BF16, SEED, 40, length, 0),
                    new DecodeSplit(SMALL_PARTS, 7));
        }
        // Long enough that the balanced plan finds more than a group of parts worth it, too.
        check().checkDecode(decoding(new AttentionShape(2, 1, 64), CacheType.BF16, Type.BF16, SEED, 64 * 128 - 3),
                new DecodeSplit(SplitPolicy.BALANCED, 64));
    }

    @Test
    void aWorkerContinuesOneContextAndBeginsTheNext() {
        // 60 blocks among 7 workers: the third has the end of the first context and the beginning of the second
        check().checkDecode(decoding(new AttentionShape(2, 1, 64), CacheType.BF16, Type.BF16, SEED, 2560, 2560, 2560),
                new DecodeSplit(SplitPolicy.BALANCED, 7));
    }

    @Test
    void mergesTheSameWhicheverPartArrivesLast() {
        check().checkManyLaunches(decoding(new AttentionShape(2, 1, 64), CacheType.E4M3, Type.BF16, SEED, 10 * 128),
                new DecodeSplit(SMALL_PARTS, 10), 40);
    }

    @Test
    void decodesALongContext() {
        check().checkDecode(decoding(new AttentionShape(4, 1, 64), CacheType.E4M3, Type.BF16, SEED, 20_011, 7),
                new DecodeSplit(SplitPolicy.BALANCED, 24));
        check().checkDecode(decoding(new AttentionShape(4, 1, 64), CacheType.BF16, Type.BF16, SEED, 20_011),
                new DecodeSplit(SplitPolicy.INVARIANT, 24));
    }

    @Test
    void decodesNothingWhereAllRowsArePadded() {
        check().checkDecode(decoding(new AttentionShape(4, 2, 64), CacheType.BF16, Type.BF16, SEED, 0, 0, 0), BALANCED);
        check().checkDecode(decoding(new AttentionShape(4, 2, 64), CacheType.BF16, Type.BF16, SEED, 0), new DecodeSplit(SMALL_PARTS, 2));
    }

    @Test
    void aDecodedRowHasTheSameBitsAloneUnderTheInvariantPolicy() {
        check().checkDecodeInvariance(decoding(new AttentionShape(16, 2, 64), CacheType.E4M3, Type.BF16, SEED,
                1, 0, 128, 700, 129, 1300), new SplitPolicy.Invariant(2, 4), 11, 3);
        check().checkDecodeInvariance(decoding(new AttentionShape(4, 2, 80), CacheType.BF16, Type.F32, SEED, 600, 127, 0, 255),
                SMALL_PARTS, 2, 30);
    }

    @Test
    void replaysAGraphWithOtherLengthsTablesAndNumbers() {
        Random random = new Random(SEED);
        for (SplitPolicy policy : List.of(SplitPolicy.BALANCED, new SplitPolicy.Invariant(2, 8))) {
            List<AttentionCase> steps = new ArrayList<>();
            for (int replay = 0; replay < 12; replay++) {
                int[] lengths = random.ints(5, 1, 1200).map(length -> random.nextInt(4) == 0 ? 0 : length).toArray();
                steps.add(decoding(new AttentionShape(8, 2, 64), CacheType.E4M3, Type.F32, SEED, lengths));
            }
            check().checkReplays(steps, new DecodeSplit(policy, 9));
        }
    }

    // ---- prompts ---------------------------------------------------------------------------------------------------

    @Test
    void attendsInPiecesOfEverySizeAndStart() {
        int[] counts = {1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300};
        int[] starts = {0, 128, 256, 77, 1};
        for (CacheType cache : CacheType.values()) {
            for (int i = 0; i < counts.length; i++) {
                check().checkPrompt(AttentionCase.of(new AttentionShape(4, 1, 64), cache, i % 2 == 0 ? Type.F32 : Type.BF16, SEED + i,
                        piece(0, starts[i % starts.length], counts[i])));
            }
        }
    }

    @Test
    void attendsInPiecesOfSeveralPromptsWithPaddedRowsInBetween() {
        for (CacheType cache : CacheType.values()) {
            check().checkPrompt(AttentionCase.of(new AttentionShape(32, 2, 128), cache, Type.BF16, SEED,
                    padded(3), piece(0, 0, 21), piece(1, 1000, 1), padded(1), piece(2, 120, 9), piece(3, 0, 0), piece(4, 127, 3), padded(2)));
        }
    }

    @Test
    void attendsWithEveryNumberOfQueryHeadsAndEveryHeadDim() {
        for (int headDim : new int[] {64, 80, 128}) {
            for (int group : new int[] {1, 2, 4, 8, 16, 20, 100}) {
                CacheType cache = CacheType.values()[(group / 2 + headDim / 16) % 2];
                check().checkPrompt(AttentionCase.of(new AttentionShape(2 * group, 2, headDim), cache, Type.BF16, SEED + group,
                        piece(0, 126, 5), piece(1, 0, 3)));
            }
        }
    }

    @Test
    void aPromptHasTheSameBitsHoweverItIsCutAndWhateverElseRuns() {
        List<Piece> others = List.of(piece(1, 0, 17), padded(5), piece(2, 300, 40));
        check().checkPromptInvariance(AttentionCase.of(new AttentionShape(8, 2, 64), CacheType.BF16, Type.BF16, SEED, piece(0, 0, 300)),
                others, 128);
        check().checkPromptInvariance(AttentionCase.of(new AttentionShape(20, 1, 80), CacheType.E4M3, Type.F32, SEED, piece(0, 128, 150)),
                others, 128);
    }

    // ---- prompts behind long contexts, in segments of a block so that they are quick ---------------------------------------

    /// Whole walks; every segment for itself; and few slots, so that parts are several segments long.
    private static final List<PromptSplit> SPLITS = List.of(new PromptSplit(1, 0, 128), new PromptSplit(40, 300, 128),
            new PromptSplit(40, 24, 128), new PromptSplit(5, 11, 128), new PromptSplit(3, 300, 128));

    @Test
    void aPieceBehindALongContextHasTheSameBitsHoweverTheContextIsSplit() {
        int[] lengths = {1, 127, 128, 129, 256, 257, 513, 128 * 7, 128 * 8, 128 * 8 + 1, 128 * 13 + 64, 128 * 16 - 1};
        for (int i = 0; i < lengths.length; i++) {
            // a few rows: the error of the whole is a bound on many, and a sharp row may round twice to the same side
            int from = Math.max(0, lengths[i] - 6 - i % 3);
            for (CacheType cache : CacheType.values()) {
                check().checkPromptSplits(AttentionCase.of(new AttentionShape(8, 1, 64), cache, Type.BF16, SEED + i,
                        piece(0, from, lengths[i] - from)), SPLITS);
            }
        }
    }

    @Test
    void piecesThatCrossSegmentsHaveTheSameBitsHoweverContextsAreSplit() {
        int[] counts = {127, 128, 129, 1000};
        for (int i = 0; i < counts.length; i++) {
            check().checkPromptSplits(AttentionCase.of(new AttentionShape(2, 2, 64), CacheType.values()[i % 2], Type.BF16, SEED, padded(2),
                    piece(0, 200, counts[i]), piece(1, 128 * 5 - 1, 3), padded(1), piece(2, 0, 1), piece(3, 0, 0)), SPLITS.subList(0, 3));
        }
    }

    @Test
    void splitsContextsForEveryHeadDim() {
        for (int headDim : new int[] {64, 80, 128}) {
            for (CacheType cache : CacheType.values()) {
                check().checkPromptSplits(AttentionCase.of(new AttentionShape(16, 1, headDim), cache, Type.F32, SEED,
                        piece(0, 128 * 5 - 3, 9), piece(1, 128 * 2, 2)), SPLITS.subList(0, 3));
            }
        }
    }

    @Test
    void aPromptInSegmentsHasTheSameBitsHoweverItIsCutAndWhateverElseRuns() {
        check().checkPromptInvariance(AttentionCase.of(new AttentionShape(4, 2, 64), CacheType.E4M3, Type.BF16, SEED, piece(0, 256, 300)),
                List.of(piece(1, 0, 17), padded(5), piece(2, 900, 40)), 128, new PromptSplit(1, 0, 128), new PromptSplit(9, 60, 128));
    }

    @Test
    void attendsOverMoreThanASegmentOfTheRealLength() {
        check().checkPromptSplits(AttentionCase.of(new AttentionShape(1, 1, 64), CacheType.E4M3, Type.BF16, SEED,
                piece(0, PromptSplit.SEGMENT_TOKENS - 1, 2)),
                List.of(new PromptSplit(1, 0, PromptSplit.SEGMENT_TOKENS), new PromptSplit(64, 512, PromptSplit.SEGMENT_TOKENS)));
    }

    /// Two minutes: every edge of real segments, pieces of every size, every head_dim.
    @Test
    @EnabledIfSystemProperty(named = "sidewinder.long", matches = "true")
    void attendsAtEveryEdgeOfRealSegments() {
        int segment = PromptSplit.SEGMENT_TOKENS;
        List<PromptSplit> splits = List.of(new PromptSplit(1, 0, segment), new PromptSplit(64, 512, segment), new PromptSplit(64, 12, segment));
        int[] edges = {-128, -64, -1, 0, 1, 64, 128};
        int[] headDims = {64, 80, 128};
        for (int i = 0; i < edges.length; i++) {
            for (int segments : new int[] {1, 2, 3}) {
                int length = segments * segment + edges[i];
                check().checkPromptSplits(AttentionCase.of(new AttentionShape(8, 1, headDims[i % 3]), CacheType.values()[segments % 2],
                        Type.BF16, SEED + i, piece(0, length - 6, 6)), splits);
            }
        }
        for (int count : new int[] {127, 128, 129, 1000}) {
            check().checkPromptSplits(AttentionCase.of(new AttentionShape(2, 1, 64), CacheType.E4M3, Type.BF16, SEED,
                    piece(0, segment - 300, count), padded(1), piece(1, 3, 2)), splits);
        }
    }

    // ---- plain -----------------------------------------------------------------------------------------------------

    @Test
    void attendsWithOtherHeadDimsPlainly() {
        for (int headDim : new int[] {1, 8, 20, 32, 96, 256}) {
            for (CacheType cache : CacheType.values()) {
                AttentionShape shape = new AttentionShape(6, 2, headDim);
                check().checkPrompt(AttentionCase.of(shape, cache, Type.BF16, SEED, piece(0, 0, 5), padded(3), piece(1, 125, 6)));
                check().checkDecode(decoding(shape, cache, Type.F32, SEED, 1, 0, 129, 300), BALANCED);
            }
        }
        check().checkPrompt(AttentionCase.of(new AttentionShape(130, 1, 64), CacheType.BF16, Type.BF16, SEED, piece(0, 3, 2)));
    }

    @Test
    void plainAttentionHasTheSameBitsHoweverItIsCut() {
        AttentionShape shape = new AttentionShape(4, 2, 32);
        check().checkPromptInvariance(AttentionCase.of(shape, CacheType.BF16, Type.BF16, SEED, piece(0, 0, 150)),
                List.of(piece(1, 0, 2), padded(1)), 7);
        check().checkDecodeInvariance(decoding(shape, CacheType.E4M3, Type.BF16, SEED, 129, 0, 400), SplitPolicy.BALANCED, 3, 1);
    }

    // ---- borders ---------------------------------------------------------------------------------------------------

    @Test
    void refusesWhatItCannotAttendTo() {
        assertThatThrownBy(() -> new AttentionShape(30, 4, 64)).hasMessageContaining("30 query heads over 4");
        assertThatThrownBy(() -> new AttentionShape(4, 4, 257)).hasMessageContaining("head_dim 257");
        assertThatThrownBy(() -> new Result(0, 0, 1)).hasMessageContaining("without a result");
        assertThatThrownBy(() -> new Result(256, 0, Float.NaN)).hasMessageContaining("NaN");
        PagedAttention attention = new PagedAttention(emulator.kernels());
        AttentionShape shape = new AttentionShape(4, 2, 64);
        KvCacheLayer cache = KvCacheLayer.bf16(4096, 1 << 20, 0, 2, 64);
        ActivationRows queries = ActivationRows.bf16(4096, 256);
        StepSequences step = new StepSequences(256, 256, 256, 256, 3, 8192);
        assertThatThrownBy(() -> attention.decode(emulator.device().stream(), Result.toBf16(4096),
                new PagedAttention.Workspace(4096, 4096, 9), queries, cache, shape, step, 4096, BALANCED, 1))
                .hasMessageContaining("may leave 10 partial results; there is room for 9");
        assertThatThrownBy(() -> new PromptSplit(1, 0, 192)).hasMessageContaining("segments of 192 tokens");
        assertThatThrownBy(() -> new PromptSplit(0, 0, 128)).hasMessageContaining("0 workers");
        PromptSplit split = new PromptSplit(1, 0, 128);
        PromptWorkspace room = new PromptWorkspace(4096, 4096, 1 << 24);
        assertThatThrownBy(() -> attention.prompt(emulator.device().stream(), Result.toBf16(4096), new PromptWorkspace(4096, 4096, 8191),
                queries, cache, shape, step, 4096, split, 5, 1)).hasMessageContaining("up to 8192 blocks; there is room for 8191");
        assertThatThrownBy(() -> attention.prompt(emulator.device().stream(), Result.toBf16(4096), room, queries, cache,
                new AttentionShape(8, 4, 64), step, 4096, split, 5, 1)).hasMessageContaining("4 KV heads of 64 over a cache with 2 of 64");
        assertThatThrownBy(() -> attention.prompt(emulator.device().stream(), Result.toBf16(4098), room, queries, cache, shape, step,
                4096, split, 5, 1)).hasMessageContaining("4 elements are written at a time");
        assertThatThrownBy(() -> attention.prompt(emulator.device().stream(), Result.toBf16(4096), room, queries, cache, shape,
                new StepSequences(0, 256, 256, 256, 3, 4), 4096, split, 5, 1)).hasMessageContaining("without the first row of each sequence");
        assertThatThrownBy(() -> attention.prompt(emulator.device().stream(), Result.toBf16(4096), room, queries, cache, shape,
                new StepSequences(256, 256, 256, 256, 3, 1 << 24), 4096, split, 5, 1)).hasMessageContaining("positions are 32 bits wide");
    }
}
