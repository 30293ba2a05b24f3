package dev.sidewinder.kvcache;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Random operations against sets and maps that remember what every launched step may touch.
class FramePoolRandomTest {

    /// What a launched step may read or write.
    private record Touched(long step, Set<Integer> places, Set<Integer> slots) {}

    private Random random;
    private FrameShape shape;
    private StepFence fence;
    private FramePool pool;
    private final List<Integer> slots = new ArrayList<>();
    /// Names by holders, and what each block holds.
    private final List<Integer> holds = new ArrayList<>();
    private final Map<Integer, Long> contents = new HashMap<>();
    private long[] memory;
    private final List<BlockCopy> queued = new ArrayList<>();
    private final ArrayDeque<Touched> underWay = new ArrayDeque<>();
    private long steps;
    private long stamps;

    static long[] seeds() {
        return RandomTests.seeds();
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void neverGivesOutWhatIsHeldOrMayBeTouchedAndStrandsLessThanAFrame(long seed) {
        System.out.println("FramePoolRandomTest seed " + seed);
        random = new Random(seed);
        shape = new FrameShape(2 + random.nextInt(7), 1 + random.nextInt(random.nextBoolean() ? 4 : 70));
        fence = new StepFence();
        pool = new FramePool(shape, fence);
        memory = new long[shape.blocks()];

        for (int i = 0; i < RandomTests.operations(); i++) {
            switch (random.nextInt(10)) {
                case 0 -> takeSlot();
                case 1 -> giveBackSlot();
                case 2, 3, 4 -> takeBlock();
                case 5, 6 -> letGo();
                case 7 -> holdOnceMore();
                case 8 -> compact();
                default -> {
                    if (underWay.size() < 3 && random.nextBoolean()) {
                        launch();
                    } else {
                        complete();
                    }
                }
            }
            pool.checkInvariants();
            checkAgainstModel();
        }
        giveAllBack();
    }

    private void takeSlot() {
        if (pool.freeFrames() > 0) {
            int slot = pool.takeSlot();
            assertThat(slots).doesNotContain(slot);
            underWay.forEach(step -> assertThat(step.slots()).as("slots of step %d", step.step()).doesNotContain(slot));
            underWay.forEach(step -> assertThat(step.places()).as("blocks of step %d", step.step())
                    .noneMatch(place -> place / shape.blocksPerFrame() == slot));
            slots.add(slot);
        }
    }

    private void giveBackSlot() {
        if (!slots.isEmpty()) {
            int slot = slots.remove(random.nextInt(slots.size()));
            pool.giveBackSlot(slot);
        }
    }

    private void takeBlock() {
        if (pool.freeBlocks() > 0) {
            int name = pool.takeBlock();
            int place = pool.place(name);
            assertThat(contents).as("a name in use").doesNotContainKey(name);
            assertThat(queued).as("copies that wait for a step").noneMatch(copy -> copy.from() == place || copy.to() == place);
            underWay.forEach(step -> assertThat(step.places()).as("blocks of step %d", step.step()).doesNotContain(place));
            underWay.forEach(step -> assertThat(step.slots()).as("slots of step %d", step.step())
                    .doesNotContain(place / shape.blocksPerFrame()));
            holds.add(name);
            contents.put(name, ++stamps);
            memory[place] = stamps;
        }
    }

    private void letGo() {
        if (!holds.isEmpty()) {
            int name = holds.remove(random.nextInt(holds.size()));
            pool.letGo(name);
            if (!holds.contains(name)) {
                contents.remove(name);
            }
        }
    }

    private void holdOnceMore() {
        if (!holds.isEmpty()) {
            int name = holds.get(random.nextInt(holds.size()));
            pool.hold(name);
            holds.add(name);
            assertThat(pool.holders(name)).isEqualTo((int) holds.stream().filter(each -> each == name).count());
        }
    }

    private void compact() {
        if (pool.comingFrames() > 0) {
            return;
        }
        boolean possible = pool.strandedBlocks() >= shape.blocksPerFrame();
        List<BlockCopy> copies = new ArrayList<>();
        assertThat(pool.compact(copies)).isEqualTo(possible);
        assertThat(copies.size()).as("moves").isLessThan(shape.blocksPerFrame());
        assertThat(pool.comingFrames()).isEqualTo(possible ? 1 : 0);
        for (BlockCopy copy : copies) {
            underWay.forEach(step -> assertThat(step.places()).as("blocks of step %d", step.step()).doesNotContain(copy.to()));
            memory[copy.to()] = memory[copy.from()];
        }
        queued.addAll(copies);
    }

    private void launch() {
        steps += 1 + random.nextInt(3);
        var places = new HashSet<Integer>();
        var touchedSlots = new HashSet<Integer>();
        queued.forEach(copy -> {
            places.add(copy.from());
            places.add(copy.to());
        });
        queued.clear();
        for (int name : contents.keySet()) {
            if (random.nextBoolean()) {
                pool.touchBlock(name, steps);
                places.add(pool.place(name));
            }
        }
        for (int slot : slots) {
            if (random.nextBoolean()) {
                pool.touchSlot(slot, steps);
                touchedSlots.add(slot);
            }
        }
        fence.launch(steps);
        underWay.add(new Touched(steps, places, touchedSlots));
    }

    private void complete() {
        if (!underWay.isEmpty()) {
            fence.complete(underWay.remove().step());
            pool.completed();
        }
    }

    private void checkAgainstModel() {
        Set<Integer> places = new HashSet<>();
        contents.forEach((name, stamp) -> {
            assertThat(places.add(pool.place(name))).as("place of block %d has one owner", name).isTrue();
            assertThat(slots).as("frame of block %d", name).doesNotContain(pool.place(name) / shape.blocksPerFrame());
            assertThat(memory[pool.place(name)]).as("content of block %d", name).isEqualTo(stamp);
        });
        assertThat(pool.heldBlocks()).isEqualTo(contents.size());
        assertThat(pool.heldSlots()).isEqualTo(slots.size());
        int fencedInKvFrames = pool.use().fencedBlocks();
        assertThat(pool.freeBlocks() + fencedInKvFrames + pool.heldBlocks()
                + shape.blocksPerFrame() * (pool.heldSlots() + pool.use().fencedStates())).isEqualTo(shape.blocks());
    }

    private void giveAllBack() {
        slots.forEach(pool::giveBackSlot);
        holds.forEach(pool::letGo);
        if (!queued.isEmpty()) {
            fence.launch(++steps);
            underWay.add(new Touched(steps, Set.of(), Set.of()));
        }
        while (!underWay.isEmpty()) {
            complete();
        }
        pool.checkInvariants();
        assertThat(pool.freeFrames()).isEqualTo(shape.frames());
    }
}
