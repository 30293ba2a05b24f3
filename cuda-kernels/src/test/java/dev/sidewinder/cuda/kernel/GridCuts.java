package dev.sidewinder.cuda.kernel;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/// Ways to cut prompts at multiples of 128 tokens.
final class GridCuts {

    private static final int GRID_TOKENS = 128;

    private GridCuts() {}

    /// The ends of successive pieces of each prompt, drawn at random, the last row being `lengths`. Some prompts pause for a
    /// launch: their piece is empty.
    static int[][] random(int[] lengths, Random random) {
        List<int[]> cuts = new ArrayList<>();
        int[] done = new int[lengths.length];
        while (!Arrays.equals(done, lengths)) {
            int[] next = done.clone();
            for (int s = 0; s < lengths.length; s++) {
                next[s] = Math.min(lengths[s], done[s] + GRID_TOKENS * random.nextInt(4));
            }
            if (!Arrays.equals(next, done)) {
                cuts.add(next);
            }
            done = next;
        }
        return cuts.toArray(int[][]::new);
    }
}
