package dev.sidewinder.engine.stub;

import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import java.time.Duration;

/// What a [StubBackend] pretends to be.
///
/// @param vocabSize  tokens of its vocabulary
/// @param memory     what it has "memory" for
/// @param stepDelay  time every step takes
/// @param tokenDelay time every token of a step takes besides
public record StubShape(int vocabSize, BackendMemory memory, Duration stepDelay, Duration tokenDelay) {

    public StubShape {
        if (vocabSize < 1 || stepDelay.isNegative() || tokenDelay.isNegative()) {
            throw new IllegalArgumentException("a stub needs a vocabulary and delays of 0 or more, got " + vocabSize + ", "
                    + stepDelay + ", " + tokenDelay);
        }
    }

    /// Without delays, and without room for suspended sequences.
    public StubShape(int vocabSize, FrameShape frames) {
        this(vocabSize, new BackendMemory(frames, HostShape.NONE), Duration.ZERO, Duration.ZERO);
    }
}
