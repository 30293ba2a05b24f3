package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.HostCopy;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.kvcache.StateCopy;
import dev.sidewinder.kvcache.StateWrite;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.TokenSource;
import java.util.List;
import org.junit.jupiter.api.Test;

class SlotPositionsTest {

    private static final CacheShape SHAPE = new CacheShape(16, 4);

    private final SlotPositions positions = new SlotPositions(SHAPE.slots(), 2);

    @Test
    void aSequenceGoesOnWhereItsSlotStandsOnly() {
        run(entry(1, 0, 0, 128), MemoryWork.NONE);
        assertGoesOn(entry(1, 0, 128, 1));
        assertRefused(entry(1, 0, 127, 1), "holds 128 tokens of sequence 1");
        assertRefused(entry(2, 0, 128, 1), "sequence 1");
        assertGoesOn(entry(2, 0, 0, 5));
    }

    @Test
    void aRestoredStateServesAnySequenceAtItsPosition() {
        // given a state that was kept after 128 tokens, from which its owner has gone on
        run(entry(1, 0, 0, 128), work(List.of(), List.of(), List.of(), List.of(new StateCopy(0, 3))));
        run(entry(1, 0, 128, 7), MemoryWork.NONE);

        // when another sequence gets it
        positions.before(work(List.of(), List.of(new StateCopy(3, 2)), List.of(), List.of()));

        // then that one goes on at 128, and nowhere else
        assertGoesOn(entry(9, 2, 128, 4));
        assertRefused(entry(9, 2, 135, 4), "holds 128 tokens of a copied state");

        // and once it has, the slot is its own
        run(entry(9, 2, 128, 4), MemoryWork.NONE);
        assertRefused(entry(8, 2, 132, 1), "sequence 9");
    }

    @Test
    void aStateWrittenOnTheWayServesAnySequenceAtItsPosition() {
        // given a piece that leaves its state at 128 tokens in slot 3, on its way to 200
        run(entry(1, 0, 0, 200, new StateWrite(128, 3)), MemoryWork.NONE);

        // when another sequence gets it
        positions.before(work(List.of(), List.of(new StateCopy(3, 2)), List.of(), List.of()));

        // then that one goes on at 128, and the first where it stood
        assertGoesOn(entry(9, 2, 128, 4));
        assertRefused(entry(9, 2, 200, 4), "holds 128 tokens of a copied state");
        assertGoesOn(entry(1, 0, 200, 4));
    }

    @Test
    void aStateGoesToASlotOfItsOwn() {
        for (int slot : new int[] {0, 4}) {
            assertThatIllegalArgumentException().isThrownBy(() -> positions.check(entry(1, 0, 0, 200, new StateWrite(128, slot)), SHAPE))
                    .withMessageContaining("to go to slot " + slot + " of 4");
        }
    }

    @Test
    void aSuspendedStateComesBackAfterAsManyTokens() {
        // given a sequence that was suspended after 130 tokens, and another one in its slot
        run(entry(1, 0, 0, 130), MemoryWork.NONE);
        positions.before(work(List.of(), List.of(), List.of(new HostCopy(HostCopy.Kind.STATE, 0, 1),
                new HostCopy(HostCopy.Kind.BLOCK, 3, 1)), List.of()));
        run(entry(2, 0, 0, 5), MemoryWork.NONE);

        // when it comes back elsewhere
        positions.before(work(List.of(new HostCopy(HostCopy.Kind.STATE, 2, 1), new HostCopy(HostCopy.Kind.BLOCK, 0, 1)), List.of(),
                List.of(), List.of()));

        // then it goes on there
        assertGoesOn(entry(1, 2, 130, 1));
        assertRefused(entry(1, 2, 129, 1), "holds 130 tokens");
    }

    @Test
    void aStateWrittenFromOutsideIsTakenOnTrust() {
        positions.hostWritten(0);
        positions.before(work(List.of(new HostCopy(HostCopy.Kind.STATE, 1, 0)), List.of(), List.of(), List.of()));
        assertGoesOn(entry(5, 1, 77, 3));
    }

    private void run(BatchEntry entry, MemoryWork work) {
        positions.before(work);
        positions.check(entry, SHAPE);
        positions.advance(new Batch(1, List.of(entry), work));
    }

    private void assertGoesOn(BatchEntry entry) {
        assertThatCode(() -> positions.check(entry, SHAPE)).doesNotThrowAnyException();
    }

    private void assertRefused(BatchEntry entry, String reason) {
        assertThatIllegalStateException().isThrownBy(() -> positions.check(entry, SHAPE)).withMessageContaining(reason);
    }

    private static MemoryWork work(List<HostCopy> ins, List<StateCopy> restores, List<HostCopy> outs, List<StateCopy> stores) {
        return new MemoryWork(ins, List.of(), restores, outs, stores);
    }

    private static BatchEntry entry(long sequence, int slot, int from, int count, StateWrite... writes) {
        return new BatchEntry(sequence, new int[256], from, count, TokenSource.PROMPT, LogitRows.NONE, new Allocation() {
            @Override
            public int slot() {
                return slot;
            }

            @Override
            public int blockCount() {
                return 2;
            }

            @Override
            public int block(int i) {
                return i;
            }
        }, List.of(writes));
    }
}
