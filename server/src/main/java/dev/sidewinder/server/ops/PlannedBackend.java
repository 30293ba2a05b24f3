package dev.sidewinder.server.ops;

import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.MemoryPlan;
import dev.sidewinder.engine.cuda.CudaSummary;
import java.util.Optional;
import java.util.function.Function;

/// A backend that has been chosen, with its memory planned; it is still to be built.
///
/// @param name       `cpu`, `cuda` or `stub`
/// @param batchTokens tokens in one step at most
/// @param cacheType  number format of keys and values, in the words of the compatible metrics
/// @param memory     how the device's memory is cut up, in one line
/// @param device     what it runs on, when that is a GPU
/// @param note       what an operator should know of the choice
/// @param builder    takes the time it takes
/// @param discard    gives back what is held for a backend that is not built
record PlannedBackend(String name, MemoryPlan plan, int batchTokens, String cacheType, Optional<String> memory,
        Optional<CudaSummary> device, Optional<String> note, Function<LoadProgress, Backend> builder, Runnable discard) {

    Backend build(LoadProgress progress) {
        return builder.apply(progress);
    }

    PlannedBackend noting(String text) {
        return new PlannedBackend(name, plan, batchTokens, cacheType, memory, device, Optional.of(text), builder, discard);
    }
}
