package dev.sidewinder.kvcache;

import static dev.sidewinder.kvcache.CacheShape.BLOCK_TOKENS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.sidewinder.kvcache.MemoryAdmission.Granted;
import dev.sidewinder.kvcache.MemoryAdmission.NeverFits;
import dev.sidewinder.kvcache.MemoryAdmission.WaitForOthers;
import dev.sidewinder.kvcache.MemoryAdmission.WaitForSteps;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FrameCacheTest {

    private static final Partition ALICE = new Partition(1, 1);
    private static final Partition BOB = new Partition(1, 2);

    private FrameCache cache = cache(16, 4);
    private long step;

    private static FrameCache cache(int frames, int blocksPerFrame) {
        return new FrameCache(new FrameShape(frames, blocksPerFrame), new HostShape(2, 8), ReuseEstimate.DEFAULT, new Random(7));
    }

    @AfterEach
    void booksBalance() {
        cache.checkInvariants();
    }

    private static int[] tokens(int count) {
        int[] tokens = new int[count];
        for (int i = 0; i < count; i++) {
            tokens[i] = i * 31 % 1009;
        }
        return tokens;
    }

    private MemoryAdmission ask(Partition partition, int[] tokens, int promise) {
        return cache.admit(new MemoryWish(Optional.ofNullable(partition), tokens, tokens.length, promise));
    }

    private SequenceMemory admit(Partition partition, int[] tokens) {
        return ((Granted) ask(partition, tokens, tokens.length)).memory();
    }

    /// Runs a step over tokens `[from, to)`, and keeps the state at its end where that is on the grid.
    private void run(SequenceMemory memory, int[] tokens, int from, int to, boolean keep) {
        assertThat(memory.reserve(from, to)).isEqualTo(Growth.GRANTED);
        if (keep && to % BLOCK_TOKENS == 0) {
            assertThat(memory.checkpoint(to, CheckpointPoint.TURN_START)).isPresent();
        }
        cache.launch(++step);
        cache.stepCompleted(step);
        memory.computed(tokens, to);
    }

    /// Computes a whole prompt, keeping the state at every point of the grid, and ends.
    private void compute(Partition partition, int[] tokens) {
        SequenceMemory memory = admit(partition, tokens);
        for (int from = memory.reusedTokens(); from < tokens.length; ) {
            int to = Math.min(tokens.length, from + BLOCK_TOKENS);
            run(memory, tokens, from, to, true);
            from = to;
        }
        memory.close();
    }

    @ParameterizedTest
    @CsvSource({"1, 0", "127, 0", "128, 0", "129, 128", "255, 128", "256, 128", "257, 256", "384, 256", "385, 384"})
    void goesOnFromTheLastBlockBeforeTheEndOfAPromptSentTwice(int length, int reused) {
        int[] prompt = tokens(length);
        compute(ALICE, prompt);

        SequenceMemory again = admit(ALICE, prompt);

        assertThat(again.reusedTokens()).isEqualTo(reused);
        assertThat(again.blockCount()).isEqualTo(reused / BLOCK_TOKENS);
        assertThat(cache.counts().hits()).isEqualTo(reused > 0 ? 1 : 0);
        again.close();
    }

    @Test
    void copiesTheStateForWhoeverGoesOnFromIt() {
        int[] prompt = tokens(300);
        compute(ALICE, prompt);
        SequenceMemory first = admit(ALICE, prompt);
        SequenceMemory second = admit(ALICE, prompt);

        MemoryWork work = cache.launch(++step);
        cache.stepCompleted(step);

        assertThat(work.restores()).extracting(StateCopy::to).containsExactly(first.slot(), second.slot());
        assertThat(work.restores()).extracting(StateCopy::from).containsOnly(work.restores().getFirst().from());
        assertThat(first.block(0)).as("blocks are shared").isEqualTo(second.block(0));
        assertThat(first.slot()).isNotEqualTo(second.slot());
        first.close();
        second.close();
    }

    @Test
    void showsNothingToAnotherPartition() {
        int[] prompt = tokens(300);
        compute(ALICE, prompt);

        assertThat(cache.reusableTokens(ALICE, prompt, 300)).isEqualTo(256);
        assertThat(cache.reusableTokens(BOB, prompt, 300)).isZero();
        SequenceMemory bob = admit(BOB, prompt);
        assertThat(bob.reusedTokens()).isZero();
        bob.close();
    }

    @Test
    void neitherGivesNorTakesWithoutAPartition() {
        int[] prompt = tokens(300);
        compute(ALICE, prompt);
        int kept = cache.keptBlocks();

        SequenceMemory alone = admit(null, prompt);
        assertThat(alone.reusedTokens()).isZero();
        assertThat(alone.reserve(0, 256)).isEqualTo(Growth.GRANTED);
        assertThat(alone.checkpoint(256, CheckpointPoint.SYSTEM)).isEmpty();
        alone.computed(prompt, 256);
        alone.close();

        assertThat(cache.keptBlocks()).isEqualTo(kept);
        assertThat(cache.counts().lookups()).as("only the first one looked").isEqualTo(1);
    }

    @ParameterizedTest
    @CsvSource({"0, 0", "127, 0", "128, 128", "200, 128", "255, 128", "256, 256", "299, 256"})
    void goesOnFromWhereTokensStillAgree(int firstDifference, int reused) {
        int[] prompt = tokens(300);
        compute(ALICE, prompt);
        int[] other = prompt.clone();
        other[firstDifference] = 2000;

        SequenceMemory memory = admit(ALICE, other);

        assertThat(memory.reusedTokens()).isEqualTo(reused);
        memory.close();
    }

    @Test
    void needsAStateToGoOnWhereKeysAndValuesAreThere() {
        // given three blocks and only the state after the first
        int[] prompt = tokens(400);
        SequenceMemory memory = admit(ALICE, prompt);
        run(memory, prompt, 0, 128, true);
        run(memory, prompt, 128, 384, false);
        run(memory, prompt, 384, 400, false);
        memory.close();

        SequenceMemory again = admit(ALICE, prompt);
        assertThat(again.reusedTokens()).isEqualTo(128);
        again.close();
    }

    /// Runs a block, and keeps the state at its end as the latest of its kind.
    private void runKeepingLatest(SequenceMemory memory, int[] tokens, int from, CheckpointPoint point) {
        assertThat(memory.reserve(from, from + BLOCK_TOKENS)).isEqualTo(Growth.GRANTED);
        assertThat(memory.checkpointLatest(from + BLOCK_TOKENS, point)).isTrue();
        cache.launch(++step);
        cache.stepCompleted(step);
        memory.computed(tokens, from + BLOCK_TOKENS);
    }

    @Test
    void keepsOnlyTheLatestStateOfAnAnswer() {
        int[] tokens = tokens(500);
        SequenceMemory memory = admit(ALICE, tokens);
        run(memory, tokens, 0, 128, true);

        runKeepingLatest(memory, tokens, 128, CheckpointPoint.TURN_END);
        assertThat(cache.keptStateList()).as("the state of the prompt, kept for another reason, stays").hasSize(2);
        runKeepingLatest(memory, tokens, 256, CheckpointPoint.TURN_END);

        assertThat(cache.keptStateList()).hasSize(2);
        assertThat(cache.reusableTokens(ALICE, tokens, 500)).isEqualTo(384);
        assertThat(cache.reusableTokens(ALICE, tokens, 384)).as("that at 256 has gone").isEqualTo(128);
        memory.close();
        assertThat(cache.reusableTokens(ALICE, tokens, 500)).isEqualTo(384);
    }

    @Test
    void keepsAnEarlierStateOfAnAnswerThatOthersHaveGoneOnFrom() {
        int[] tokens = tokens(500);
        SequenceMemory memory = admit(ALICE, tokens);
        run(memory, tokens, 0, 128, false);
        runKeepingLatest(memory, tokens, 128, CheckpointPoint.TURN_END);
        SequenceMemory other = admit(ALICE, Arrays.copyOf(tokens, 300));
        assertThat(other.reusedTokens()).isEqualTo(256);

        runKeepingLatest(memory, tokens, 256, CheckpointPoint.TURN_END);

        assertThat(cache.reusableTokens(ALICE, tokens, 384)).isEqualTo(256);
        assertThat(cache.reusableTokens(ALICE, tokens, 500)).isEqualTo(384);
        other.close();
        memory.close();
    }

    /// A block more is not worth as much as the two before it, and yet the latest state is worth more than the one before.
    @Test
    void givesTheFrameOfTheStateBeforeToTheLatestWhereNoneIsFree() {
        // given a slot, three blocks and a state at 256 in a pool of five frames
        cache = cache(5, 1);
        int[] tokens = tokens(400);
        SequenceMemory memory = admit(ALICE, Arrays.copyOf(tokens, 384));
        run(memory, tokens, 0, 128, false);
        runKeepingLatest(memory, tokens, 128, CheckpointPoint.TURN_END);
        assertThat(memory.reserve(256, 384)).isEqualTo(Growth.GRANTED);
        assertThat(cache.pool().freeFrames()).isZero();

        // when the next one is kept
        assertThat(memory.checkpointLatest(384, CheckpointPoint.TURN_END)).isTrue();
        assertThat(cache.reusableTokens(ALICE, tokens, 400)).as("its frame is promised to the next one").isZero();
        cache.launch(++step);
        cache.stepCompleted(step);
        memory.computed(tokens, 384);

        // then it has the frame of the one before
        assertThat(cache.keptStates()).isEqualTo(1);
        assertThat(cache.reusableTokens(ALICE, tokens, 400)).isEqualTo(384);
        assertThat(cache.counts().refusedStates()).isZero();
        memory.close();
    }

    @Test
    void keepsTheStateBeforeWhereItsFrameIsPromisedToThoseWhoRun() {
        cache = cache(5, 1);
        int[] tokens = tokens(400);
        SequenceMemory memory = ((Granted) ask(ALICE, Arrays.copyOf(tokens, 384), 512)).memory();
        run(memory, tokens, 0, 128, false);
        assertThat(memory.reserve(128, 256)).isEqualTo(Growth.GRANTED);

        // slot and four blocks promised are all there is
        assertThat(memory.checkpointLatest(256, CheckpointPoint.TURN_END)).isFalse();
        assertThat(cache.counts().refusedStates()).isEqualTo(1);
        memory.close();
    }

    @Test
    void leavesTheStateBeforeToOthersThatHaveGoneOnFromIt() {
        // given a second sequence that stands on the state at 256, and no free frame
        cache = cache(7, 1);
        int[] tokens = tokens(400);
        SequenceMemory memory = admit(ALICE, Arrays.copyOf(tokens, 384));
        run(memory, tokens, 0, 128, false);
        runKeepingLatest(memory, tokens, 128, CheckpointPoint.TURN_END);
        SequenceMemory other = admit(ALICE, Arrays.copyOf(tokens, 300));
        assertThat(other.reusedTokens()).isEqualTo(256);
        assertThat(other.reserve(256, 300)).isEqualTo(Growth.GRANTED);
        assertThat(memory.reserve(256, 384)).isEqualTo(Growth.GRANTED);
        assertThat(cache.pool().freeFrames()).isZero();

        // then the latest is not worth their state
        assertThat(memory.checkpointLatest(384, CheckpointPoint.TURN_END)).isFalse();
        assertThat(cache.reusableTokens(ALICE, tokens, 400)).isEqualTo(256);
        other.close();
        memory.close();
    }

    /// Each turn leaves a state; the one before the latest serves edits alone.
    @Test
    void lowersTheWorthOfATurnWhenTheConversationHasGoneOn() {
        int[] tokens = tokens(700);
        SequenceMemory first = admit(ALICE, Arrays.copyOf(tokens, 300));
        run(first, tokens, 0, 256, true);
        first.close();
        double before = chanceAt(256);

        SequenceMemory second = admit(ALICE, Arrays.copyOf(tokens, 600));
        run(second, tokens, 256, 512, true);
        second.close();

        assertThat(chanceAt(512)).isEqualTo(1);
        assertThat(chanceAt(256)).as("with one use more").isLessThan(0.13 * (before + 1)).isGreaterThan(0.12 * before);
    }

    @Test
    void leavesTheWorthOfATurnThatSeveralConversationsHaveInCommon() {
        int[] tokens = tokens(700);
        SequenceMemory first = admit(ALICE, Arrays.copyOf(tokens, 300));
        run(first, tokens, 0, 256, true);
        SequenceMemory second = admit(ALICE, Arrays.copyOf(tokens, 600));
        run(second, tokens, 256, 512, true);

        assertThat(chanceAt(256)).as("the first stands there still").isGreaterThan(1.9);
        first.close();
        second.close();
    }

    /// The next user turn drops what was reasoned in the loop and goes on from its beginning.
    @Test
    void leavesTheWorthOfATurnInWhichAToolLoopBegan() {
        int[] tokens = tokens(1100);
        SequenceMemory memory = admit(ALICE, tokens);
        run(memory, tokens, 0, 256, true);
        runKeepingLatest(memory, tokens, 256, CheckpointPoint.TURN_END);
        assertThat(chanceAt(256)).isEqualTo(1);

        run(memory, tokens, 384, 512, true);
        assertThat(chanceAt(384)).as("the end of the call, whose result has come").isEqualTo(0.125);
        runKeepingLatest(memory, tokens, 512, CheckpointPoint.TURN_END);
        assertThat(chanceAt(512)).as("in the loop").isEqualTo(0.125);
        assertThat(chanceAt(256)).as("its beginning, and what was left of the end of the first call").isEqualTo(1.125);
        memory.close();
    }

    private double chanceAt(int position) {
        return cache.keptStateList().stream().filter(each -> each.tokens() == position).findFirst().orElseThrow().worth().chance();
    }

    @ParameterizedTest
    @CsvSource({"0, 127", "0, 129", "0, 0", "128, 128"})
    void refusesToKeepTheLatestStateOffTheGridOrBehindWhatIsKept(int computed, int position) {
        int[] tokens = tokens(300);
        SequenceMemory memory = admit(ALICE, tokens);
        if (computed > 0) {
            run(memory, tokens, 0, computed, true);
        }

        assertThatIllegalArgumentException().isThrownBy(() -> memory.checkpointLatest(position, CheckpointPoint.TURN_END))
                .withMessageContaining("multiple of 128");
        memory.close();
    }

    @Test
    void keepsWhatIsInTheTreeWithoutWaitingAndFencesWhatAStepMayTouch() {
        int[] prompt = tokens(256);
        SequenceMemory memory = admit(ALICE, prompt);
        run(memory, prompt, 0, 128, true);
        memory.reserve(128, 256);
        cache.launch(++step);
        memory.close();

        assertThat(cache.pool().use().fencedStates()).isEqualTo(1);
        assertThat(cache.pool().use().fencedBlocks()).as("the second block; the first is the tree's").isEqualTo(1);
        cache.stepCompleted(step);
        assertThat(cache.pool().comingBlocks()).isZero();
        assertThat(cache.keptBlocks()).isEqualTo(1);
        cache.evictAll();
        assertThat(cache.pool().freeFrames()).isEqualTo(16);
    }

    @Test
    void keepsEveryStateThatAStepWritesOnItsWayOnceTheStepHasCompleted() {
        // given a prompt in one piece, with three states on its way
        int[] prompt = tokens(500);
        SequenceMemory memory = admit(ALICE, prompt);
        memory.reserve(0, 500);
        List<StateWrite> writes = Stream.of(128, 256, 384).map(at -> memory.checkpoint(at, CheckpointPoint.TURN_START).orElseThrow()).toList();

        // when the step is under way
        MemoryWork work = cache.launch(++step);

        // then nothing is copied, each has a slot of its own, and nobody finds them yet
        assertThat(work.isEmpty()).isTrue();
        assertThat(writes).extracting(StateWrite::position).containsExactly(128, 256, 384);
        assertThat(writes).extracting(StateWrite::slot).doesNotHaveDuplicates().doesNotContain(memory.slot());
        assertThat(cache.reusableTokens(ALICE, prompt, 500)).isZero();

        // and when it has completed, all are there
        cache.stepCompleted(step);
        assertThat(cache.reusableTokens(ALICE, prompt, 500)).as("completed, and its sequence was not told yet").isZero();
        memory.computed(prompt, 500);
        assertThat(cache.keptStateList()).extracting(KeptState::tokens).containsExactlyInAnyOrder(128, 256, 384);
        assertThat(cache.reusableTokens(ALICE, prompt, 500)).isEqualTo(384);
        memory.close();
    }

    @Test
    void aStateOfAStepLaunchedAheadIsNotThereWhenTheStepBeforeHasCompleted() {
        // given a step to the last token in front of the end of a block, and the next one, which keeps its state, behind it
        int[] prompt = tokens(129);
        SequenceMemory memory = admit(ALICE, prompt);
        memory.reserve(0, 127);
        cache.launch(++step);
        memory.reserve(127, 128);
        assertThat(memory.checkpoint(128, CheckpointPoint.TURN_START)).isPresent();
        cache.launch(++step);

        // when the first one has completed
        cache.stepCompleted(step - 1);
        memory.computed(prompt, 127);

        // then the state is not there yet
        assertThat(cache.reusableTokens(ALICE, prompt, 129)).isZero();
        cache.stepCompleted(step);
        memory.computed(prompt, 128);
        assertThat(cache.reusableTokens(ALICE, prompt, 129)).isEqualTo(128);
        memory.close();
    }

    @Test
    void forgetsStatesWhoseSequenceEndedBeforeTheirStepWasLaunched() {
        int[] prompt = tokens(400);
        SequenceMemory memory = admit(ALICE, prompt);
        memory.reserve(0, 400);
        assertThat(memory.checkpoint(128, CheckpointPoint.SYSTEM)).isPresent();
        assertThat(memory.checkpoint(256, CheckpointPoint.TURN_START)).isPresent();
        memory.close();

        // the next step counts as writing them, whether it does or not
        assertThat(cache.hasWork()).as("a step has to be launched").isTrue();
        assertThat(cache.launch(++step).isEmpty()).isTrue();
        assertThat(cache.hasWork()).isFalse();
        assertThat(cache.pool().use().fencedStates()).as("two that are kept").isEqualTo(2);
        cache.stepCompleted(step);

        assertThat(cache.keptStates()).isZero();
        assertThat(cache.pool().freeFrames()).isEqualTo(16);
    }

    @Test
    void fencesTheStatesOfASequenceThatEndsWhileItsStepWritesThem() {
        // given a pool with as many frames as a sequence and the states of its step take
        cache = cache(4, 4);
        int[] prompt = tokens(400);
        SequenceMemory memory = admit(ALICE, prompt);
        memory.reserve(0, 400);
        assertThat(memory.checkpoint(128, CheckpointPoint.SYSTEM)).isPresent();
        assertThat(memory.checkpoint(256, CheckpointPoint.TURN_START)).isPresent();
        cache.launch(++step);

        // when it ends while the step is under way
        memory.close();

        // then nobody gets them before that has completed
        assertThat(ask(BOB, tokens(100), 100)).isInstanceOf(WaitForSteps.class);
        cache.stepCompleted(step);
        assertThat(cache.keptStates()).isZero();
        assertThat(cache.reusableTokens(ALICE, prompt, 400)).isZero();
        assertThat(cache.pool().freeFrames()).isEqualTo(4);
    }

    @Test
    void keepsNothingOfAStepWhoseSequenceIsDiscarded() {
        int[] prompt = tokens(400);
        SequenceMemory memory = admit(ALICE, prompt);
        run(memory, prompt, 0, 128, true);
        memory.reserve(128, 400);
        assertThat(memory.checkpoint(256, CheckpointPoint.TURN_START)).isPresent();
        assertThat(memory.checkpoint(384, CheckpointPoint.TURN_START)).isPresent();
        cache.launch(++step);

        memory.discard();
        cache.stepCompleted(step);

        assertThat(cache.keptStates()).as("neither what was kept before nor what that step wrote").isZero();
        assertThat(cache.pool().freeFrames()).isEqualTo(16);
    }

    @Test
    void aStateThatSomebodyElseHasKeptInTheMeantimeIsGivenBack() {
        // given two sequences with the same prompt, a step of each under way, and the same state in both
        int[] prompt = tokens(300);
        SequenceMemory one = admit(ALICE, prompt);
        SequenceMemory other = admit(ALICE, prompt);
        for (SequenceMemory each : List.of(one, other)) {
            each.reserve(0, 300);
            assertThat(each.checkpoint(256, CheckpointPoint.TURN_START)).isPresent();
        }
        cache.launch(++step);
        cache.stepCompleted(step);

        // when both are told
        one.computed(prompt, 300);
        other.computed(prompt, 300);

        // then it is there once
        assertThat(cache.keptStates()).isEqualTo(1);
        assertThat(cache.reusableTokens(ALICE, prompt, 300)).isEqualTo(256);
        one.close();
        other.close();
        cache.evictAll();
        assertThat(cache.pool().freeFrames()).isEqualTo(16);
    }

    @Test
    void keepsAsManyStatesOfAPieceAsThereAreFrames() {
        // given room for two states beside a sequence
        cache = cache(4, 4);
        int[] prompt = tokens(500);
        SequenceMemory memory = admit(ALICE, prompt);
        memory.reserve(0, 500);

        assertThat(memory.checkpoint(128, CheckpointPoint.SYSTEM)).isPresent();
        assertThat(memory.checkpoint(256, CheckpointPoint.TURN_START)).isPresent();
        assertThat(memory.checkpoint(384, CheckpointPoint.TURN_START)).isEmpty();

        assertThat(cache.counts().refusedStates()).isEqualTo(1);
        cache.launch(++step);
        cache.stepCompleted(step);
        memory.computed(prompt, 500);
        assertThat(cache.reusableTokens(ALICE, prompt, 500)).isEqualTo(256);
        memory.close();
    }

    @Test
    void copiesTheLatestStateOfASequenceThatEndedBeforeItsStepForNothing() {
        int[] prompt = tokens(256);
        SequenceMemory memory = admit(ALICE, prompt);
        memory.reserve(0, 128);
        assertThat(memory.checkpointLatest(128, CheckpointPoint.TURN_END)).isTrue();
        memory.close();
        assertThat(cache.hasWork()).as("the copy is queued still").isTrue();
        MemoryWork work = cache.launch(++step);
        assertThat(work.stores()).hasSize(1);
        assertThat(cache.pool().freeFrames()).isEqualTo(14);
        cache.stepCompleted(step);

        assertThat(cache.keptStates()).isZero();
        assertThat(cache.pool().freeFrames()).isEqualTo(16);
    }

    @Test
    void sharesWholeBlocksWithAForkAndCopiesTheOneUnderThePen() {
        int[] prompt = tokens(300);
        SequenceMemory parent = admit(ALICE, prompt);
        run(parent, prompt, 0, 300, false);

        SequenceMemory fork = ((Granted) parent.fork(prompt, 300, 320)).memory();
        MemoryWork work = cache.launch(++step);

        assertThat(fork.reusedTokens()).isEqualTo(300);
        assertThat(fork.block(0)).isEqualTo(parent.block(0));
        assertThat(fork.block(1)).isEqualTo(parent.block(1));
        assertThat(fork.block(2)).isNotEqualTo(parent.block(2));
        assertThat(work.blocks()).containsExactly(new BlockCopy(parent.block(2), fork.block(2)));
        assertThat(work.restores()).containsExactly(new StateCopy(parent.slot(), fork.slot()));
        assertThat(fork.reserve(300, 310)).isEqualTo(Growth.GRANTED);
        assertThat(parent.reserve(300, 310)).isEqualTo(Growth.GRANTED);
        cache.stepCompleted(step);
        parent.close();
        assertThat(fork.block(0)).isNotNegative();
        fork.close();
    }

    @Test
    void copiesNoBlockForAForkOnTheGrid() {
        int[] prompt = tokens(256);
        SequenceMemory parent = admit(ALICE, prompt);
        run(parent, prompt, 0, 256, false);
        SequenceMemory fork = ((Granted) parent.fork(prompt, 256, 257)).memory();
        assertThat(cache.launch(++step).blocks()).isEmpty();
        cache.stepCompleted(step);
        parent.close();
        fork.close();
    }

    @Test
    void keepsAStateWhereItBelongsThoughAForkWentOnInTheMeantime() {
        // given a state at 128 tokens that is kept with a step under way, and a second step
        int[] prompt = tokens(300);
        SequenceMemory parent = admit(ALICE, prompt);
        parent.reserve(0, 128);
        parent.checkpoint(128, CheckpointPoint.SYSTEM);
        cache.launch(1);
        parent.reserve(128, 256);
        cache.launch(2);

        // when it is forked behind the second
        SequenceMemory fork = ((Granted) parent.fork(prompt, 256, 300)).memory();
        cache.stepCompleted(1);
        parent.computed(prompt, 128);

        // then the state stands at 128
        assertThat(cache.reusableTokens(ALICE, prompt, 300)).isEqualTo(128);
        cache.stepCompleted(2);
        step = 2;
        cache.launch(++step);
        cache.stepCompleted(step);
        parent.close();
        fork.close();
    }

    @Test
    void refusesToWriteIntoABlockThatOthersHold() {
        int[] prompt = tokens(300);
        SequenceMemory parent = admit(ALICE, prompt);
        run(parent, prompt, 0, 300, false);
        SequenceMemory fork = ((Granted) parent.fork(prompt, 300, 320)).memory();

        assertThatIllegalStateException().isThrownBy(() -> fork.reserve(255, 310)).withMessageContaining("holders");
        cache.launch(++step);
        cache.stepCompleted(step);
        parent.close();
        fork.close();
    }

    @Test
    void evictsKeptStatesBeforeAnybodyWaits() {
        // given a pool of 6 frames with 3 kept states and 3 blocks
        cache = cache(6, 4);
        compute(ALICE, tokens(384));
        assertThat(cache.keptStates()).isEqualTo(3);

        // when sequences of others begin
        SequenceMemory first = admit(BOB, tokens(400));
        SequenceMemory second = admit(BOB, tokens(200));
        SequenceMemory third = admit(BOB, tokens(200));

        // then kept states have gone for them, and only then somebody waits
        assertThat(cache.keptStates()).isLessThan(3);
        assertThat(ask(BOB, tokens(700), 700)).isEqualTo(new WaitForOthers());
        for (SequenceMemory memory : List.of(first, second, third)) {
            assertThat(memory.reserve(0, memory == first ? 400 : 200)).isEqualTo(Growth.GRANTED);
            memory.close();
        }
    }

    @Test
    void evictsTheStateThatSavesLeast() {
        // given states after 128 and after 512 tokens of two conversations, the short one used twice
        cache = cache(8, 4);
        int[] shared = tokens(129);
        compute(ALICE, shared);
        admit(ALICE, shared).close();
        int[] deep = new int[513];
        Arrays.fill(deep, 5);
        SequenceMemory memory = admit(BOB, deep);
        run(memory, deep, 0, 512, true);
        memory.close();

        // when all frames are asked for
        SequenceMemory large = admit(null, tokens(3 * 4 * 128));
        assertThat(large.reserve(0, 3 * 4 * 128)).isEqualTo(Growth.GRANTED);
        SequenceMemory another = admit(null, tokens(100));

        // then four blocks at one use outweigh one block at two
        assertThat(cache.reusableTokens(ALICE, shared, 129)).isZero();
        assertThat(cache.reusableTokens(BOB, deep, 513)).isEqualTo(512);
        large.close();
        another.close();
    }

    @Test
    void keepsNoStateThatWouldDisplaceAWorthierOne() {
        cache = cache(4, 4);
        int[] deep = tokens(513);
        SequenceMemory memory = admit(ALICE, deep);
        run(memory, deep, 0, 512, true);
        memory.close();
        SequenceMemory other = admit(BOB, tokens(300));
        assertThat(other.reserve(0, 128)).isEqualTo(Growth.GRANTED);
        assertThat(cache.pool().freeFrames()).isZero();

        assertThat(other.checkpoint(128, CheckpointPoint.INTERVAL)).isEmpty();

        assertThat(cache.counts().refusedStates()).isEqualTo(1);
        assertThat(cache.reusableTokens(ALICE, deep, 513)).isEqualTo(512);
        other.close();
    }

    @Test
    void takesOverTheLastFrameThereIsInsteadOfCopyingIt() {
        // given a kept state, a frame with its block, and a third one that somebody runs in
        cache = cache(3, 3);
        int[] prompt = tokens(200);
        SequenceMemory kept = admit(ALICE, prompt);
        run(kept, prompt, 0, 128, true);
        kept.close();
        SequenceMemory other = admit(BOB, tokens(100));

        // when the conversation goes on
        SequenceMemory again = admit(ALICE, prompt);

        assertThat(again.reusedTokens()).isEqualTo(128);
        assertThat(cache.counts().takenOverStates()).isEqualTo(1);
        assertThat(cache.keptStates()).isZero();
        assertThat(cache.hasWork()).as("nothing to copy").isFalse();
        again.close();
        other.close();
    }

    /// A state and ten blocks in a pool of eleven frames would be all of it.
    @ParameterizedTest
    @CsvSource({"1280, 0, 0, 10", "1280, 256, 0, 10", "1280, 256, 1, 2", "1280, 257, 7, 3", "1280, 256, 9, -1", "1280, 0, 1, -1", "256, 1000, 8, 2", "256, 1000, 9, -1"})
    void promisesAllOrAtLeastAPieceAndLeavesTheRestToOthers(int promise, int least, int spare, int promised) {
        cache = cache(11, 1);

        MemoryAdmission answer = cache.admit(new MemoryWish(Optional.empty(), new int[1], 1, promise, least, spare));

        if (promised < 0) {
            assertThat(answer).isInstanceOf(WaitForOthers.class);
        } else {
            SequenceMemory memory = ((Granted) answer).memory();
            assertThat(memory.promisedBlocks()).isEqualTo(promised);
            memory.close();
        }
    }

    @Test
    void countsAPieceFromWhatIsReused() {
        // given two blocks and a state that a prompt of eight blocks goes on from, in a pool with room for all of it, but not for what is left to others
        cache = cache(10, 1);
        int[] prompt = tokens(8 * 128);
        SequenceMemory before = admit(ALICE, Arrays.copyOf(prompt, 256));
        run(before, prompt, 0, 256, true);
        before.close();

        MemoryAdmission answer = cache.admit(new MemoryWish(Optional.of(ALICE), prompt, prompt.length, prompt.length + 1, 128, 1));

        // then it shares two and is promised one
        SequenceMemory memory = ((Granted) answer).memory();
        assertThat(memory.blockCount()).isEqualTo(2);
        assertThat(memory.promisedBlocks()).isEqualTo(1);
        memory.close();
    }

    @Test
    void saysWhetherOthersHaveToEndOrStepsOrNothingHelps() {
        cache = cache(4, 2);
        assertThat(ask(ALICE, tokens(100), 769)).isEqualTo(new NeverFits(new FrameShape.NeverFits(769, 768)));

        SequenceMemory first = admit(ALICE, tokens(300));
        SequenceMemory second = admit(ALICE, tokens(10));
        assertThat(ask(ALICE, tokens(10), 10)).isInstanceOf(WaitForOthers.class);

        first.reserve(0, 300);
        cache.launch(++step);
        first.close();
        second.close();
        assertThat(ask(ALICE, tokens(10), 10)).as("all of it is touched by a step").isInstanceOf(WaitForSteps.class);
        cache.stepCompleted(step);
        admit(ALICE, tokens(10)).close();
    }

    @Test
    void emptiesAFrameForASequenceThatWaitsForOne() {
        // given sequences of 3 blocks of which every second ends, so that no frame is free and many blocks are
        cache = cache(11, 4);
        var memories = new SequenceMemory[6];
        for (int i = 0; i < 6; i++) {
            memories[i] = admit(null, tokens(384));
        }
        for (int i = 0; i < 3; i++) {
            for (SequenceMemory memory : memories) {
                memory.reserve(i * 128, (i + 1) * 128);
            }
        }
        for (int i = 0; i < 6; i += 2) {
            memories[i].close();
            memories[i] = admit(null, tokens(100));
        }
        assertThat(cache.pool().freeFrames()).isZero();
        assertThat(cache.pool().strandedBlocks()).isEqualTo(11);

        // when one more asks, blocks move with the next step, under their sequences
        List<Integer> before = places(memories);
        assertThat(ask(null, tokens(100), 100)).isInstanceOf(WaitForSteps.class);
        assertThat(cache.hasWork()).isTrue();
        MemoryWork work = cache.launch(++step);
        assertThat(work.blocks()).isNotEmpty().hasSizeLessThan(4);
        List<Integer> expected = before.stream().map(place -> work.blocks().stream().filter(copy -> copy.from() == place)
                .map(BlockCopy::to).findFirst().orElse(place)).toList();
        assertThat(places(memories)).isEqualTo(expected).isNotEqualTo(before);
        cache.stepCompleted(step);

        // and then there is a frame
        admit(null, tokens(100)).close();
        for (SequenceMemory memory : memories) {
            memory.close();
        }
    }

    private static List<Integer> places(SequenceMemory[] memories) {
        return Arrays.stream(memories).flatMap(memory -> IntStream.range(0, memory.blockCount()).mapToObj(memory::block)).toList();
    }

    @Test
    void refusesAStateOffTheGridOrBehindAKeptOne() {
        int[] prompt = tokens(300);
        SequenceMemory memory = admit(ALICE, prompt);
        run(memory, prompt, 0, 128, true);
        assertThatIllegalArgumentException().isThrownBy(() -> memory.checkpoint(128, CheckpointPoint.SYSTEM));
        assertThatIllegalArgumentException().isThrownBy(() -> memory.checkpoint(200, CheckpointPoint.SYSTEM));
        memory.close();
        assertThatIllegalStateException().isThrownBy(memory::close);
        assertThatIllegalStateException().isThrownBy(() -> memory.reserve(0, 1));
    }

    @Test
    void holdsAMillionTokensAndGoesOnFromStatesAlongTheWay() {
        // given a sequence of 2^20 tokens with a state every 65,536
        int[] prompt = tokens(1 << 20);
        cache = cache(256, 64);
        SequenceMemory memory = admit(ALICE, prompt);
        for (int to = 1 << 13; to <= 1 << 20; to += 1 << 13) {
            run(memory, prompt, to - (1 << 13), to, to % (1 << 16) == 0);
        }
        memory.close();
        assertThat(cache.keptStates()).isEqualTo(16);

        // then the same prompt begins at the last state, and one that differs late at the one before
        SequenceMemory again = admit(ALICE, prompt);
        assertThat(again.reusedTokens()).isEqualTo((1 << 20) - (1 << 16));
        again.close();
        int[] other = prompt.clone();
        other[900_000] = 5000;
        assertThat(cache.reusableTokens(ALICE, other, other.length)).isEqualTo(900_000 / 65_536 * 65_536);
        cache.launch(++step);
        cache.stepCompleted(step);
        cache.evictAll();
        assertThat(cache.pool().freeFrames()).isEqualTo(256);
    }
}
