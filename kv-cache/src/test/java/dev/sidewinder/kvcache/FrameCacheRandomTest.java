package dev.sidewinder.kvcache;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.FakeMemory.Fault;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/// Random conversations on memory that remembers, and planted faults that this must find.
class FrameCacheRandomTest {

    private static final int MOST_TRACES = 40;

    static long[] seeds() {
        return RandomTests.seeds();
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void everySequenceFindsItsOwnMemoryInEveryStep(long seed) {
        System.out.println("FrameCacheRandomTest seed " + seed);
        var trace = new FrameCacheTrace(seed, Fault.NONE, false);
        trace.play(RandomTests.operations());
        System.out.println("  " + trace.forks + " forks, " + trace.resumed + " resumed, " + trace.reuses + " reuses, " + trace.cache().counts() + ", "
                + trace.cache().pool().use().movedBlocks() + " blocks moved");
    }

    @Test
    void playsTracesWithReuseEvictionMovesAndSuspension() {
        long reused = 0;
        long evicted = 0;
        long takenOver = 0;
        long moved = 0;
        long resumed = 0;
        long statesOnTheWay = 0;
        for (long seed = 100; seed < 100 + MOST_TRACES; seed++) {
            var trace = new FrameCacheTrace(seed, Fault.NONE, false);
            trace.play(1000);
            reused += trace.cache().counts().reusedTokens();
            evicted += trace.cache().counts().evictedStates();
            takenOver += trace.cache().counts().takenOverStates();
            resumed += trace.resumed;
            statesOnTheWay += trace.statesOnTheWay;
            moved += trace.cache().pool().use().movedBlocks();
        }
        assertThat(reused).isPositive();
        assertThat(evicted).isPositive();
        assertThat(takenOver).isPositive();
        assertThat(moved).isPositive();
        assertThat(resumed).isPositive();
        assertThat(statesOnTheWay).isPositive();
    }

    @ParameterizedTest
    @EnumSource(value = Fault.class, names = "NONE", mode = EnumSource.Mode.EXCLUDE)
    void findsAPlantedFault(Fault fault) {
        assertThat(tracesUntilFound(fault, false)).isLessThan(MOST_TRACES);
    }

    @Test
    void findsMemoryThatIsGivenOutAStepTooEarly() {
        assertThat(tracesUntilFound(Fault.NONE, true)).isLessThan(MOST_TRACES);
    }

    private static int tracesUntilFound(Fault fault, boolean completesEarly) {
        for (int i = 0; i < MOST_TRACES; i++) {
            try {
                new FrameCacheTrace(100 + i, fault, completesEarly).play(1000);
            } catch (AssertionError found) {
                return i;
            }
        }
        return MOST_TRACES;
    }
}
