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
        assertThat(in.ins().getFirst().kind()).isEqualTo(HostCopy.Kind.STATE);
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
}
