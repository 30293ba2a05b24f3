package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.Partition;
import java.util.List;
import java.util.Optional;

/// What a sequence has to do with the prefixes of others.
///
/// @param partition   whose prefixes it may use and leaves its own to; empty = it uses none and leaves none
/// @param marks       where in its prompt the state is worth keeping, by rising position
/// @param keepsAnswer whether its state is worth keeping at the end of its answer, too, as where a tool's result will follow
/// @param explains    whether it is to be told what there was for it
public record Prefixes(Optional<Partition> partition, List<Mark> marks, boolean keepsAnswer, boolean explains) {

    /// It uses none and leaves none.
    public static final Prefixes NONE = new Prefixes(Optional.empty(), List.of(), false, false);

    public Prefixes {
        marks = List.copyOf(marks);
    }
}
