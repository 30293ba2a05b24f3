package dev.sidewinder.cuda.emulator;

import java.util.Arrays;
import java.util.List;

/// A kernel launch as the emulated driver got it.
///
/// @param overlapping whether it may begin before its predecessor has ended (programmatic dependent launch)
/// @param arguments   the bits of each, integers as their value
public record RecordedLaunch(String kernel, int gridX, int gridY, int gridZ, int threads, int sharedBytes, boolean overlapping,
        List<Long> arguments) {

    private static final int FIRST_ARGUMENT = 7;

    static RecordedLaunch parse(String line) {
        String[] cells = line.split(",");
        int[] sizes = Arrays.stream(cells, 1, FIRST_ARGUMENT).mapToInt(Integer::parseInt).toArray();
        return new RecordedLaunch(cells[0], sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5] != 0,
                Arrays.stream(cells, FIRST_ARGUMENT, cells.length).map(Long::valueOf).toList());
    }

    public long blocks() {
        return (long) gridX * gridY * gridZ;
    }

    public int argument(int index) {
        return arguments.get(index).intValue();
    }
}
