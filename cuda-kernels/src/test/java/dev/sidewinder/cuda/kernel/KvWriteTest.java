package dev.sidewinder.cuda.kernel;

import static dev.sidewinder.cuda.kernel.AttentionCase.padded;
import static dev.sidewinder.cuda.kernel.AttentionCase.piece;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.ActivationRows.Type;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class KvWriteTest {

    private static final long SEED = 41;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private KvWriteCheck check() {
        return new KvWriteCheck(emulator.device(), emulator.kernels());
    }

    @Test
    void writesPiecesOfPromptsAtEveryEdgeOfABlock() {
        for (CacheType cache : CacheType.values()) {
            for (Type source : Type.values()) {
                for (int count : new int[] {1, 2, 127, 128, 129, 255, 256, 257}) {
                    check().checkPieces(AttentionCase.of(new AttentionShape(2, 1, 16), cache, source, SEED + count,
                            piece(0, 0, count), padded(3), piece(1, 126, count), piece(2, 128, 1)), 0);
                }
            }
        }
    }

    @Test
    void writesOneRowForEachSequenceOfADecodeStep() {
        for (CacheType cache : CacheType.values()) {
            for (Type source : Type.values()) {
                check().checkDecode(AttentionCase.decoding(new AttentionShape(32, 2, 128), cache, source, SEED,
                        0, 1, 2, 128, 0, 0, 129, 130, 500, 0));
            }
        }
    }

    @Test
    void writesHeadsOfAnyWidth() {
        for (CacheType cache : CacheType.values()) {
            for (int headDim : new int[] {1, 3, 8, 20, 64, 80, 200}) {
                check().checkPieces(AttentionCase.of(new AttentionShape(3, 3, headDim), cache, Type.F32, SEED,
                        piece(0, 120, 17), piece(1, 0, 5)), 0);
            }
        }
    }

    @Test
    void leavesRowsBehindTheLastSequenceAlone() {
        check().checkPieces(AttentionCase.of(new AttentionShape(2, 2, 64), CacheType.BF16, Type.BF16, SEED,
                piece(0, 0, 3), piece(1, 127, 2)), 100);
        check().checkPieces(AttentionCase.of(new AttentionShape(2, 2, 64), CacheType.E4M3, Type.F32, SEED, padded(4)), 1);
    }

    @Test
    void writesRandomSteps() {
        Random random = new Random(SEED);
        for (int round = 0; round < 30; round++) {
            List<AttentionCase.Piece> pieces = new ArrayList<>();
            for (int s = 0; s < 1 + random.nextInt(9); s++) {
                int count = random.nextInt(5) == 0 ? 0 : 1 + random.nextInt(random.nextInt(4) == 0 ? 200 : 6);
                pieces.add(random.nextInt(4) == 0 ? padded(count) : piece(s, random.nextInt(300), count));
            }
            if (pieces.stream().mapToInt(AttentionCase.Piece::count).sum() > 0) {
                CacheType cache = CacheType.values()[random.nextInt(2)];
                int kvHeads = 1 + random.nextInt(3);
                check().checkPieces(AttentionCase.of(new AttentionShape(kvHeads, kvHeads, 8 * (1 + random.nextInt(4))), cache,
                        Type.values()[random.nextInt(2)], round, pieces.toArray(AttentionCase.Piece[]::new)), random.nextInt(3));
            }
        }
    }

    @Test
    void refusesWhatItCannotWrite() {
        KvWrite write = new KvWrite(emulator.kernels());
        KvCacheLayer cache = KvCacheLayer.bf16(4096, 1 << 20, 0, 2, 64);
        StepSequences step = new StepSequences(256, 256, 256, 256, 2, 4);
        assertThatThrownBy(() -> write.write(emulator.device().stream(), cache, ActivationRows.bf16(4098, 128),
                ActivationRows.bf16(4096, 128), step, 3)).hasMessageContaining("keys at 0x1002").hasMessageContaining("8 elements");
        assertThatThrownBy(() -> write.write(emulator.device().stream(), cache, ActivationRows.bf16(4096, 128),
                ActivationRows.f32(4096, 128), step, 3)).hasMessageContaining("keys are BF16 and values F32");
        assertThatThrownBy(() -> write.write(emulator.device().stream(), cache, ActivationRows.bf16(4096, 128),
                ActivationRows.bf16(4096, 128), new StepSequences(0, 256, 256, 256, 2, 4), 3)).hasMessageContaining("one row each");
        assertThatThrownBy(() -> new KvCacheLayer(4096, CacheType.BF16, 1 << 20, 0, 2, 64, 0.5f, 1))
                .hasMessageContaining("only e4m3 is scaled");
        assertThatThrownBy(() -> KvCacheLayer.bf16(4096, 1 << 10, 0, 2, 64)).hasMessageContaining("keys and values of one layer take");
        assertThatThrownBy(() -> new KvCacheLayer(4096, CacheType.E4M3, 1 << 20, 0, 2, 64, 0, 1)).hasMessageContaining("key scale 0");
    }
}
