package dev.sidewinder.kvcache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class FramePoolTest {

    private static final int PER_FRAME = 4;

    private final StepFence fence = new StepFence();
    private final FramePool pool = new FramePool(new FrameShape(5, PER_FRAME), fence);
    private final List<BlockCopy> copies = new ArrayList<>();

    @AfterEach
    void booksBalance() {
        pool.checkInvariants();
    }

    private int[] blocks(int count) {
        int[] names = new int[count];
        for (int i = 0; i < count; i++) {
            names[i] = pool.takeBlock();
        }
        return names;
    }

    private void complete(long step) {
        fence.complete(step);
        pool.completed();
    }

    @Test
    void movesTheBorderBetweenStatesAndBlocksAsTheLoadAsks() {
        // given a pool full of states
        int[] slots = new int[5];
        for (int i = 0; i < 5; i++) {
            slots[i] = pool.takeSlot();
        }
        assertThat(slots).containsExactlyInAnyOrder(0, 1, 2, 3, 4);
        assertThat(pool.freeBlocks()).isZero();

        // when they come back, it fills with blocks
        for (int slot : slots) {
            pool.giveBackSlot(slot);
        }
        int[] names = blocks(5 * PER_FRAME);
        assertThat(pool.freeFrames()).isZero();
        assertThat(pool.use().kvFrames()).isEqualTo(5);

        // and with states again
        for (int name : names) {
            pool.letGo(name);
        }
        assertThat(pool.freeFrames()).isEqualTo(5);
        assertThat(pool.takeSlot()).isBetween(0, 4);
    }

    @Test
    void fillsTheFullestFrameFirst() {
        int[] names = blocks(2 * PER_FRAME);
        pool.letGo(names[0]);
        pool.letGo(names[5]);
        pool.letGo(names[6]);

        int frameOfFirst = pool.place(names[1]) / PER_FRAME;
        assertThat(pool.place(pool.takeBlock()) / PER_FRAME).isEqualTo(frameOfFirst);
        assertThat(pool.freeFrames()).isEqualTo(3);
    }

    @Test
    void emptiesTheEmptiestFrameByMovingItsBlocksToTheFullest() {
        // given three frames with 3, 2 and 3 blocks
        int[] names = blocks(3 * PER_FRAME);
        pool.letGo(names[0]);
        pool.letGo(names[4]);
        pool.letGo(names[5]);
        assertThat(pool.compact(copies)).as("three free places are no frame").isFalse();
        pool.letGo(names[8]);
        int first = pool.place(names[6]);
        int second = pool.place(names[7]);
        int frees = pool.freeFrames();

        // when a frame is wanted
        assertThat(pool.compact(copies)).isTrue();

        // then two blocks move, under their names, and their frame waits for the step of the copies
        assertThat(copies).containsExactlyInAnyOrder(new BlockCopy(first, pool.place(names[6])), new BlockCopy(second, pool.place(names[7])));
        assertThat(pool.place(names[6]) / PER_FRAME).isNotEqualTo(first / PER_FRAME);
        assertThat(pool.comingFrames()).isEqualTo(1);
        assertThat(pool.freeFrames()).isEqualTo(frees);
        fence.launch(1);
        pool.completed();
        assertThat(pool.freeFrames()).isEqualTo(frees);
        complete(1);
        assertThat(pool.freeFrames()).isEqualTo(frees + 1);
        assertThat(pool.strandedBlocks()).isZero();
    }

    @Test
    void fencesTheNewPlaceOfABlockThatIsGivenBackBeforeItsCopyRan() {
        // given a block that is moved out of its frame
        int[] names = blocks(PER_FRAME + 1);
        pool.letGo(names[0]);
        assertThat(pool.compact(copies)).isTrue();
        int to = pool.place(names[PER_FRAME]);

        // when its owner lets go before the step that copies it
        pool.letGo(names[PER_FRAME]);

        // then nobody gets the place, into which the copy still writes
        assertThat(pool.use().fencedBlocks()).isEqualTo(2);
        assertThat(pool.place(pool.takeBlock())).isNotEqualTo(to);
        fence.launch(1);
        complete(1);
        assertThat(pool.use().fencedBlocks()).isZero();
    }

    @Test
    void doesNotMoveWhatWaitsForAStepAlready() {
        int[] names = blocks(PER_FRAME + 1);
        fence.launch(1);
        pool.touchBlock(names[PER_FRAME], 1);
        pool.letGo(names[PER_FRAME]);
        pool.letGo(names[0]);

        assertThat(pool.comingFrames()).isEqualTo(1);
        assertThat(pool.compact(copies)).as("the frame comes without a move").isTrue();
        assertThat(copies).isEmpty();
        complete(1);
        assertThat(pool.freeFrames()).isEqualTo(4);
    }

    @Test
    void fencesWhatALaunchedStepTouches() {
        int slot = pool.takeSlot();
        int untouched = pool.takeSlot();
        int[] names = blocks(2);
        fence.launch(1);
        pool.touchSlot(slot, 1);
        pool.touchBlock(names[0], 1);
        fence.launch(2);

        pool.giveBackSlot(slot);
        pool.giveBackSlot(untouched);
        pool.letGo(names[0]);
        pool.letGo(names[1]);

        assertThat(pool.comingFrames()).isEqualTo(2);
        assertThat(pool.freeFrames()).isEqualTo(3);
        assertThat(pool.use().fencedBlocks()).isEqualTo(1);
        complete(1);
        assertThat(pool.freeFrames()).isEqualTo(5);
    }

    @Test
    void keepsABlockUntilItsLastHolderLetsGo() {
        int name = pool.takeBlock();
        pool.hold(name);
        pool.letGo(name);
        assertThat(pool.heldBlocks()).isEqualTo(1);
        assertThat(pool.holders(name)).isEqualTo(1);
        pool.letGo(name);
        assertThat(pool.heldBlocks()).isZero();
        assertThatIllegalStateException().isThrownBy(() -> pool.hold(name));
    }

    @Test
    void refusesToTakeBackTwiceAndToGiveWhatIsNotThere() {
        int slot = pool.takeSlot();
        pool.giveBackSlot(slot);
        assertThatIllegalStateException().isThrownBy(() -> pool.giveBackSlot(slot)).withMessageContaining("FREE");
        int block = pool.takeBlock();
        assertThatIllegalStateException().isThrownBy(() -> pool.giveBackSlot(pool.place(block) / PER_FRAME));
        for (int i = 0; i < 4; i++) {
            pool.takeSlot();
        }
        assertThatIllegalStateException().isThrownBy(pool::takeSlot);
        blocks(3);
        assertThatIllegalStateException().isThrownBy(pool::takeBlock);
    }

    @Test
    void losesLessThanAFrameWhenAllBlocksButOneOfEachFrameCameBack() {
        // given the worst case of fragmentation: one block in every frame
        int[] names = blocks(5 * PER_FRAME);
        for (int i = 0; i < names.length; i++) {
            if (i % PER_FRAME != 0) {
                pool.letGo(names[i]);
            }
        }
        assertThat(pool.freeFrames()).isZero();

        // when frames are emptied as long as that is possible
        long step = 0;
        while (pool.compact(copies)) {
            fence.launch(++step);
            complete(step);
        }

        // then 5 blocks lie in 2 frames
        assertThat(pool.freeFrames()).isEqualTo(3);
        assertThat(pool.strandedBlocks()).isEqualTo(3);
        assertThat(copies).hasSize(3);
    }
}
