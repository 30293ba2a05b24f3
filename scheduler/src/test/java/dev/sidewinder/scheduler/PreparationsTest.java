package dev.sidewinder.scheduler;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.kvcache.ReuseEstimate;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// What prompts to come begin with, computed before anybody asks and at nobody's cost.
class PreparationsTest {

    private static final Partition MINE = new Partition(1, 1);
    private static final Partition YOURS = new Partition(2, 2);
    private static final long GAP = 50_000_000;

    private final FrameCache cache = cache(24);
    private final Scheduler<String> scheduler = new Scheduler<>(new SchedulerLimits(4, 2048, 4096, GAP), cache);
    private long ids;

    private static FrameCache cache(int frames) {
        return new FrameCache(new FrameShape(frames, 4), HostShape.NONE, ReuseEstimate.DEFAULT, new SplittableRandom(1));
    }

    private static int[] tokens(int count, long seed) {
        return new Random(seed).ints(count, 0, 1000).toArray();
    }

    private Sequence<String> sequence(Partition partition, int[] prompt, int answer) {
        return new Sequence<>(++ids, prompt, answer, false, Claim.ORDINARY, new Prefixes(Optional.of(partition), List.of(), false, false), "s" + ids);
    }

    private static SampledTokens sampled(Batch batch) {
        var tokens = new SampledTokens(Math.max(1, batch.entries().size()));
        for (int i = 0; i < batch.entries().size(); i++) {
            if (batch.entries().get(i).logits() != LogitRows.NONE) {
                tokens.set(i, 7);
            }
        }
        return tokens;
    }

    private void complete(Batch batch) {
        complete(scheduler, batch);
    }

    private static void complete(Scheduler<String> scheduler, Batch batch) {
        scheduler.complete(batch, sampled(batch));
        for (int i = 0; i < batch.entries().size(); i++) {
            Sequence<String> sequence = scheduler.scheduled(batch, i);
            if (!sequence.isOfPreparation() && sequence.generatedTokens() == sequence.maxTokens()) {
                scheduler.end(sequence);
            }
        }
        scheduler.checkInvariants();
    }

    /// Runs steps until there is nothing to do.
    ///
    /// @return tokens of the entries
    private List<Integer> runAll() {
        List<Integer> counts = new ArrayList<>();
        for (Batch batch = scheduler.next(); !batch.isEmpty(); batch = scheduler.next()) {
            batch.entries().forEach(entry -> counts.add(entry.count()));
            complete(batch);
        }
        return counts;
    }

    @Test
    void computesInPiecesWhatThePromptWillBeginWithAndHoldsNothingAfterwards() {
        scheduler.prepare(new Preparation(MINE, tokens(1300, 1), 128));

        Batch first = scheduler.next();

        BatchEntry piece = first.entries().getFirst();
        assertThat(piece.isForAnybody()).isTrue();
        assertThat(piece.source()).isEqualTo(TokenSource.PROMPT);
        assertThat(piece.logits()).isEqualTo(LogitRows.NONE);
        assertThat(scheduler.scheduled(0).isOfPreparation()).isTrue();
        assertThat(piece.count()).isEqualTo(512);
        complete(first);
        assertThat(cache.use().atRest()).as("nothing is held between two pieces").isTrue();
        assertThat(runAll()).containsExactly(512, 256);
        assertThat(cache.reusableTokens(MINE, tokens(1300, 1), 1300)).isEqualTo(1280);
        assertThat(cache.keptStates()).as("each piece takes over the state of the one before").isOne();
        assertThat(scheduler.preparations()).isEqualTo(new PreparationCounts(0, 1, 1, 0, 0, 1280));
    }

    @Test
    void aPromptGoesOnFromWhatWasPrepared() {
        scheduler.prepare(new Preparation(MINE, tokens(1300, 1), 128));
        runAll();
        Sequence<String> next = sequence(MINE, tokens(1400, 1), 1);

        scheduler.submit(next);

        assertThat(runAll()).containsExactly(120);
        assertThat(next.reusedTokens()).isEqualTo(1280);
    }

    /// Uses of what it finds are not counted, nor its own lookups.
    @Test
    void isNotCountedAsARequest() {
        scheduler.submit(sequence(MINE, tokens(300, 1), 1));
        runAll();
        var before = cache.counts();

        scheduler.prepare(new Preparation(MINE, tokens(900, 1), 128));
        runAll();

        assertThat(cache.counts().promptTokens()).isEqualTo(before.promptTokens());
        assertThat(cache.counts().reusedTokens()).isEqualTo(before.reusedTokens());
        assertThat(cache.counts().lookupsByReason()).isEqualTo(before.lookupsByReason());
    }

    @ParameterizedTest
    @CsvSource({"1300, 1280, 1280", "1300, 1281, 0", "127, 1, 0", "128, 128, 128", "255, 129, 0"})
    void isTakenInWhereItSavesEnough(int length, int least, int computed) {
        scheduler.prepare(new Preparation(MINE, tokens(length, 1), least));

        assertThat(runAll().stream().mapToInt(Integer::intValue).sum()).isEqualTo(computed);
    }

    @Test
    void oneThatSavesNothingIsRefusedOutright() {
        assertThatIllegalArgumentException().isThrownBy(() -> new Preparation(MINE, new int[200], 0)).withMessageContaining("saves 0 tokens");
    }

    /// No more than one piece at a time: whoever comes while the device has nothing else waits for one at most.
    @Test
    void runsNoStepAhead() {
        scheduler.prepare(new Preparation(MINE, tokens(1300, 1), 128));
        Batch first = scheduler.next();

        assertThat(scheduler.ahead().isEmpty()).isTrue();
        complete(first);
    }

    @Test
    void waitsAsLongAsAPromptGoesOn() {
        scheduler.prepare(new Preparation(YOURS, tokens(1300, 2), 128));
        scheduler.submit(sequence(MINE, tokens(3000, 1), 1));

        assertThat(runAll()).containsExactly(2048, 952, 512, 512, 256);
    }

    @Test
    void goesBesideAnswersAsFarAsTheTimeBetweenTokensAllows() {
        Sequence<String> answered = sequence(MINE, tokens(100, 1), 400);
        scheduler.submit(answered);
        List<Integer> beside = new ArrayList<>();
        // a token takes 5 ms, and one of a prompt 50 microseconds
        for (int step = 0; step < 60; step++) {
            if (step == 40) {
                scheduler.prepare(new Preparation(YOURS, tokens(1300, 2), 128));
            }
            if (step == 20) {
                scheduler.submit(sequence(YOURS, tokens(500, 3), 1));
            }
            Batch batch = scheduler.next();
            for (int i = 0; i < batch.entries().size(); i++) {
                if (scheduler.scheduled(i).isOfPreparation()) {
                    beside.add(batch.entries().get(i).count());
                }
            }
            complete(batch);
            int prompts = batch.tokens() - (int) batch.entries().stream().filter(entry -> entry.source() != TokenSource.PROMPT).count();
            scheduler.measured(batch, 5_000_000 + 50_000L * prompts);
        }

        assertThat(beside).as("with 0.05 ms a token, 512 of them fit into 45 ms").containsExactly(512, 512, 256);
    }

    @Test
    void doesNotGoBesideAnswersThatAreTooSlowAnyway() {
        scheduler.submit(sequence(MINE, tokens(100, 1), 40));
        scheduler.prepare(new Preparation(YOURS, tokens(1300, 2), 128));
        List<Integer> entries = new ArrayList<>();
        for (int step = 0; step < 40; step++) {
            Batch batch = scheduler.next();
            entries.add(batch.entries().size());
            complete(batch);
            scheduler.measured(batch, GAP + 1);
        }

        // The second step is the first with an answer in it: nothing is known of those yet.
        assertThat(entries.subList(3, 40)).containsOnly(1);
        assertThat(scheduler.preparations().waiting()).isOne();
    }

    @Test
    void isGivenUpWhenThePromptComesItself() {
        scheduler.submit(sequence(MINE, tokens(300, 1), 1));
        runAll();
        scheduler.prepare(new Preparation(MINE, tokens(1300, 1), 128));
        complete(scheduler.next());

        scheduler.submit(sequence(MINE, tokens(1400, 1), 1));

        assertThat(scheduler.preparations().overtaken()).isOne();
        assertThat(runAll()).as("what had been prepared of it is used").containsExactly(1400 - 512);
    }

    /// The state before is the piece's own: without it all that was prepared would have to be computed again.
    @Test
    void aPromptWaitsForTheStepThatComputesItsBeginningAndNoLonger() {
        scheduler.prepare(new Preparation(MINE, tokens(1300, 1), 128));
        complete(scheduler.next());
        Batch second = scheduler.next();
        Sequence<String> next = sequence(MINE, tokens(1400, 1), 1);
        Sequence<String> shorter = sequence(MINE, tokens(900, 1), 1);

        scheduler.submit(next);
        assertThat(scheduler.ahead().isEmpty()).as("it does not begin beside").isTrue();
        complete(second);

        assertThat(runAll()).containsExactly(1400 - 1024);
        assertThat(next.reusedTokens()).isEqualTo(1024);
        scheduler.submit(shorter);
        assertThat(runAll()).as("the state that it could have used was taken over").containsExactly(900);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void staysWhenAnotherPromptComes(boolean ofAnotherPartition) {
        scheduler.prepare(new Preparation(MINE, tokens(1300, 1), 128));

        scheduler.submit(ofAnotherPartition ? sequence(YOURS, tokens(1400, 1), 1) : sequence(MINE, tokens(1400, 2), 1));

        assertThat(scheduler.preparations().waiting()).isOne();
        runAll();
        assertThat(scheduler.preparations().done()).isOne();
    }

    @Test
    void whatIsForgottenIsNotKeptThoughItsStepIsUnderWay() {
        scheduler.prepare(new Preparation(MINE, tokens(1300, 1), 128));
        scheduler.prepare(new Preparation(YOURS, tokens(1300, 1), 128));
        scheduler.prepare(new Preparation(MINE, tokens(1300, 2), 128));
        Batch batch = scheduler.next();

        scheduler.forgetPreparations(MINE::equals);
        cache.evictAll(MINE);
        complete(batch);

        assertThat(cache.keptStates()).isZero();
        runAll();
        assertThat(cache.reusableTokens(MINE, tokens(1300, 2), 1300)).isZero();
        assertThat(cache.reusableTokens(YOURS, tokens(1300, 1), 1300)).isEqualTo(1280);
    }

    @Test
    void nothingIsKeptOfOneThatComesToNaN() {
        scheduler.prepare(new Preparation(MINE, tokens(1300, 1), 128));
        complete(scheduler.next());
        Batch batch = scheduler.next();
        SampledTokens tokens = sampled(batch);
        tokens.spoil(0);

        scheduler.complete(batch, tokens);

        scheduler.checkInvariants();
        assertThat(scheduler.takeSpoiledPreparation()).as("to be erased").isPresent();
        assertThat(scheduler.takeSpoiledPreparation()).isEmpty();
        assertThat(cache.reusableTokens(MINE, tokens(1300, 1), 1300)).as("what it went on from is not trusted either").isZero();
        assertThat(runAll()).isEmpty();
    }

    @Test
    void theOldestGoesWhereThereAreTooMany() {
        for (int i = 0; i < Preparations.MOST + 3; i++) {
            scheduler.prepare(new Preparation(MINE, tokens(128, i), 1));
        }

        assertThat(scheduler.preparations().waiting()).isEqualTo(Preparations.MOST);
        assertThat(scheduler.preparations().dropped()).isEqualTo(3);
    }

    @Test
    void theSameIsPreparedOnce() {
        scheduler.prepare(new Preparation(MINE, tokens(200, 1), 1));
        scheduler.prepare(new Preparation(MINE, tokens(200, 1), 1));

        assertThat(runAll()).containsExactly(128);
    }

    /// States of long prompts fill the pool; one of 128 tokens is worth less than any.
    @Test
    void evictsNothingThatIsWorthMore() {
        var small = cache(6);
        var tight = new Scheduler<String>(new SchedulerLimits(4, 2048, 4096, GAP), small);
        for (int i = 0; i < 2; i++) {
            tight.submit(new Sequence<>(++ids, tokens(900, i), 1, false, Claim.ORDINARY, new Prefixes(Optional.of(MINE),
                    List.of(new Mark(900, CheckpointPoint.TURN_START)), false, false), "long"));
        }
        runAll(tight);
        List<Integer> kept = List.of(small.reusableTokens(MINE, tokens(900, 0), 900), small.reusableTokens(MINE, tokens(900, 1), 900));

        tight.prepare(new Preparation(YOURS, tokens(128, 9), 1));
        runAll(tight);

        assertThat(List.of(small.reusableTokens(MINE, tokens(900, 0), 900), small.reusableTokens(MINE, tokens(900, 1), 900))).isEqualTo(kept);
        assertThat(tight.preparations().waiting()).isZero();
    }

    private static void runAll(Scheduler<String> scheduler) {
        for (Batch batch = scheduler.next(); !batch.isEmpty(); batch = scheduler.next()) {
            complete(scheduler, batch);
        }
    }

    /// Prompts, answers, cancels and preparations at random, in pools where there is room for two or three, a step ahead or not.
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6})
    void nobodyIsInTheWayOfAnybodyInRandomTraffic(long seed) {
        System.out.println("PreparationsTest seed " + seed);
        Random random = new Random(seed);
        FrameCache small = new FrameCache(new FrameShape(5 + random.nextInt(12), 2 + random.nextInt(5)),
                random.nextBoolean() ? HostShape.NONE : new HostShape(8, 200), ReuseEstimate.DEFAULT, new SplittableRandom(seed));
        var mixed = new Scheduler<String>(new SchedulerLimits(3, 515, 900, random.nextBoolean() ? GAP : 0), small,
                random.nextBoolean() ? DecodedStates.SERVE_ANYBODY : DecodedStates.SERVE_THEIR_SEQUENCE);
        List<Sequence<String>> live = new ArrayList<>();
        Deque<Batch> underWay = new ArrayDeque<>();
        for (int i = 0; i < 4000; i++) {
            Partition whose = random.nextBoolean() ? MINE : YOURS;
            int[] text = Arrays.copyOf(tokens(800, random.nextInt(9)), 1 + random.nextInt(799));
            switch (random.nextInt(12)) {
                case 0 -> {
                    Sequence<String> sequence = sequence(whose, text, random.nextInt(100));
                    if (random.nextInt(4) == 0 && mixed.submit(sequence) instanceof Admission.Queued) {
                        live.add(sequence);
                    }
                }
                case 1 -> mixed.prepare(new Preparation(whose, text, 1 + random.nextInt(300)));
                case 2 -> {
                    if (random.nextInt(20) == 0) {
                        mixed.forgetPreparations(whose::equals);
                        small.evictAll(whose);
                    }
                }
                case 3 -> {
                    if (!live.isEmpty() && random.nextInt(5) == 0) {
                        mixed.end(live.remove(random.nextInt(live.size())));
                    }
                }
                default -> step(mixed, underWay, live, random);
            }
            mixed.checkInvariants();
        }
        while (!underWay.isEmpty() || !live.isEmpty() || mixed.preparations().waiting() > 0 && step(mixed, underWay, live, random)) {
            step(mixed, underWay, live, random);
        }
        assertThat(mixed.preparations().done()).as("%s", mixed.preparations()).isGreaterThan(10);
        assertThat(mixed.preparations().overtaken()).isPositive();
        assertThat(mixed.preparations().dropped()).isPositive();
        assertThat(small.use().atRest()).as("%s", small.use()).isTrue();
        small.evictAll();
        runAll(mixed);
        assertThat(small.use().freeBlocks()).isEqualTo(small.pool().shape().blocks());
    }

    /// @return whether there was anything to do
    private static boolean step(Scheduler<String> scheduler, Deque<Batch> underWay, List<Sequence<String>> live, Random random) {
        if (underWay.isEmpty()) {
            launch(underWay, scheduler.next());
        }
        if (underWay.size() == 1 && random.nextBoolean()) {
            launch(underWay, scheduler.ahead());
        }
        for (Sequence<String> overloaded : scheduler.takeOverloaded()) {
            live.remove(overloaded);
            scheduler.end(overloaded);
        }
        if (underWay.isEmpty()) {
            return false;
        }
        Batch batch = underWay.removeFirst();
        SampledTokens tokens = sampled(batch);
        for (int i = 0; i < batch.entries().size(); i++) {
            boolean spoiled = scheduler.scheduled(batch, i).isOfPreparation() && random.nextInt(100) == 0;
            if (spoiled) {
                tokens.spoil(i);
            }
            if (!scheduler.scheduled(batch, i).isOfPreparation() && scheduler.scheduled(batch, i).maxTokens() == 0) {
                tokens = without(tokens, batch, i);
            }
        }
        scheduler.complete(batch, tokens);
        scheduler.takeSpoiledPreparation();
        scheduler.measured(batch, 2_000_000 + 20_000L * batch.tokens());
        for (int i = 0; i < batch.entries().size(); i++) {
            Sequence<String> sequence = scheduler.scheduled(batch, i);
            boolean done = sequence.computed() >= sequence.promptTokens() && sequence.generatedTokens() == sequence.maxTokens();
            if (done && live.remove(sequence)) {
                scheduler.end(sequence);
            }
        }
        return true;
    }

    private static SampledTokens without(SampledTokens tokens, Batch batch, int entry) {
        var others = new SampledTokens(batch.entries().size());
        for (int i = 0; i < batch.entries().size(); i++) {
            if (i != entry && tokens.has(i)) {
                others.set(i, tokens.get(i));
            }
            if (tokens.isSpoiled(i)) {
                others.spoil(i);
            }
        }
        return others;
    }

    private static void launch(Deque<Batch> underWay, Batch batch) {
        if (!batch.isEmpty()) {
            underWay.addLast(batch);
        }
    }
}
