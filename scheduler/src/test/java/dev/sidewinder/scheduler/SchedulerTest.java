package dev.sidewinder.scheduler;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.tuple;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.ReuseEstimate;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SchedulerTest {

    private static final int BATCH_TOKENS = 512;

    private final FrameCache cache = FrameCache.plain(FrameShape.holding(4, 16, 1));
    private final Scheduler<String> scheduler = new Scheduler<>(new SchedulerLimits(4, BATCH_TOKENS, 4096), cache);
    private final Map<String, Sequence<String>> sequences = new HashMap<>();
    private long ids;

    @ParameterizedTest
    @CsvSource({"1, 1", "127, 127", "128, 128", "129, 129", "511, 511", "512, 512", "513, 512", "640, 512"})
    void runsAsMuchOfAPromptAsTheBudgetTakes(int prompt, int firstPiece) {
        submit("a", prompt, 1);
        Batch batch = scheduler.next();
        assertThat(batch.entries()).singleElement().satisfies(entry -> {
            assertThat(entry.from()).isZero();
            assertThat(entry.count()).isEqualTo(firstPiece);
            assertThat(entry.logits()).isEqualTo(firstPiece == prompt ? LogitRows.LAST : LogitRows.NONE);
            assertThat(entry.allocation().blockCount()).isEqualTo(CacheShape.blocksFor(firstPiece));
        });
    }

    @Test
    void takesDecodesFirstThenBegunPromptsThenWaitingOnes() {
        // given a sequence that generates, and a prompt that is half done
        submit("decoding", 10, 50);
        step(7);
        submit("begun", 700, 5);
        step(7);

        // when another one waits
        submit("waiting", 300, 5);
        Batch batch = scheduler.next();

        // then the decode comes first, the rest of the prompt second, and a piece on the grid of the new one last
        assertThat(batch.entries()).extracting(entry -> scheduler.scheduled(batch.entries().indexOf(entry)).owner(), BatchEntry::from, BatchEntry::count)
                .containsExactly(tuple("decoding", 11, 1), tuple("begun", 384, 316), tuple("waiting", 0, 128));
        assertThat(batch.tokens()).isLessThanOrEqualTo(BATCH_TOKENS);
    }

    @ParameterizedTest
    @CsvSource({"1, 0", "513, 512", "1025, 1024"})
    void aPromptsLastTokenIsAPieceOfThePromptThoughItRunsAlone(int prompt, int lastPieceFrom) {
        // given a prompt whose last piece is one token
        submit("a", prompt, 3);
        while (sequence("a").computed() < lastPieceFrom) {
            step(7);
        }

        // when that piece runs, and then the first generated token
        BatchEntry last = step(7).entries().getFirst();
        BatchEntry generated = step(7).entries().getFirst();

        // then only the second was generated
        assertThat(last.count()).isEqualTo(generated.count()).isEqualTo(1);
        assertThat(last.source()).isEqualTo(TokenSource.PROMPT);
        assertThat(generated.source()).isEqualTo(TokenSource.GENERATED);
    }

    @ParameterizedTest
    @CsvSource({"0, PROMPT", "0, GENERATED", "2, GENERATED", "-1, PROMPT"})
    void anEntryIsAPieceOfAPromptOrOneGeneratedToken(int count, TokenSource source) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new BatchEntry(1, new int[4], 0, count, source, LogitRows.LAST, null))
                .withMessageContaining(count + " tokens");
    }

    @Test
    void cutsPromptsOnTheGridOnly() {
        submit("decoding", 1, 50);
        step(7);
        submit("long", 1000, 1);
        int from = 0;
        while (from < 1000) {
            Batch batch = scheduler.next();
            BatchEntry piece = batch.entries().get(1);
            assertThat(piece.from()).isEqualTo(from).matches(position -> position % 128 == 0);
            from += piece.count();
            assertThat(from % 128 == 0 || from == 1000).isTrue();
            complete(batch, 7);
        }
    }

    @Test
    void packsSeveralPromptsIntoAStep() {
        submit("a", 100, 1);
        submit("b", 100, 1);
        submit("c", 100, 1);
        assertThat(scheduler.next().entries()).hasSize(3);
    }

    @Test
    void admitsInOrderOfArrivalEvenWhenALaterOneWouldFit() {
        // given a pool of which 12 of 16 blocks are promised
        submit("first", 1000, 500);
        step(7);
        // when one that needs 8 blocks arrives before one that needs 1
        submit("large", 1000, 20);
        submit("small", 10, 2);
        step(7);
        // then neither starts, and both do when the first has ended
        assertThat(scheduler.waiting()).isEqualTo(2);
        end("first");
        step(7);
        step(7);
        assertThat(scheduler.running()).isEqualTo(2);
        scheduler.checkInvariants();
    }

    @Test
    void waitsForASlotAndForTheLimitOfSequences() {
        for (int i = 0; i < 6; i++) {
            submit("s" + i, 5, 100);
        }
        assertThat(step(7).entries()).hasSize(4);
        assertThat(scheduler.waiting()).isEqualTo(2);
        assertThat(scheduler.waitingTokens()).isEqualTo(10);
        assertThat(scheduler.oldestWaiting()).hasValueSatisfying(oldest -> assertThat(oldest.owner()).isEqualTo("s4"));
    }

    @ParameterizedTest
    @CsvSource({"2047, 2, true", "2048, 1, true", "2048, 0, true", "2049, 0, false", "2048, 2, false", "1, 2048, true", "1, 2049, false",
            "2147483647, 2147483647, false"})
    void refusesWhatTheWholeCacheCouldNotHold(int prompt, int maxTokens, boolean fits) {
        var refusal = Scheduler.neverFits(prompt, maxTokens, new FrameShape(17, 1), 4096);
        assertThat(refusal.isEmpty()).isEqualTo(fits);
        refusal.ifPresent(numbers -> {
            assertThat(numbers.tokens()).isEqualTo((long) prompt + maxTokens);
            assertThat(numbers.limit()).isEqualTo(maxTokens > 0 ? 2049 : 2048);
        });
    }

    @Test
    void refusesWhatIsLongerThanASequenceMayBe() {
        var sequence = new Sequence<>(1, new int[3000], 1097, false, "long");
        assertThat(new Scheduler<String>(new SchedulerLimits(4, 512, 4096), FrameCache.plain(FrameShape.holding(1, 64, 1))).submit(sequence))
                .isEqualTo(new Admission.NeverFits(4097, 4096));
    }

    @Test
    void runsTheLargestSequenceThatFitsToItsEnd() {
        submit("largest", 2000, 49);
        for (int i = 0; i < 4 + 49 - 1; i++) {
            assertThat(step(7).isEmpty()).isFalse();
        }
        assertThat(sequence("largest").generatedTokens()).isEqualTo(49);
        assertThat(cache.promisedBlocks()).isZero();
        end("largest");
        assertThat(cache.use().freeBlocks()).isEqualTo(20);
    }

    @Test
    void keepsTheMemoryOfASequenceThatEndsDuringAStepUntilTheStepHasCompleted() {
        submit("a", 10, 5);
        Batch batch = scheduler.next();
        end("a");
        assertThat(cache.use().frames().fencedBlocks()).isEqualTo(1);
        complete(batch, 7);
        assertThat(cache.use().freeBlocks()).isEqualTo(20);
        assertThat(cache.use().atRest()).isTrue();
        assertThat(scheduler.lateCompletions()).isEqualTo(1);
        scheduler.checkInvariants();
    }

    @Test
    void leavesPausedSequencesOutAndLetsOthersTakeTheirTurn() {
        for (int i = 0; i < 4; i++) {
            submit("s" + i, 5, 100);
        }
        step(7);
        scheduler.pause(sequence("s1"));
        assertThat(step(7).entries()).hasSize(3);
        scheduler.checkInvariants();
        scheduler.resume(sequence("s1"));
        assertThat(step(7).entries()).hasSize(4);
        scheduler.pause(sequence("s2"));
        end("s2");
        scheduler.checkInvariants();
        assertThat(scheduler.paused()).isZero();
        assertThat(cache.use().runningStates()).isEqualTo(3);
    }

    @Test
    void neverPutsMoreSequencesIntoAStepThanAllowedAfterAResume() {
        var manySlots = new Scheduler<String>(new SchedulerLimits(2, 256, 4096), FrameCache.plain(FrameShape.holding(8, 16, 1)));
        var first = new Sequence<>(1, new int[5], 100, false, "first");
        var second = new Sequence<>(2, new int[5], 100, false, "second");
        var third = new Sequence<>(3, new int[5], 100, false, "third");
        manySlots.submit(first);
        manySlots.submit(second);
        manySlots.submit(third);
        completeAll(manySlots, manySlots.next());
        manySlots.pause(first);
        completeAll(manySlots, manySlots.next());
        assertThat(manySlots.running()).isEqualTo(2);
        manySlots.resume(first);
        Batch batch = manySlots.next();
        assertThat(batch.entries()).extracting(BatchEntry::sequence).containsExactly(1L, 2L);
    }

    @Test
    void scoresPromptsInPiecesOf128AndOneAtATime() {
        submitScoring("a", 300);
        submitScoring("b", 50);
        submit("plain", 50, 1);
        Batch batch = scheduler.next();
        assertThat(batch.entries()).singleElement().satisfies(entry -> {
            assertThat(entry.count()).isEqualTo(128);
            assertThat(entry.logits()).isEqualTo(LogitRows.ALL);
        });
        complete(batch, 7);
        step(7);
        Batch last = scheduler.next();
        assertThat(last.entries()).extracting(BatchEntry::count, BatchEntry::logits).containsExactly(tuple(44, LogitRows.ALL));
    }

    @Test
    void computesAPromptWithoutGeneratingWhenNoTokenIsAllowed() {
        submit("scored", 128, 0);
        Batch batch = scheduler.next();
        assertThat(batch.entries()).singleElement().extracting(BatchEntry::count).isEqualTo(128);
        scheduler.complete(batch, new SampledTokens(4));
        assertThat(scheduler.next().isEmpty()).isTrue();
        assertThat(sequence("scored").computed()).isEqualTo(128);
    }

    @Test
    void refusesWrongDeeds() {
        submit("a", 10, 1);
        assertThatIllegalStateException().isThrownBy(() -> scheduler.submit(sequence("a")));
        assertThatIllegalStateException().isThrownBy(() -> scheduler.pause(sequence("a")));
        assertThatIllegalStateException().isThrownBy(() -> scheduler.resume(sequence("a")));
        Batch batch = scheduler.next();
        assertThatIllegalStateException().isThrownBy(scheduler::next);
        complete(batch, 7);
        assertThatIllegalStateException().isThrownBy(scheduler::ahead);
        assertThatIllegalStateException().isThrownBy(() -> complete(batch, 7));
        var ended = sequence("a");
        end("a");
        assertThatIllegalStateException().isThrownBy(() -> scheduler.end(ended));
        assertThatIllegalArgumentException().isThrownBy(() -> new SchedulerLimits(4, 131, 100)).withMessageContaining("132");
    }

    @Test
    void goesOnBehindAStepWhoseTokensNobodyHasSeen() {
        // given two sequences, of which one may get three tokens and one two
        submit("three", 10, 3);
        submit("two", 5, 2);
        Batch prompts = scheduler.next();

        // when the next step is chosen before the prompts' tokens are there
        Batch first = scheduler.ahead();

        // then both run the token they are about to get
        assertThat(first.entries()).extracting(BatchEntry::from, BatchEntry::count, BatchEntry::source, BatchEntry::logits)
                .containsExactly(tuple(10, 1, TokenSource.UNREAD, LogitRows.LAST), tuple(5, 1, TokenSource.UNREAD, LogitRows.LAST));
        complete(prompts, 7);
        scheduler.checkInvariants();

        // and the one whose answer is then as long as it may be does not run its last token
        Batch second = scheduler.ahead();
        assertThat(second.entries()).extracting(BatchEntry::from, BatchEntry::source).containsExactly(tuple(11, TokenSource.UNREAD));
        complete(first, 8);
        assertThat(sequence("two").generatedTokens()).isEqualTo(2);
        end("two");
        assertThat(scheduler.ahead().isEmpty()).as("no token is left to run").isTrue();
        complete(second, 9);
        assertThat(sequence("three").tokens()).startsWith(0, 0).containsSubsequence(7, 8, 9);
        assertThat(sequence("three").generatedTokens()).isEqualTo(3);
        scheduler.checkInvariants();
    }

    @Test
    void putsPromptsBehindAStepUnderWay() {
        submit("decoding", 10, 50);
        step(7);
        Batch decode = scheduler.next();
        submit("new", 300, 5);
        Batch mixed = scheduler.ahead();
        assertThat(mixed.entries()).extracting(BatchEntry::from, BatchEntry::count, BatchEntry::source)
                .containsExactly(tuple(11, 1, TokenSource.UNREAD), tuple(0, 300, TokenSource.PROMPT));
        complete(decode, 7);
        Batch both = scheduler.ahead();
        assertThat(both.entries()).extracting(BatchEntry::from, BatchEntry::source)
                .containsExactly(tuple(12, TokenSource.UNREAD), tuple(300, TokenSource.UNREAD));
        complete(mixed, 7);
        complete(both, 7);
        scheduler.checkInvariants();
    }

    @Test
    void keepsTheMemoryOfASequenceThatEndedUntilTheStepBehindHasCompleted() {
        // given a sequence at the end of a block, so that the step behind takes one more
        submit("a", 127, 50);
        step(7);
        Batch batch = scheduler.next();
        Batch ahead = scheduler.ahead();

        // when it ends by the token of the first of them
        complete(batch, 3);
        end("a");

        // then nothing of it is free before the second has completed, whose token is dropped
        assertThat(cache.use().frames().fencedBlocks()).isEqualTo(2);
        assertThat(cache.use().frames().fencedStates()).isEqualTo(1);
        complete(ahead, 4);
        assertThat(cache.use().freeBlocks()).isEqualTo(20);
        assertThat(cache.use().atRest()).isTrue();
        assertThat(scheduler.lateCompletions()).isEqualTo(1);
        scheduler.checkInvariants();
    }

    @Test
    void givesAPausedSequenceTheTokensOfTheStepsUnderWay() {
        submit("a", 10, 50);
        step(7);
        Batch batch = scheduler.next();
        Batch ahead = scheduler.ahead();
        scheduler.pause(sequence("a"));
        complete(batch, 8);
        assertThat(scheduler.ahead().isEmpty()).isTrue();
        complete(ahead, 9);
        assertThat(sequence("a").generatedTokens()).isEqualTo(3);
        scheduler.resume(sequence("a"));
        assertThat(scheduler.next().entries()).extracting(BatchEntry::from, BatchEntry::source)
                .containsExactly(tuple(12, TokenSource.GENERATED));
        scheduler.checkInvariants();
    }

    @Test
    void refusesToGoOnWithASequenceWhoseTokenNeverCame() {
        submit("a", 10, 50);
        Batch batch = scheduler.next();
        Batch ahead = scheduler.ahead();
        scheduler.complete(batch, new SampledTokens(4));
        assertThatIllegalStateException().isThrownBy(() -> complete(ahead, 7)).withMessageContaining("never came");
    }

    @ParameterizedTest
    @CsvSource({"1, 127", "100, 28", "127, 1", "128, 512", "129, 127", "300, 84"})
    void aSequenceThatGoesOnFromMemoryGoesToTheEndOfItsBlockFirst(int computed, int firstPiece) {
        // given memory on the host of the first tokens of a prompt
        var host = new FrameCache(FrameShape.holding(4, 16, 1), new HostShape(2, 8), ReuseEstimate.DEFAULT, new SplittableRandom(1));
        var scheduler = new Scheduler<String>(new SchedulerLimits(4, BATCH_TOKENS, 4096), host);
        var sequence = new Sequence<>(1, new int[1000], 2, false, "a");
        sequence.goOnFrom(host.adopt(Optional.empty(), CacheShape.blocksFor(computed)).orElseThrow(), computed);

        // when it runs
        scheduler.submit(sequence);
        Batch first = scheduler.next();
        scheduler.complete(first, new SampledTokens(1));
        Batch second = scheduler.next();
        scheduler.complete(second, new SampledTokens(1));

        // then its memory is copied in with the first piece, which ends on the grid, and so do the others
        assertThat(first.memory().ins()).hasSize(1 + CacheShape.blocksFor(computed));
        assertThat(first.entries()).extracting(BatchEntry::from, BatchEntry::count).containsExactly(tuple(computed, firstPiece));
        assertThat(second.entries().getFirst().from()).isEqualTo(computed + firstPiece);
        scheduler.checkInvariants();

        // and who takes it out gets its memory, and what it is of
        Scheduler.Detached left = scheduler.detach(sequence).orElseThrow();
        assertThat(left.computed()).isEqualTo(sequence.computed());
        assertThat(sequence.state()).isEqualTo(Sequence.State.ENDED);
        left.memory().close();
        scheduler.checkInvariants();
        assertThat(host.use().atRest()).isTrue();
    }

    @Test
    void aSequenceThatNeverBeganGivesBackWhatItWasToGoOnFrom() {
        var host = new FrameCache(FrameShape.holding(4, 16, 1), new HostShape(1, 2), ReuseEstimate.DEFAULT, new SplittableRandom(1));
        var scheduler = new Scheduler<String>(new SchedulerLimits(4, BATCH_TOKENS, 4096), host);
        for (boolean detached : new boolean[] {true, false}) {
            var sequence = new Sequence<>(1, new int[300], 2, false, "a");
            sequence.goOnFrom(host.adopt(Optional.empty(), 2).orElseThrow(), 200);
            scheduler.submit(sequence);
            if (detached) {
                assertThat(scheduler.detach(sequence)).isEmpty();
            } else {
                scheduler.end(sequence);
            }
            assertThat(host.use().atRest()).isTrue();
        }
    }

    @Test
    void aStateBehindAStepUnderWayIsOfTheTokensOfThatStepToo() {
        // given a sequence that generates, with a step ahead
        submit("a", 10, 5);
        step(7);
        Batch running = scheduler.next();
        scheduler.ahead();

        // when it is taken out before either has completed
        Scheduler.Detached left = scheduler.detach(sequence("a")).orElseThrow();

        // then its memory is that after both
        assertThat(running.entries().getFirst().from()).isEqualTo(10);
        assertThat(left.computed()).isEqualTo(12);
        left.memory().close();
    }

    private void submit(String owner, int prompt, int maxTokens) {
        submit(new Sequence<>(++ids, new int[prompt], maxTokens, false, owner));
    }

    private void submitScoring(String owner, int prompt) {
        submit(new Sequence<>(++ids, new int[prompt], 1, true, owner));
    }

    private void submit(Sequence<String> sequence) {
        assertThat(scheduler.submit(sequence)).isEqualTo(new Admission.Queued());
        sequences.put(sequence.owner(), sequence);
    }

    private Sequence<String> sequence(String owner) {
        return sequences.get(owner);
    }

    private void end(String owner) {
        scheduler.end(sequence(owner));
    }

    private Batch step(int token) {
        Batch batch = scheduler.next();
        if (!batch.isEmpty()) {
            complete(batch, token);
        }
        return batch;
    }

    private void complete(Batch batch, int token) {
        var tokens = new SampledTokens(batch.entries().size());
        for (int i = 0; i < batch.entries().size(); i++) {
            BatchEntry entry = batch.entries().get(i);
            Sequence<String> sequence = scheduler.scheduled(batch, i);
            if (entry.from() + entry.count() == sequence.length() && sequence.generatedTokens() < sequence.maxTokens()) {
                tokens.set(i, token);
            }
        }
        scheduler.complete(batch, tokens);
    }

    private static void completeAll(Scheduler<String> scheduler, Batch batch) {
        var tokens = new SampledTokens(batch.entries().size());
        for (int i = 0; i < batch.entries().size(); i++) {
            tokens.set(i, 7);
        }
        scheduler.complete(batch, tokens);
    }
}
