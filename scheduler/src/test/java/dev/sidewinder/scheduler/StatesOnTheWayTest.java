package dev.sidewinder.scheduler;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.kvcache.ReuseEstimate;
import dev.sidewinder.kvcache.StateWrite;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// States at marks are written by the steps that pass them: no piece of a prompt ends for one.
class StatesOnTheWayTest {

    private static final Partition MINE = new Partition(1, 1);
    private static final int PROMPT = 1000;

    private final FrameCache cache = cache(12);
    private long ids;

    private static FrameCache cache(int frames) {
        return new FrameCache(new FrameShape(frames, 4), HostShape.NONE, ReuseEstimate.DEFAULT, new SplittableRandom(1));
    }

    private static Scheduler<String> scheduler(FrameCache cache, int batchTokens) {
        return new Scheduler<>(new SchedulerLimits(4, batchTokens, 4096), cache);
    }

    /// Marks at 128, 300 and 700: states behind 128, 256 and 640 tokens.
    private Sequence<String> marked() {
        List<Mark> marks = List.of(new Mark(128, CheckpointPoint.SYSTEM), new Mark(300, CheckpointPoint.TURN_START),
                new Mark(700, CheckpointPoint.TURN_START));
        return new Sequence<>(++ids, new int[PROMPT], 2, false, Claim.ORDINARY, new Prefixes(Optional.of(MINE), marks, false, false), "s" + ids);
    }

    private static void complete(Scheduler<String> scheduler, Batch batch) {
        var tokens = new SampledTokens(batch.entries().size());
        for (int i = 0; i < batch.entries().size(); i++) {
            if (batch.entries().get(i).logits() != LogitRows.NONE) {
                tokens.set(i, 7);
            }
        }
        scheduler.complete(batch, tokens);
        scheduler.checkInvariants();
    }

    @ParameterizedTest
    @CsvSource({"2048, 1000", "1000, 1000", "512, 512 488", "256, 256 256 256 232", "384, 384 384 232"})
    void piecesAreAsLargeAsTheBudgetTakesAndWriteEveryStateTheyPass(int batchTokens, String pieces) {
        Scheduler<String> scheduler = scheduler(cache, batchTokens);
        Sequence<String> sequence = marked();
        scheduler.submit(sequence);
        List<Integer> counts = new ArrayList<>();
        List<StateWrite> writes = new ArrayList<>();

        while (sequence.computed() < PROMPT) {
            Batch batch = scheduler.next();
            assertThat(batch.memory().stores()).as("nothing is copied behind a step").isEmpty();
            counts.add(batch.entries().getFirst().count());
            writes.addAll(batch.entries().getFirst().writes());
            complete(scheduler, batch);
        }

        assertThat(counts).isEqualTo(Arrays.stream(pieces.split(" ")).map(Integer::valueOf).toList());
        assertThat(writes).extracting(StateWrite::position).containsExactly(128, 256, 640);
        assertThat(cache.keptStates()).isEqualTo(3);
        assertThat(cache.reusableTokens(MINE, new int[PROMPT], PROMPT)).isEqualTo(640);
        assertThat(cache.reusableTokens(MINE, new int[PROMPT], 640)).isEqualTo(256);
    }

    @Test
    void whatComesAgainGoesOnFromTheLastOfThemAndWritesNoneTwice() {
        Scheduler<String> scheduler = scheduler(cache, 2048);
        scheduler.submit(marked());
        complete(scheduler, scheduler.next());

        scheduler.submit(marked());
        Batch batch = scheduler.next();

        BatchEntry again = batch.entries().get(1);
        assertThat(again.from()).isEqualTo(640);
        assertThat(again.count()).isEqualTo(PROMPT - 640);
        assertThat(again.writes()).isEmpty();
    }

    @Test
    void nobodyGoesOnFromAStateWhoseStepIsUnderWay() {
        Scheduler<String> scheduler = scheduler(cache, 2048);
        scheduler.submit(marked());
        Batch first = scheduler.next();
        scheduler.submit(marked());

        Batch second = scheduler.ahead();
        complete(scheduler, first);

        assertThat(second.entries()).extracting(BatchEntry::from).as("the generated token, and a prompt from its beginning")
                .containsExactly(PROMPT, 0);
        assertThat(second.entries().get(1).writes()).as("of which it keeps its own").hasSize(3)
                .doesNotContainAnyElementsOf(first.entries().getFirst().writes());
        complete(scheduler, second);
        assertThat(cache.keptStates()).as("and gives them back, since they are there").isEqualTo(3);
    }

    @Test
    void aSequenceThatEndsWhileItsStepIsUnderWayLeavesNothing() {
        Scheduler<String> scheduler = scheduler(cache, 512);
        Sequence<String> sequence = marked();
        scheduler.submit(sequence);
        Batch first = scheduler.next();
        Batch second = scheduler.ahead();
        assertThat(second.entries().getFirst().writes()).extracting(StateWrite::position).containsExactly(640);

        scheduler.end(sequence);
        complete(scheduler, first);
        assertThat(cache.pool().freeFrames()).as("the second step still writes").isLessThan(12);
        complete(scheduler, second);

        assertThat(cache.keptStates()).isZero();
        assertThat(cache.pool().freeFrames()).isEqualTo(12);
    }

    @Test
    void nothingOfASequenceThatWentWrongIsKept() {
        Scheduler<String> scheduler = scheduler(cache, 512);
        Sequence<String> sequence = marked();
        scheduler.submit(sequence);
        complete(scheduler, scheduler.next());
        assertThat(cache.keptStates()).isEqualTo(2);
        Batch second = scheduler.next();

        scheduler.discard(sequence);
        complete(scheduler, second);

        assertThat(cache.keptStates()).isZero();
        assertThat(cache.pool().freeFrames()).isEqualTo(12);
    }

    /// Four frames: the sequence's state, two of its blocks, and one for a state.
    @Test
    void aStateWithoutAFrameIsNotKeptAndTheOthersAre() {
        FrameCache small = cache(4);
        Scheduler<String> scheduler = scheduler(small, 2048);
        scheduler.submit(marked());

        Batch batch = scheduler.next();
        complete(scheduler, batch);

        assertThat(batch.entries().getFirst().count()).isEqualTo(PROMPT);
        assertThat(batch.entries().getFirst().writes()).extracting(StateWrite::position).containsExactly(128);
        assertThat(small.counts().refusedStates()).isEqualTo(2);
    }

    @ParameterizedTest
    @CsvSource({"0, 256, PROMPT, 384", "0, 256, PROMPT, 256 128", "128, 128, PROMPT, 128", "127, 1, GENERATED, 128", "0, 300, PROMPT, 128 128"})
    void anEntryWritesStatesWithinAPieceOfAPromptInRisingOrder(int from, int count, TokenSource source, String positions) {
        List<StateWrite> writes = Arrays.stream(positions.split(" ")).map(position -> new StateWrite(Integer.parseInt(position), 1)).toList();

        assertThatIllegalArgumentException()
                .isThrownBy(() -> new BatchEntry(1, new int[400], from, count, source, LogitRows.LAST, null, writes))
                .withMessageContaining("states to be written");
    }

    @ParameterizedTest
    @CsvSource({"0, 0", "-128, 0", "100, 0", "129, 0", "128, -1"})
    void aStateIsWrittenOnTheGridToASlotThatThereIs(int position, int slot) {
        assertThatIllegalArgumentException().isThrownBy(() -> new StateWrite(position, slot))
                .withMessageContaining("multiple of " + CacheShape.BLOCK_TOKENS);
    }
}
