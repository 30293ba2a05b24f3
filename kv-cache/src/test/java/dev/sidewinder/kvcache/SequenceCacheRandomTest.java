package dev.sidewinder.kvcache;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Thousands of random operations against a model that remembers, for every step under way, what the step may touch.
class SequenceCacheRandomTest {

    private static final int OPERATIONS = 20_000;

    /// Everything a launched step may read or write.
    private record Touched(long step, List<Integer> blocks, List<Integer> slots) {}

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void neverGivesOutWhatALaunchedStepMayTouch(long seed) {
        System.out.println("SequenceCacheRandomTest seed " + seed);
        Random random = new Random(seed);
        CacheShape shape = new CacheShape(1 + random.nextInt(32), 1 + random.nextInt(6));
        SequenceCache cache = new SequenceCache(shape);
        List<SequenceAllocation> live = new ArrayList<>();
        ArrayDeque<Touched> underWay = new ArrayDeque<>();
        long steps = 0;

        for (int i = 0; i < OPERATIONS; i++) {
            switch (random.nextInt(6)) {
                case 0, 1 -> admit(cache, shape, random, live, underWay);
                case 2 -> grow(random, live, underWay);
                case 3 -> {
                    if (!live.isEmpty()) {
                        live.remove(random.nextInt(live.size())).close();
                    }
                }
                case 4 -> {
                    if (underWay.size() < 3) {
                        cache.stepLaunched(++steps);
                        underWay.add(touched(steps, live));
                    }
                }
                default -> {
                    if (!underWay.isEmpty()) {
                        cache.stepCompleted(underWay.remove().step());
                    }
                }
            }
            cache.checkInvariants();
            checkAgainstModel(cache, shape, live);
        }
        live.forEach(SequenceAllocation::close);
        while (!underWay.isEmpty()) {
            cache.stepCompleted(underWay.remove().step());
        }
        assertThat(cache.blocks().available()).isEqualTo(shape.blocks());
        assertThat(cache.slots().free()).isEqualTo(shape.slots());
    }

    private static void admit(SequenceCache cache, CacheShape shape, Random random, List<SequenceAllocation> live,
            ArrayDeque<Touched> underWay) {
        int tokens = 1 + random.nextInt(shape.blocks() * CacheShape.BLOCK_TOKENS + 200);
        boolean room = cache.slots().free() > 0 && CacheShape.blocksFor(tokens) <= cache.blocks().available();
        Optional<SequenceAllocation> admitted = cache.admit(tokens);
        assertThat(admitted.isPresent()).isEqualTo(room);
        admitted.ifPresent(allocation -> {
            underWay.forEach(step -> assertThat(step.slots()).as("slots of step %d", step.step()).doesNotContain(allocation.slot()));
            live.add(allocation);
        });
    }

    private static void grow(Random random, List<SequenceAllocation> live, ArrayDeque<Touched> underWay) {
        if (live.isEmpty()) {
            return;
        }
        SequenceAllocation allocation = live.get(random.nextInt(live.size()));
        int before = allocation.blockCount();
        int promised = allocation.promisedBlocks();
        int more = random.nextInt(3);
        Growth growth = allocation.reserve((before + more) * CacheShape.BLOCK_TOKENS);
        if (more <= promised) {
            assertThat(growth).as("a promise is kept").isEqualTo(Growth.GRANTED);
        }
        assertThat(allocation.blockCount()).isEqualTo(growth == Growth.GRANTED ? before + more : before);
        for (int i = before; i < allocation.blockCount(); i++) {
            int block = allocation.block(i);
            underWay.forEach(step -> assertThat(step.blocks()).as("blocks of step %d", step.step()).doesNotContain(block));
        }
    }

    private static Touched touched(long step, List<SequenceAllocation> live) {
        List<Integer> blocks = new ArrayList<>();
        List<Integer> slots = new ArrayList<>();
        for (SequenceAllocation allocation : live) {
            slots.add(allocation.slot());
            for (int i = 0; i < allocation.blockCount(); i++) {
                blocks.add(allocation.block(i));
            }
        }
        return new Touched(step, blocks, slots);
    }

    private static void checkAgainstModel(SequenceCache cache, CacheShape shape, List<SequenceAllocation> live) {
        boolean[] owned = new boolean[shape.blocks()];
        boolean[] ownedSlots = new boolean[shape.slots()];
        int promised = 0;
        int held = 0;
        for (SequenceAllocation allocation : live) {
            assertThat(ownedSlots[allocation.slot()]).as("slot %d has one owner", allocation.slot()).isFalse();
            ownedSlots[allocation.slot()] = true;
            promised += allocation.promisedBlocks();
            for (int i = 0; i < allocation.blockCount(); i++) {
                assertThat(owned[allocation.block(i)]).as("block %d has one owner", allocation.block(i)).isFalse();
                owned[allocation.block(i)] = true;
                held++;
            }
        }
        assertThat(cache.blocks().promised()).isEqualTo(promised);
        assertThat(cache.blocks().free() + cache.blocks().fenced() + held).isEqualTo(shape.blocks());
        assertThat(cache.allocations()).isEqualTo(live.size());
    }
}
