package dev.sidewinder.server.metrics;

import java.util.ArrayList;
import java.util.List;

/// The bounds of docs/api.md, "Buckets".
final class Buckets {

    private Buckets() {}

    static double[] firstToken() {
        return new double[] {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160,
            640, 2560};
    }

    static double[] betweenTokens() {
        return new double[] {.001, .002, .003, .005, .007, .01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5,
            7.5, 10, 20, 40, 80};
    }

    static double[] phases() {
        return new double[] {.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680};
    }

    /// 1, 2, 5, 10, 20, 50 … up to `max`.
    static double[] tokenCounts(long max) {
        List<Double> bounds = new ArrayList<>();
        for (long decade = 1; decade <= max; decade *= 10) {
            for (int step : new int[] {1, 2, 5}) {
                if (decade * step <= max) {
                    bounds.add((double) (decade * step));
                }
            }
        }
        return bounds.stream().mapToDouble(Double::doubleValue).toArray();
    }

    static double[] tokensPerStep() {
        return new double[] {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
    }

    static double[] steps() {
        return new double[] {.0002, .0005, .001, .0015, .002, .003, .005, .0075, .01, .015, .02, .03, .05, .1, .2, .5, 1,
            2};
    }

    static double[] counts() {
        return new double[] {1, 2, 3, 4, 5, 10, 20, 50, 100};
    }

    static double[] choices() {
        return new double[] {1, 2, 5, 10, 20};
    }
}
