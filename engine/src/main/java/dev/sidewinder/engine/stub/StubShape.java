package dev.sidewinder.engine.stub;

import dev.sidewinder.kvcache.CacheShape;
import java.time.Duration;

/// What a [StubBackend] pretends to be.
///
/// @param vocabSize  tokens of its vocabulary
/// @param cache      blocks and slots it has "memory" for
/// @param stepDelay  time every step takes
/// @param tokenDelay time every token of a step takes besides
public record StubShape(int vocabSize, CacheShape cache, Duration stepDelay, Duration tokenDelay) {

    public StubShape {
        if (vocabSize < 1 || stepDelay.isNegative() || tokenDelay.isNegative()) {
            throw new IllegalArgumentException("a stub needs a vocabulary and delays of 0 or more, got " + vocabSize + ", "
                    + stepDelay + ", " + tokenDelay);
        }
    }

    /// Without delays.
    public StubShape(int vocabSize, CacheShape cache) {
        this(vocabSize, cache, Duration.ZERO, Duration.ZERO);
    }
}
