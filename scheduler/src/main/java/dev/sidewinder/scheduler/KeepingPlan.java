package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.CheckpointPoint;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/// Where in one prompt its state is worth keeping: on the grid, and below the prompt's last token, so that the same prompt can
/// go on from each of them.
final class KeepingPlan {

    /// Between two states in a long prompt that nobody marked. A state of the published 30B shape takes as much memory as the
    /// keys and values of 8,000 tokens, so these add a quarter, and a prompt that breaks off anywhere loses a few seconds of
    /// computing at most.
    static final int INTERVAL_TOKENS = 32_768;

    private final TreeMap<Integer, CheckpointPoint> positions = new TreeMap<>();
    private final int most;

    KeepingPlan(List<Mark> marks, int promptTokens) {
        most = onGrid(promptTokens - 1);
        for (Mark mark : marks) {
            add(mark.position(), mark.point());
        }
        addIntervals();
    }

    private void addIntervals() {
        int before = 0;
        for (int position : List.copyOf(positions.keySet())) {
            addIntervals(before, position);
            before = position;
        }
        addIntervals(before, most);
    }

    /// Not so near to the end that they would hardly save anything.
    private void addIntervals(int from, int to) {
        for (int position = from + INTERVAL_TOKENS; position + INTERVAL_TOKENS / 2 <= to; position += INTERVAL_TOKENS) {
            positions.put(position, CheckpointPoint.INTERVAL);
        }
    }

    /// One more; of two reasons for the same position the first of [CheckpointPoint] counts.
    void add(int position, CheckpointPoint point) {
        int kept = Math.min(onGrid(position), most);
        if (kept > 0) {
            positions.merge(kept, point, (one, other) -> one.compareTo(other) <= 0 ? one : other);
        }
    }

    /// Those behind `from` and not behind `to`, the first in front.
    SortedMap<Integer, CheckpointPoint> between(int from, int to) {
        return positions.subMap(from, false, to, true);
    }

    private static int onGrid(int position) {
        return position - position % CacheShape.BLOCK_TOKENS;
    }
}
