package dev.sidewinder.engine;

import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import java.util.Random;
import java.util.function.Supplier;

/// Memory that is never enough, for traces: a few states and blocks, and a host area that is absent, or as tiny, or takes everything.
final class TinyPools {

    private TinyPools() {}

    static Supplier<FakeBackend> draw(Random random, int vocabSize) {
        FrameShape frames = FrameShape.holding(2 + random.nextInt(5), 8 + random.nextInt(25), 1 + random.nextInt(4));
        boolean alike = random.nextBoolean();
        HostShape host = switch (random.nextInt(3)) {
            case 0 -> HostShape.NONE;
            // What does not fit is computed again: with the same bits only where a decode step is like a scan.
            case 1 -> alike ? new HostShape(1 + random.nextInt(2), random.nextInt(8)) : HostShape.NONE;
            default -> all(frames);
        };
        return backends(vocabSize, new BackendMemory(frames, paced(random, host)), alike);
    }

    /// With all copies in one step, or over several.
    private static HostShape paced(Random random, HostShape host) {
        return random.nextBoolean() ? host : host.withStepBlocks(1 + random.nextInt(6));
    }

    /// Three slots and eight blocks, and always a host area: who grows has others leave.
    static Supplier<FakeBackend> drawTightest(Random random, int vocabSize) {
        FrameShape frames = FrameShape.holding(3, 8, 1 + random.nextInt(2));
        boolean alike = random.nextInt(3) > 0;
        HostShape host = alike && random.nextBoolean() ? new HostShape(1 + random.nextInt(2), 1 + random.nextInt(8)) : all(frames);
        return backends(vocabSize, new BackendMemory(frames, paced(random, host)), alike);
    }

    private static HostShape all(FrameShape frames) {
        return new HostShape(64, 64 * frames.blocks());
    }

    private static Supplier<FakeBackend> backends(int vocabSize, BackendMemory memory, boolean alike) {
        return () -> {
            var backend = new FakeBackend(vocabSize, memory);
            return alike ? backend : backend.withDecodeUnlikeScan();
        };
    }
}
