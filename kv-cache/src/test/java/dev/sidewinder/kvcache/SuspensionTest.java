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
        assertThat(in.ins().subList(0, 3)).extracting(HostCopy::host).isEqualTo(out.outs().subList(1, 4).stream().map(HostCopy::host).toList());
        assertThat(in.ins().subList(0, 3)).extracting(HostCopy::device)
                .containsExactly(again.block(0), again.block(1), again.block(2));
        assertThat(in.ins().getLast()).isEqualTo(new HostCopy(HostCopy.Kind.STATE, again.slot(), out.outs().getFirst().host()));
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

    @Test
    void severalGoOnFromTheSamePlaces() {
        // given a suspended sequence and a second hold on it
        SuspendedMemory first = admit(300).suspend().orElseThrow();
        SuspendedMemory second = first.share();
        runStep();

        // when the first comes back, its places stay
        SequenceMemory one = ((Granted) first.resume(300)).memory();
        MemoryWork ins = runStep();
        assertThat(cache.suspendedSequences()).isEqualTo(1);
        assertThat(cache.suspendedBlocks()).isEqualTo(3);

        // and the second is copied from there to others
        SequenceMemory two = ((Granted) second.resume(300)).memory();
        assertThat(runStep().ins()).extracting(HostCopy::host).isEqualTo(ins.ins().stream().map(HostCopy::host).toList());
        assertThat(two.slot()).isNotEqualTo(one.slot());
        assertThat(cache.suspendedBlocks()).isZero();
        one.close();
        two.close();
        runStep();
    }

    @Test
    void copiesOnlyWhatIsNotOnTheHostYet() {
        // given a sequence of two blocks and a half that was suspended, held, and resumed
        SuspendedMemory base = admit(300).suspend().orElseThrow();
        runStep();
        SequenceMemory memory = ((Granted) base.share().resume(500)).memory();
        runStep();

        // when it has grown to four blocks and is suspended again
        assertThat(memory.reserve(300, 500)).isEqualTo(Growth.GRANTED);
        runStep();
        SuspendedMemory longer = memory.suspend(base, 2).orElseThrow();
        MemoryWork out = runStep();

        // then two whole blocks are shared, and the state and the other two are new
        assertThat(out.outs()).hasSize(3);
        assertThat(cache.suspendedSequences()).isEqualTo(2);
        assertThat(cache.suspendedBlocks()).isEqualTo(5);
        assertThat(longer.blockPlace(0)).isEqualTo(base.blockPlace(0));
        assertThat(longer.blockPlace(2)).isNotEqualTo(base.blockPlace(2));

        // and each can go without the other
        base.close();
        runStep();
        assertThat(cache.suspendedBlocks()).isEqualTo(4);
        SequenceMemory again = ((Granted) longer.resume(500)).memory();
        assertThat(runStep().ins()).hasSize(5);
        assertThat(cache.suspendedBlocks()).isZero();
        again.close();
        runStep();
    }

    @Test
    void aSharedPlaceStaysFencedForTheLatestOfItsCopies() {
        // given a place that one holder copies from in a step under way, while the other drops it
        SuspendedMemory first = admit(600).suspend().orElseThrow();
        runStep();
        SuspendedMemory second = first.share();
        SequenceMemory back = ((Granted) first.resume(600)).memory();
        cache.launch(++step);
        second.close();

        // then nobody gets it before that step has completed
        assertThat(cache.adopt(Optional.empty(), 1)).isEmpty();
        cache.stepCompleted(step);
        cache.adopt(Optional.empty(), 5).orElseThrow().close();
        back.close();
        runStep();
    }

    @Test
    void takesInWhatSomebodyElseWrote() {
        // given places for a sequence of two blocks, which can be written at once
        SuspendedMemory adopted = cache.adopt(Optional.of(new Partition(1, 1)), 2).orElseThrow();
        assertThat(adopted.isThere()).isTrue();
        assertThat(cache.adopt(Optional.empty(), 4)).as("three blocks are left").isEmpty();

        // when it is resumed
        SequenceMemory memory = ((Granted) adopted.resume(200)).memory();

        // then the next step copies from there
        MemoryWork in = runStep();
        assertThat(in.ins()).hasSize(3);
        assertThat(in.ins().getLast().kind()).isEqualTo(HostCopy.Kind.STATE);
        assertThat(memory.blockCount()).isEqualTo(2);
        memory.close();
        runStep();
    }

    @Test
    void isThereWhenTheStepThatCopiesItHasCompleted() {
        SuspendedMemory suspended = admit(100).suspend().orElseThrow();
        assertThat(suspended.isThere()).isFalse();
        cache.launch(++step);
        assertThat(suspended.isThere()).isFalse();
        cache.stepCompleted(step);
        assertThat(suspended.isThere()).isTrue();
        suspended.close();
        runStep();
    }

    // ---- more than a step copies: two blocks, or a state by itself

    private final FrameCache sliced = new FrameCache(new FrameShape(6, 4), new HostShape(2, 9, 2), ReuseEstimate.DEFAULT, new Random(7));

    private SequenceMemory admitSliced(int promptTokens) {
        var wish = new MemoryWish(Optional.of(new Partition(1, 1)), prompt, promptTokens, promptTokens);
        SequenceMemory memory = ((Granted) sliced.admit(wish)).memory();
        assertThat(memory.reserve(memory.reusedTokens(), promptTokens)).isEqualTo(Growth.GRANTED);
        return memory;
    }

    private MemoryWork runSlicedStep() {
        MemoryWork work = sliced.launch(++step);
        sliced.checkInvariants();
        sliced.stepCompleted(step);
        sliced.checkInvariants();
        return work;
    }

    @Test
    void aLongSequenceLeavesOverSeveralSteps() {
        // given five blocks and a state, 9 of the pool's 24 blocks
        SequenceMemory memory = admitSliced(600);
        runSlicedStep();
        assertThat(sliced.committedBlocks()).isEqualTo(9);
        SuspendedMemory suspended = memory.suspend().orElseThrow();

        // then what has been handed out comes free with its step, from the end of the sequence on
        assertThat(runSlicedStep().outs()).extracting(HostCopy::kind).containsExactly(HostCopy.Kind.STATE);
        assertThat(sliced.committedBlocks()).isEqualTo(5);
        assertThat(runSlicedStep().outs()).hasSize(2);
        assertThat(sliced.committedBlocks()).isEqualTo(3);
        assertThat(sliced.pool().freeBlocks()).isEqualTo(21);
        assertThat(suspended.resume(600)).as("before the rest has gone").isInstanceOf(WaitForSteps.class);
        assertThat(runSlicedStep().outs()).hasSize(2);
        assertThat(sliced.hasWork()).isTrue();
        assertThat(suspended.isThere()).isFalse();
        sliced.launch(++step);
        assertThat(sliced.hasWork()).isFalse();
        assertThat(suspended.isThere()).as("the last step is under way").isFalse();
        sliced.stepCompleted(step);
        assertThat(suspended.isThere()).isTrue();
        assertThat(sliced.pool().freeFrames()).isEqualTo(6);

        // and comes back over as many, and runs with the one that brings the last of it
        SequenceMemory again = ((Granted) suspended.resume(601)).memory();
        for (int each = 0; each < 3; each++) {
            assertThat(again.reserve(600, 601)).isEqualTo(Growth.AFTER_STEPS);
            assertThat(again.fork(prompt, 600, 601)).isInstanceOf(WaitForSteps.class);
            assertThat(runSlicedStep().ins()).extracting(HostCopy::kind).containsOnly(HostCopy.Kind.BLOCK);
        }
        assertThat(again.reserve(600, 601)).isEqualTo(Growth.GRANTED);
        assertThat(runSlicedStep().ins()).extracting(HostCopy::kind).containsExactly(HostCopy.Kind.STATE);
        assertThat(sliced.suspendedBlocks()).isZero();
        again.close();
        runSlicedStep();
    }

    @Test
    void nobodyElseIsPushedOutWhileSomebodyLeaves() {
        SequenceMemory large = admitSliced(600);
        SequenceMemory other = admitSliced(600);
        SequenceMemory third = admitSliced(200);
        assertThat(sliced.committedBlocks()).as("the whole pool").isEqualTo(9 + 9 + 6);
        large.suspend().orElseThrow();

        var wish = new MemoryWish(Optional.empty(), prompt, 600, 600);
        assertThat(sliced.admit(wish)).isInstanceOf(WaitForSteps.class);
        while (sliced.hasWork()) {
            runSlicedStep();
        }
        SequenceMemory next = ((Granted) sliced.admit(wish)).memory();
        assertThat(sliced.admit(wish)).isInstanceOf(WaitForOthers.class);
        next.close();
        other.close();
        third.close();
        runSlicedStep();
    }

    @Test
    void whoIsNotResumedAnyMoreStopsLeaving() {
        SequenceMemory memory = admitSliced(600);
        runSlicedStep();
        SuspendedMemory suspended = memory.suspend().orElseThrow();
        SuspendedMemory second = suspended.share();
        runSlicedStep();
        runSlicedStep();

        suspended.close();
        assertThat(sliced.hasWork()).as("somebody else holds it").isTrue();
        second.close();

        assertThat(sliced.hasWork()).isFalse();
        assertThat(sliced.pool().freeFrames()).isEqualTo(6);
        assertThat(sliced.suspendedBlocks()).isZero();
        assertThat(sliced.suspendedSequences()).isZero();
        sliced.checkInvariants();
    }

    @Test
    void whoHasToLeaveAgainOnItsWayBackTurnsRound() {
        SequenceMemory memory = admitSliced(600);
        SuspendedMemory suspended = memory.suspend().orElseThrow();
        while (sliced.hasWork()) {
            runSlicedStep();
        }
        int[] places = IntStream.range(0, 5).map(suspended::blockPlace).toArray();
        SequenceMemory again = ((Granted) suspended.resume(600)).memory();
        runSlicedStep();

        SuspendedMemory before = again.suspend().orElseThrow();

        assertThat(again.isClosed()).isTrue();
        assertThat(sliced.hasWork()).as("it is there already").isFalse();
        assertThat(before.isThere()).isTrue();
        assertThat(IntStream.range(0, 5).map(before::blockPlace).toArray()).isEqualTo(places);
        runSlicedStep();
        assertThat(sliced.pool().freeFrames()).isEqualTo(6);
        SequenceMemory third = ((Granted) before.resume(600)).memory();
        runSlicedStep();
        // and who ends on its way back leaves nothing behind
        third.close();
        assertThat(sliced.hasWork()).isFalse();
        runSlicedStep();
        assertThat(sliced.pool().freeFrames()).isEqualTo(6);
        assertThat(sliced.suspendedBlocks()).isZero();
    }

    @Test
    void aStateGoesByItselfWhereAStepCopiesLess() {
        var one = new FrameCache(new FrameShape(6, 4), new HostShape(2, 9, 1), ReuseEstimate.DEFAULT, new Random(7));
        SequenceMemory memory = ((Granted) one.admit(new MemoryWish(Optional.empty(), prompt, 200, 200))).memory();
        assertThat(memory.reserve(0, 200)).isEqualTo(Growth.GRANTED);
        SuspendedMemory suspended = memory.suspend().orElseThrow();
        for (int each = 0; each < 3; each++) {
            assertThat(one.launch(++step).outs()).hasSize(1);
            one.stepCompleted(step);
        }
        assertThat(one.hasWork()).isFalse();
        suspended.close();
        one.checkInvariants();
    }
}
