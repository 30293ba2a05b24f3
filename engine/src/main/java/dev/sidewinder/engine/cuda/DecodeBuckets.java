package dev.sidewinder.engine.cuda;

import java.util.Arrays;

/// The batch sizes for which decode steps are captured: 1, 2, 4, 8, then every 8 to 64, every 16 to 256, every 32 from there
/// on. A batch runs in the smallest that holds it; the rows it lacks are padded.
final class DecodeBuckets {

    private DecodeBuckets() {}

    /// The smallest size that holds `rows` rows.
    static int of(int rows) {
        if (rows < 1) {
            throw new IllegalArgumentException("a decode batch of " + rows + " rows");
        }
        if (rows <= 8) {
            return rows <= 2 ? rows : rows <= 4 ? 4 : 8;
        }
        int step = rows <= 64 ? 8 : rows <= 256 ? 16 : 32;
        return Math.ceilDiv(rows, step) * step;
    }

    /// All sizes up to the one that holds `mostRows`, ascending.
    static int[] upTo(int mostRows) {
        int last = of(mostRows);
        int[] sizes = new int[last];
        int count = 0;
        for (int size = 1; size < last; size = of(size + 1)) {
            sizes[count++] = size;
        }
        sizes[count++] = last;
        return Arrays.copyOf(sizes, count);
    }
}
