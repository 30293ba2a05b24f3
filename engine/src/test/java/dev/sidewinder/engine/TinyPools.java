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
            default -> new HostShape(64, 64 * frames.blocks());
        };
        return () -> {
            var backend = new FakeBackend(vocabSize, new BackendMemory(frames, host));
            return alike ? backend : backend.withDecodeUnlikeScan();
        };
    }
}
