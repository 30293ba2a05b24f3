package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.CheckpointPoint;

/// Where in a prompt the state is worth keeping, as whoever rendered the prompt knows it. Not rounded to anything: the
/// scheduler keeps the state at the nearest multiple of 128 at or below, and below the prompt's last token.
///
/// @param position tokens of the prompt before it, at least 0
/// @param point    why
public record Mark(int position, CheckpointPoint point) {
    public Mark {
        if (position < 0) {
            throw new IllegalArgumentException("a mark at token " + position + " for " + point);
        }
    }
}
