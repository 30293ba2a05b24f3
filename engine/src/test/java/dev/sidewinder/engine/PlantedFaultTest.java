package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.BlockCopy;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostCopy;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.kvcache.SequenceMemory;
import dev.sidewinder.kvcache.StateCopy;
import dev.sidewinder.kvcache.StateWrite;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.TokenSource;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongPredicate;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// Plants the faults that the trace test is there to find, and sees that it finds each.
@Timeout(120)
class PlantedFaultTest {

    private static final int VOCAB = 61;
    private static final int MOST_TRACES = 30;
    /// Two sessions of one history have to write into the same block, and to be read again.
    private static final int MOST_TRACES_WITH_FORKS = 100;
    private static final FrameShape SHAPE = FrameShape.holding(3, 12, 2);
    private static final Trace.Size LONG = new Trace.Size(20, 250, 700, -1);
    private static final BackendMemory WITH_HOST = new BackendMemory(FrameShape.holding(3, 8, 2), new HostShape(64, 2048));
    private static final BackendMemory FOR_SESSIONS = new BackendMemory(FrameShape.holding(4, 16, 2), new HostShape(64, 2048));
    private static final Trace.Size SESSIONS = new Trace.Size(30, 60, 900, -1);
    private static final Trace.Size SIZE = new Trace.Size(30, 20, 400, -1);

    private static FakeBackend fake() {
        return new FakeBackend(VOCAB, SHAPE);
    }

    @Test
    void findsNothingWhereThereIsNoFault() {
        assertThat(tracesUntilFound(PlantedFaultTest::fake)).isEqualTo(MOST_TRACES);
    }

    @Test
    void findsAStateSlotThatIsNotClearedForItsNextSequence() {
        assertThat(tracesUntilFound(() -> fake().keepingStaleSlots())).isLessThan(MOST_TRACES);
    }

    @Test
    void findsAStateOfAnAnswerThatIsKeptFromBeforeItsBoundary() {
        assertThat(tracesUntilFound(() -> new FakeBackend(VOCAB, SHAPE) {
            @Override
            protected void copyBefore(MemoryWork work) {
                super.copyBefore(work);
                super.copyAfter(work);
            }

            @Override
            protected void copyAfter(MemoryWork work) {}
        })).isLessThan(MOST_TRACES);
    }

    @Test
    void findsAStateOfAnAnswerThatIsNotCopied() {
        assertThat(tracesUntilFound(() -> new FakeBackend(VOCAB, SHAPE) {
            @Override
            protected void copyAfter(MemoryWork work) {}
        })).isLessThan(MOST_TRACES);
    }

    @Test
    void findsAStateOfAnAnswerThatIsCopiedFromAnotherSlot() {
        assertThat(tracesUntilFound(() -> new FakeBackend(VOCAB, SHAPE) {
            @Override
            protected void copyAfter(MemoryWork work) {
                work.stores().forEach(copy -> copyState(new StateCopy((copy.from() + 1) % SHAPE.frames(), copy.to())));
            }
        })).isLessThan(MOST_TRACES);
    }

    @Test
    void findsAStateWrittenOnTheWayThatIsOfAChunkEarlier() {
        assertThat(tracesUntilFound(() -> new FakeBackend(VOCAB, SHAPE) {
            @Override
            protected int writtenAt(StateWrite write) {
                return write.position() - 64;
            }
        })).isLessThan(MOST_TRACES);
    }

    @Test
    void findsAStateWrittenOnTheWayThatIsNotWritten() {
        assertThat(tracesUntilFound(() -> new FakeBackend(VOCAB, SHAPE) {
            @Override
            protected int writtenAt(StateWrite write) {
                return Integer.MAX_VALUE;
            }
        })).isLessThan(MOST_TRACES);
    }

    @Test
    void findsAStateThatIsNotZeroedInASubclass() {
        assertThat(tracesUntilFound(() -> new FakeBackend(VOCAB, SHAPE) {
            @Override
            protected void clearState(int slot) {}
        })).isLessThan(MOST_TRACES);
    }

    @Test
    void findsAStateThatIsNotCopiedToWhoGoesOnFromIt() {
        assertThat(tracesUntilFound(() -> new FakeBackend(VOCAB, SHAPE) {
            @Override
            protected void copyBefore(MemoryWork work) {
                super.copyBefore(new MemoryWork(work.ins(), work.blocks(), List.of(), work.outs(), List.of()));
            }
        })).isLessThan(MOST_TRACES);
    }

    @Test
    void findsABlockThatMovesWithoutItsContent() {
        assertThat(tracesUntilFound(() -> new FakeBackend(VOCAB, SHAPE) {
            @Override
            protected void copyBlock(BlockCopy copy) {}
        })).isLessThan(MOST_TRACES);
    }

    @Test
    void findsNothingWhereSequencesAreSuspendedWithoutAFault() {
        assertThat(tracesUntilFound(() -> new FakeBackend(VOCAB, WITH_HOST), LONG)).isEqualTo(MOST_TRACES);
    }

    @Test
    void findsABlockThatIsLeftBehindWhenItsSequenceIsSuspended() {
        assertThat(tracesUntilFound(() -> new FakeBackend(VOCAB, WITH_HOST) {
            @Override
            protected void copyOut(HostCopy copy) {
                if (copy.kind() == HostCopy.Kind.STATE) {
                    super.copyOut(copy);
                }
            }
        }, LONG)).isLessThan(MOST_TRACES);
    }

    @Test
    void findsNothingWhereSessionsForkWithoutAFault() {
        assertThat(tracesUntilFound(() -> new FakeBackend(VOCAB, FOR_SESSIONS), SESSIONS)).isEqualTo(MOST_TRACES);
    }

    /// What forks of sessions have in common is in the host area. (`FrameCache.fork`, within frames, has the same fault planted in
    /// `kv-cache`: no engine forks there.) Without forks these traces find nothing, since what goes on alone writes behind what it reads.
    @Test
    void findsAForkThatSharesABlockWhichIsWritten() {
        var harness = new TraceHarness(() -> new SharingForks(FOR_SESSIONS));
        assertThat(tracesUntil(MOST_TRACES_WITH_FORKS, seed -> harness.finds(seed, SESSIONS, () -> new SharingForks(FOR_SESSIONS))))
                .isLessThan(MOST_TRACES_WITH_FORKS);
    }

    @Test
    void findsABlockTableThatPointsToAnothersBlock() {
        assertThat(tracesUntilFound(() -> Tampering.with(Tampering::swapFirstBlocks))).isLessThan(MOST_TRACES);
    }

    @Test
    void findsTwoSequencesInOneSlot() {
        assertThat(tracesUntilFound(() -> Tampering.with(Tampering::shareASlot))).isLessThan(MOST_TRACES);
    }

    @Test
    void findsMemoryThatIsGivenBackAStepTooEarly() {
        assertThat(tracesUntilFound(() -> Tampering.with(Tampering::freeTheOldestTooEarly))).isLessThan(MOST_TRACES);
    }

    @Test
    void findsASkippedPosition() {
        assertThat(tracesUntilFound(() -> Tampering.with(Tampering::skipAToken))).isLessThan(MOST_TRACES);
    }

    @Test
    void findsABlockThatIsGivenBackAndStillInUse() {
        assertThat(tracesUntilFound(() -> Tampering.with(Tampering::forgetTheLastBlock))).isLessThan(MOST_TRACES);
    }

    @Test
    void findsNothingWhereStepsRunAheadWithoutAFault() {
        assertThat(tracesUntilFoundAhead(UnaryOperator.identity())).isEqualTo(MOST_TRACES);
    }

    @Test
    void findsMemoryThatIsGivenBackThoughAStepAheadStillTouchesIt() {
        assertThat(tracesUntilFoundAhead(backend -> Tampering.before(backend, Tampering::freeTheOldestTooEarly))).isLessThan(MOST_TRACES);
    }

    @Test
    void findsTokensAndStatesThatAreTakenFromTheWrongSlot() {
        assertThat(tracesUntilFoundAhead(backend -> Tampering.before(backend, Tampering::swapUnread))).isLessThan(MOST_TRACES);
    }

    /// Alone, requests run on a backend without a fault that is awaited step by step.
    private static int tracesUntilFoundAhead(UnaryOperator<Backend> fault) {
        var harness = new TraceHarness(PlantedFaultTest::fake);
        return tracesUntil(MOST_TRACES, seed -> harness.finds(seed, SIZE, () -> fault.apply(new AheadBackend(fake(), seed, 0))));
    }

    private static int tracesUntilFound(Supplier<Backend> backends) {
        return tracesUntilFound(backends, SIZE);
    }

    private static int tracesUntilFound(Supplier<Backend> backends, Trace.Size size) {
        var harness = new TraceHarness(backends);
        return tracesUntil(MOST_TRACES, seed -> harness.finds(seed, size, backends));
    }

    private static int tracesUntil(int most, LongPredicate found) {
        for (int trace = 0; trace < most; trace++) {
            if (found.test(1000 + trace)) {
                return trace;
            }
        }
        return most;
    }

    /// A block of the host area that was brought in, written on and put away again is still the same block for all whose memory it
    /// is, wherever the cache believes that they have it: what a session writes there, its forks find.
    private static final class SharingForks extends FakeBackend {

        private static final int BLOCK = CacheShape.BLOCK_TOKENS;

        /// For each place of the host area, and each block of the pool, what it shares; null = nothing yet.
        private final MemorySegment[] ofPlace;
        private final MemorySegment[] ofBlock;

        SharingForks(BackendMemory memory) {
            super(VOCAB, memory);
            this.ofPlace = new MemorySegment[memory.host().blocks()];
            this.ofBlock = new MemorySegment[memory.frames().blocks()];
        }

        @Override
        public Logits forward(Batch batch) {
            Logits logits = super.forward(batch);
            // A block that begins is its sequence's own.
            for (BatchEntry entry : batch.entries()) {
                for (int begun = Math.ceilDiv(entry.from(), BLOCK); begun * BLOCK < entry.from() + entry.count(); begun++) {
                    ofBlock[entry.allocation().block(begun)] = null;
                }
            }
            return logits;
        }

        @Override
        protected void copyBlock(BlockCopy copy) {
            super.copyBlock(copy);
            ofBlock[copy.to()] = null;
        }

        @Override
        protected void copyIn(HostCopy copy) {
            if (copy.kind() == HostCopy.Kind.BLOCK) {
                hostBlock(copy.host()).copyFrom(ofPlace[copy.host()]);
                ofBlock[copy.device()] = ofPlace[copy.host()];
            }
            super.copyIn(copy);
        }

        @Override
        protected void copyOut(HostCopy copy) {
            super.copyOut(copy);
            if (copy.kind() == HostCopy.Kind.BLOCK) {
                MemorySegment shared = ofBlock[copy.device()];
                ofPlace[copy.host()] = shared != null ? shared : Arena.ofAuto().allocate(hostBlock(copy.host()).byteSize());
                ofPlace[copy.host()].copyFrom(hostBlock(copy.host()));
            }
        }
    }

    /// Changes batches of several sequences on their way to the backend, so that a request alone goes through untouched.
    private static final class Tampering {

        private Tampering() {}

        static Backend with(UnaryOperator<List<BatchEntry>> fault) {
            return before(fake(), fault);
        }

        static Backend before(Backend backend, UnaryOperator<List<BatchEntry>> fault) {
            return new WatchedBackend(backend, batch -> {
                List<BatchEntry> entries = new ArrayList<>(batch.entries());
                return new Batch(batch.step(), entries.size() < 2 ? entries : fault.apply(entries), batch.memory());
            });
        }

        private static BatchEntry with(BatchEntry entry, Allocation memory) {
            return new BatchEntry(entry.sequence(), entry.tokens(), entry.from(), entry.count(), entry.source(), entry.logits(), memory,
                    entry.writes());
        }

        static List<BatchEntry> swapFirstBlocks(List<BatchEntry> entries) {
            Allocation first = entries.get(0).allocation();
            entries.set(1, with(entries.get(1), new Faulty(entries.get(1).allocation(), entries.get(1).allocation().slot(), first.block(0), 0)));
            return entries;
        }

        static List<BatchEntry> shareASlot(List<BatchEntry> entries) {
            entries.set(1, with(entries.get(1), new Faulty(entries.get(1).allocation(), entries.get(0).allocation().slot(), -1, 0)));
            return entries;
        }

        static List<BatchEntry> freeTheOldestTooEarly(List<BatchEntry> entries) {
            SequenceMemory oldest = (SequenceMemory) entries.getFirst().allocation();
            if (!oldest.isClosed()) {
                oldest.close();
            }
            return entries;
        }

        /// Two sequences get each other's token and state.
        static List<BatchEntry> swapUnread(List<BatchEntry> entries) {
            BatchEntry first = entries.get(0);
            BatchEntry second = entries.get(1);
            if (first.source() == TokenSource.UNREAD && second.source() == TokenSource.UNREAD) {
                entries.set(0, with(first, new Faulty(first.allocation(), second.allocation().slot(), -1, 0)));
                entries.set(1, with(second, new Faulty(second.allocation(), first.allocation().slot(), -1, 0)));
            }
            return entries;
        }

        static List<BatchEntry> skipAToken(List<BatchEntry> entries) {
            BatchEntry last = entries.getLast();
            if (last.count() > 1) {
                entries.set(entries.size() - 1, new BatchEntry(last.sequence(), last.tokens(), last.from() + 1, last.count() - 1,
                        last.source(), last.logits(), last.allocation(), last.writes()));
            }
            return entries;
        }

        static List<BatchEntry> forgetTheLastBlock(List<BatchEntry> entries) {
            Allocation first = entries.get(0).allocation();
            Allocation second = entries.get(1).allocation();
            entries.set(1, with(entries.get(1), new Faulty(second, second.slot(), first.block(first.blockCount() - 1), second.blockCount() - 1)));
            return entries;
        }
    }

    /// Another slot, and another block (unless -1) in one place.
    private record Faulty(Allocation real, int slot, int wrongBlock, int place) implements Allocation {

        @Override
        public int blockCount() {
            return real.blockCount();
        }

        @Override
        public int block(int i) {
            return i == place && wrongBlock >= 0 ? wrongBlock : real.block(i);
        }
    }
}
