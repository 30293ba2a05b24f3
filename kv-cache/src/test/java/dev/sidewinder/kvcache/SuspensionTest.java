package dev.sidewinder.kvcache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.sidewinder.kvcache.MemoryAdmission.Granted;
import dev.sidewinder.kvcache.MemoryAdmission.WaitForOthers;
import dev.sidewinder.kvcache.MemoryAdmission.WaitForSteps;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SuspensionTest {

    private final FrameCache cache = new FrameCache(new FrameShape(6, 4), new HostShape(2, 5), ReuseEstimate.DEFAULT, new Random(7));
    private final int[] prompt = IntStream.range(0, 600).toArray();
    private long step;

    @AfterEach
    void booksBalance() {
        cache.checkInvariants();
    }

    private SequenceMemory admit(int promptTokens) {
        var wish = new MemoryWish(Optional.of(new Partition(1, 1)), prompt, promptTokens, promptTokens);
        SequenceMemory memory = ((Granted) cache.admit(wish)).memory();
        assertThat(memory.reserve(memory.reusedTokens(), promptTokens)).isEqualTo(Growth.GRANTED);
        return memory;
    }

    private MemoryWork runStep() {
        MemoryWork work = cache.launch(++step);
        cache.stepCompleted(step);
        return work;
    }

    @Test
    void movesEverythingToTheHostAndBack() {
        // given a sequence of three blocks
        SequenceMemory memory = admit(300);
        runStep();
        int slot = memory.slot();
        int[] places = IntStream.range(0, 3).map(memory::block).toArray();

        // when it is suspended
        SuspendedMemory suspended = memory.suspend().orElseThrow();
        MemoryWork out = runStep();

        // then it holds nothing here
        assertThat(memory.isClosed()).isTrue();
        assertThat(cache.pool().freeFrames()).isEqualTo(6);
        assertThat(cache.sequences()).isZero();
        assertThat(out.outs()).hasSize(4);
        assertThat(out.outs().getFirst()).isEqualTo(new HostCopy(HostCopy.Kind.STATE, slot, out.outs().getFirst().host()));
        assertThat(out.outs().subList(1, 4)).extracting(HostCopy::device).containsExactly(places[0], places[1], places[2]);

        // and comes back from where it went to
        SequenceMemory again = ((Granted) suspended.resume(310)).memory();
        MemoryWork in = runStep();
        assertThat(in.ins()).extracting(HostCopy::host).isEqualTo(out.outs().stream().map(HostCopy::host).toList());
        assertThat(in.ins().getFirst().device()).isEqualTo(again.slot());
        assertThat(in.ins().subList(1, 4)).extracting(HostCopy::device)
                .containsExactly(again.block(0), again.block(1), again.block(2));
        assertThat(cache.suspendedSequences()).isZero();
        assertThat(cache.suspendedBlocks()).isZero();
        again.close();
    }

    @Test
    void changesNothingWhereTheHostAreaIsFull() {
        SequenceMemory large = admit(600);
        SequenceMemory small = admit(100);
        SuspendedMemory first = large.suspend().orElseThrow();
        int held = cache.committedBlocks();

        assertThat(small.suspend()).as("five of five blocks are taken").isEmpty();

        assertThat(small.isClosed()).isFalse();
        assertThat(cache.committedBlocks()).isEqualTo(held);
        small.close();
        first.close();
        runStep();
        assertThat(cache.suspendedBlocks()).isZero();
    }

    @Test
    void comesBackOnlyBehindTheStepThatCopiedItOut() {
        SequenceMemory memory = admit(100);
        SuspendedMemory suspended = memory.suspend().orElseThrow();

        assertThat(suspended.resume(100)).isInstanceOf(WaitForSteps.class);
        assertThat(cache.hasWork()).isTrue();
        cache.launch(++step);
        SequenceMemory again = ((Granted) suspended.resume(100)).memory();

        again.close();
        cache.stepCompleted(step);
        runStep();
    }

    @Test
    void waitsForOthersWhereTheyHoldItsRoom() {
        SequenceMemory memory = admit(300);
        SuspendedMemory suspended = memory.suspend().orElseThrow();
        runStep();
        SequenceMemory first = admit(600);
        SequenceMemory second = admit(600);
        assertThat(suspended.resume(300)).isInstanceOf(WaitForOthers.class);
        first.close();
        assertThat(suspended.resume(300)).isInstanceOf(Granted.class);
        second.close();
        runStep();
    }

    @Test
    void keepsRoomOnTheHostWhileACopyIsUnderWay() {
        SequenceMemory memory = admit(600);
        SuspendedMemory suspended = memory.suspend().orElseThrow();
        cache.launch(++step);
        suspended.close();

        SequenceMemory next = admit(100);
        assertThat(next.suspend()).as("its blocks are being written").isEmpty();
        cache.stepCompleted(step);
        assertThat(next.suspend()).isPresent();
        runStep();
    }

    @Test
    void isResumedOrClosedOnce() {
        SuspendedMemory suspended = admit(100).suspend().orElseThrow();
        suspended.close();
        assertThatIllegalStateException().isThrownBy(suspended::close);
        assertThatIllegalStateException().isThrownBy(() -> suspended.resume(100));
        runStep();
    }
}
