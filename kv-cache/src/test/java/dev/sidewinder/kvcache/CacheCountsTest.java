package dev.sidewinder.kvcache;

import static dev.sidewinder.kvcache.CachedPrompts.ALICE;
import static dev.sidewinder.kvcache.CachedPrompts.BOB;
import static dev.sidewinder.kvcache.CachedPrompts.tokens;
import static dev.sidewinder.kvcache.CachedPrompts.wish;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.CacheCounts.LookupCounts;
import dev.sidewinder.kvcache.CacheCounts.StateCounts;
import dev.sidewinder.kvcache.MemoryAdmission.Granted;
import java.util.Random;
import org.junit.jupiter.api.Test;

/// What the cache counts, and what an operator can have it drop.
class CacheCountsTest {

    private static final LookupCounts NEVER = new LookupCounts(0, 0);

    private final CachedPrompts prompts = new CachedPrompts();
    private final FrameCache cache = prompts.cache();

    private LookupCounts lookups(MissReason reason) {
        return cache.counts().lookupsByReason().get(reason);
    }

    private StateCounts states(CheckpointPoint point) {
        return cache.counts().statesByPoint().get(point);
    }

    @Test
    void hasEveryReasonAndPointFromTheStart() {
        assertThat(cache.counts().lookupsByReason()).containsOnlyKeys(MissReason.values()).containsValue(NEVER);
        assertThat(cache.counts().statesByPoint()).containsOnlyKeys(CheckpointPoint.values());
        assertThat(cache.counts()).isSameAs(cache.counts());
    }

    @Test
    void countsLookupsByWhyTheyFoundNoMore() {
        prompts.compute(ALICE, tokens(300), 128, 256);
        assertThat(lookups(MissReason.COLD)).isEqualTo(new LookupCounts(0, 1));

        prompts.admit(ALICE, tokens(300)).close();
        assertThat(lookups(MissReason.NONE)).isEqualTo(new LookupCounts(1, 0));
        int[] other = tokens(400);
        other[200] = 5000;
        prompts.admit(ALICE, other).close();
        assertThat(lookups(MissReason.DIVERGED)).isEqualTo(new LookupCounts(1, 0));
        prompts.admit(ALICE, tokens(90)).close();
        assertThat(lookups(MissReason.SHORT)).isEqualTo(new LookupCounts(0, 1));
        prompts.admit(null, tokens(300)).close();
        assertThat(lookups(MissReason.DISABLED)).isEqualTo(new LookupCounts(0, 1));

        CacheCounts counts = cache.counts();
        assertThat(counts.lookups()).as("the last one did not look").isEqualTo(4);
        assertThat(counts.hits()).isEqualTo(2);
        assertThat(counts.promptTokens()).isEqualTo(300 + 300 + 400 + 90);
        assertThat(counts.reusedTokens()).isEqualTo(256 + 128);
        assertThat(states(CheckpointPoint.TURN_START)).isEqualTo(new StateCounts(1, 1, 0, 0));
        assertThat(states(CheckpointPoint.SYSTEM)).isEqualTo(new StateCounts(1, 1, 0, 0));
    }

    @Test
    void dropsOnePartitionAndLeavesTheOther() {
        prompts.compute(ALICE, tokens(300), 128, 256);
        prompts.compute(BOB, tokens(300), 128);

        cache.evictAll(ALICE);

        cache.checkInvariants();
        assertThat(cache.reusableTokens(ALICE, tokens(300), 300)).isZero();
        assertThat(cache.reusableTokens(BOB, tokens(300), 300)).isEqualTo(128);
        assertThat(cache.keptBlocks()).isEqualTo(1);
        assertThat(states(CheckpointPoint.SYSTEM).evicted()).isEqualTo(1);
        assertThat(states(CheckpointPoint.TURN_START).evicted()).isEqualTo(1);
        // and again, and a partition that nobody knows
        cache.evictAll(ALICE);
        cache.evictAll(new Partition(9, 9));
        assertThat(cache.keptStates()).isEqualTo(1);
        cache.evictAll();
        assertThat(cache.keptBlocks()).isZero();
        cache.checkInvariants();
    }

    @Test
    void leavesARunningSequenceWhatItStandsOn() {
        // given a sequence that goes on from what is to be dropped
        prompts.compute(ALICE, tokens(300), 128, 256);
        SequenceMemory reader = prompts.admit(ALICE, tokens(300));

        cache.evictAll(ALICE);

        assertThat(cache.keptStates()).isZero();
        assertThat(cache.keptBlocks()).isEqualTo(2);
        reader.close();
        cache.evictAll(ALICE);
        assertThat(cache.keptBlocks()).isZero();
        cache.checkInvariants();
    }

    @Test
    void countsRefusedStates() {
        // given a pool in which a running sequence leaves no frame for a state
        var full = new FrameCache(new FrameShape(2, 4), HostShape.NONE, ReuseEstimate.DEFAULT, new Random(7));
        int[] prompt = tokens(300);
        SequenceMemory memory = ((Granted) full.admit(wish(ALICE, prompt))).memory();
        memory.reserve(0, 256);

        assertThat(memory.checkpoint(256, CheckpointPoint.INTERVAL)).isEmpty();

        assertThat(full.counts().statesByPoint().get(CheckpointPoint.INTERVAL)).isEqualTo(new StateCounts(0, 0, 0, 1));
        assertThat(full.counts().refusedStates()).isEqualTo(1);
        memory.close();
    }
}
