package dev.sidewinder.scheduler;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.tuple;

import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/// Who goes next, and how much of a prompt, seen in what steps run.
class SchedulerPolicyTest {

    private static final int STEP_TOKENS = 264;
    private static final long GAP_NANOS = 10_000_000;

    private Scheduler<String> scheduler = scheduler(8, 0);
    private final List<Sequence<String>> live = new ArrayList<>();
    private long ids;

    private static Scheduler<String> scheduler(int sequences, long tokenGapNanos) {
        return new Scheduler<>(new SchedulerLimits(sequences, STEP_TOKENS, 1 << 20, tokenGapNanos),
                FrameCache.plain(FrameShape.holding(8, 1000, 8)));
    }

    private Sequence<String> submit(String owner, int prompt, int maxTokens, Claim claim) {
        var sequence = new Sequence<>(++ids, new int[prompt], maxTokens, false, claim, owner);
        assertThat(scheduler.submit(sequence)).isEqualTo(new Admission.Queued());
        live.add(sequence);
        return sequence;
    }

    private Sequence<String> submit(String owner, int prompt, int maxTokens) {
        return submit(owner, prompt, maxTokens, Claim.ORDINARY);
    }

    /// Runs a step and ends what is done.
    ///
    /// @return owners of its entries
    private List<String> step() {
        Batch batch = scheduler.next();
        List<String> owners = new ArrayList<>();
        var tokens = new SampledTokens(Math.max(1, batch.entries().size()));
        for (int i = 0; i < batch.entries().size(); i++) {
            Sequence<String> sequence = scheduler.scheduled(batch, i);
            owners.add(sequence.owner());
            if (batch.entries().get(i).logits() == LogitRows.LAST && sequence.maxTokens() > 0) {
                tokens.set(i, 7);
            }
        }
        if (!batch.isEmpty()) {
            scheduler.complete(batch, tokens);
        }
        for (Sequence<String> sequence : List.copyOf(live)) {
            if (sequence.computed() >= sequence.promptTokens() && sequence.generatedTokens() == sequence.maxTokens()) {
                scheduler.end(sequence);
                live.remove(sequence);
            }
        }
        scheduler.checkInvariants();
        return owners;
    }

    /// To compare with: no piece of a prompt before the end of the one that came first, however short it is.
    @Test
    void takesOnePromptAfterTheOtherWhereOnlyArrivalCounts() {
        // given a long prompt that has begun, and short ones behind it, one of them urgent
        scheduler = new Scheduler<>(new SchedulerLimits(8, STEP_TOKENS, 1 << 20), FrameCache.plain(FrameShape.holding(8, 1000, 8)),
                DecodedStates.SERVE_ANYBODY, PromptOrder.ARRIVAL);
        submit("long", 1000, 1);
        step();
        submit("short", 10, 1);
        submit("shorter", 5, 1);

        // then every step is the long one's until its rest leaves room, and the others begin in their order
        assertThat(step()).containsExactly("long");
        assertThat(step()).containsExactly("long");
        assertThat(step()).containsExactly("long", "short", "shorter");
    }

    private List<String> orderOfBeginning() {
        List<String> order = new ArrayList<>();
        while (!live.isEmpty()) {
            for (String owner : step()) {
                if (!order.contains(owner)) {
                    order.add(owner);
                }
            }
        }
        return order;
    }

    @Test
    void beginsTheMoreUrgentFirst() {
        scheduler = scheduler(1, 0);
        submit("late", 10, 3, new Claim(5, ""));
        submit("plain", 10, 3);
        submit("urgent", 10, 3, new Claim(-5, ""));
        submit("plain too", 10, 3);
        assertThat(orderOfBeginning()).containsExactly("urgent", "plain", "plain too", "late");
    }

    @Test
    void letsTenantsTakeTurns() {
        scheduler = scheduler(1, 0);
        for (int i = 0; i < 4; i++) {
            submit("A" + i, 1500, 1000, new Claim(0, "A"));
        }
        for (int i = 0; i < 4; i++) {
            submit("B" + i, 1500, 1000, new Claim(0, "B"));
        }
        assertThat(orderOfBeginning()).containsExactly("A0", "B0", "A1", "B1", "A2", "B2", "A3", "B3");
    }

    @Test
    void letsAShortPromptNotWaitForTheEndOfALongOne() {
        // given a long prompt that takes all of every step
        submit("long", 100_000, 1);
        step();
        assertThat(step()).containsExactly("long");
        // when a short one comes
        submit("short", 100, 1);
        // then it is through within two steps
        List<String> both = step();
        both.addAll(step());
        assertThat(both).contains("short");
        assertThat(live).singleElement().matches(sequence -> sequence.owner().equals("long"));
    }

    @Test
    void letsALongPromptGoOnHoweverManyShortOnesCome() {
        Sequence<String> longOne = submit("long", 100_000, 1);
        step();
        int before = longOne.computed();
        // when short ones fill every step
        for (int i = 0; i < 40; i++) {
            submit("a" + i, 128, 1);
            submit("b" + i, 128, 1);
            step();
        }
        // then it has had half of the steps
        assertThat(longOne.computed() - before).isGreaterThanOrEqualTo(20 * 256);
    }

    @Test
    void letsAMoreUrgentPromptGoBeforeOneThatHasBegun() {
        submit("long", 100_000, 1);
        submit("other", 5000, 1);
        step();
        step();
        submit("urgent", 20_000, 1, new Claim(-1, ""));
        List<String> owners = step();
        owners.addAll(step());
        assertThat(owners).containsExactlyInAnyOrder("long", "urgent");
    }

    @Test
    void sizesPiecesByWhatStepsHaveTaken() {
        // given a machine that takes 1 ms for a step and 40 µs for each token of a prompt
        scheduler = scheduler(8, GAP_NANOS);
        submit("generates", 5, 1000);
        List<Integer> pieces = new ArrayList<>();
        submit("long", 50_000, 1);
        for (int i = 0; i < 100; i++) {
            Batch batch = scheduler.next();
            var tokens = new SampledTokens(8);
            int prompts = 0;
            for (int entry = 0; entry < batch.entries().size(); entry++) {
                if (batch.entries().get(entry).source() == TokenSource.PROMPT) {
                    prompts += batch.entries().get(entry).count();
                }
                if (batch.entries().get(entry).logits() == LogitRows.LAST) {
                    tokens.set(entry, 7);
                }
            }
            scheduler.complete(batch, tokens);
            scheduler.measured(batch, 1_000_000 + 40_000L * prompts);
            pieces.add(prompts);
        }
        // then a piece of 128 fits into the 10 ms, and one of 256 does not
        assertThat(pieces.subList(10, 100)).containsOnly(128);
    }

    @Test
    void takesTheTimesOfTheLatestTwoStepsOnly() {
        submit("a", 10, 50);
        Batch first = scheduler.next();
        complete(first);
        complete(scheduler.next());
        complete(scheduler.next());
        assertThatIllegalArgumentException().isThrownBy(() -> scheduler.measured(first, 1)).withMessageContaining("step 1");
        assertThatIllegalArgumentException().isThrownBy(() -> scheduler.measured(new Batch(4, List.of(), first.memory()), 1));
    }

    @Test
    void tellsWhatWaits() {
        scheduler = scheduler(1, 0);
        submit("runs", 10, 100);
        step();
        submit("late", 40, 3, new Claim(9, ""));
        submit("urgent", 30, 3, new Claim(-9, ""));
        assertThat(scheduler.waiting()).isEqualTo(2);
        assertThat(scheduler.waitingTokens()).isEqualTo(70);
        assertThat(scheduler.oldestWaiting()).hasValueSatisfying(oldest -> assertThat(oldest.owner()).isEqualTo("late"));
        assertThat(live).extracting(Sequence::owner, Sequence::claim).contains(tuple("late", new Claim(9, "")));
    }

    private void complete(Batch batch) {
        var tokens = new SampledTokens(8);
        tokens.set(0, 7);
        scheduler.complete(batch, tokens);
    }
}
