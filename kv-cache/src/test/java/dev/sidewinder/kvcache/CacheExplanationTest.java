package dev.sidewinder.kvcache;

import static dev.sidewinder.kvcache.CachedPrompts.ALICE;
import static dev.sidewinder.kvcache.CachedPrompts.BOB;
import static dev.sidewinder.kvcache.CachedPrompts.tokens;
import static dev.sidewinder.kvcache.CachedPrompts.wish;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.MemoryAdmission.Granted;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CacheExplanationTest {

    private final CachedPrompts prompts = new CachedPrompts();
    private final FrameCache cache = prompts.cache();

    private CacheExplanation explain(Partition partition, int[] tokens) {
        return cache.explain(wish(partition, tokens));
    }

    @Test
    void saysNothingIsMissingWhereAllButTheLastBlockIsReused() {
        prompts.compute(ALICE, tokens(300), 128, 256);
        assertThat(explain(ALICE, tokens(300))).isEqualTo(
                new CacheExplanation(256, 256, Optional.of(CheckpointPoint.TURN_START), MissReason.NONE, OptionalInt.empty()));
        assertThat(explain(ALICE, tokens(256))).isEqualTo(
                new CacheExplanation(128, 128, Optional.of(CheckpointPoint.SYSTEM), MissReason.NONE, OptionalInt.empty()));
    }

    @Test
    void agreesWithWhatIsThenReused() {
        prompts.compute(ALICE, tokens(300), 128, 256);
        SequenceMemory memory = prompts.admit(ALICE, tokens(290));
        assertThat(memory.reusedTokens()).isEqualTo(explain(ALICE, tokens(290)).reusedTokens());
        memory.close();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 127, 128})
    void callsAPromptShortThatHasNoWholeBlockBeforeItsLastToken(int length) {
        prompts.compute(ALICE, tokens(300), 128);
        assertThat(explain(ALICE, tokens(length)).reason()).isEqualTo(MissReason.SHORT);
    }

    @Test
    void knowsNothingOfAnotherPartition() {
        prompts.compute(ALICE, tokens(300), 128, 256);
        assertThat(explain(BOB, tokens(300))).isEqualTo(
                new CacheExplanation(0, 0, Optional.empty(), MissReason.COLD, OptionalInt.empty()));
        assertThat(explain(null, tokens(300))).isEqualTo(CacheExplanation.DISABLED);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 127, 128, 129, 200, 255})
    void namesTheFirstTokenThatDiffersFromTheNearestSequence(int place) {
        int[] known = tokens(300);
        prompts.compute(ALICE, known, 128, 256);
        int[] other = known.clone();
        other[0] = 7;
        prompts.compute(ALICE, other, 128);
        int[] prompt = known.clone();
        prompt[place] = 5000;

        CacheExplanation explanation = explain(ALICE, prompt);

        assertThat(explanation.reason()).isEqualTo(MissReason.DIVERGED);
        assertThat(explanation.divergedAt()).hasValue(place);
        assertThat(explanation.kvTokens()).isEqualTo(place / 128 * 128);
    }

    @Test
    void isColdWhereNotEvenTheFirstTokenIsKnown() {
        prompts.compute(ALICE, tokens(300), 128);
        int[] prompt = tokens(300);
        prompt[0] = 5000;
        assertThat(explain(ALICE, prompt).reason()).isEqualTo(MissReason.COLD);
    }

    @Test
    void namesTheEndOfTheNearestSequenceWhereAPromptGoesOnBehindIt() {
        prompts.compute(ALICE, tokens(300), 256);
        assertThat(explain(ALICE, tokens(600)).divergedAt()).hasValue(256);
    }

    @Test
    void saysWhereAStateWasNeverKept() {
        // given a fork's blocks without a state behind the first
        int[] prompt = tokens(400);
        SequenceMemory memory = prompts.admit(ALICE, prompt);
        memory.reserve(0, 128);
        memory.checkpoint(128, CheckpointPoint.SYSTEM);
        prompts.step();
        memory.computed(prompt, 128);
        memory.reserve(128, 384);
        prompts.step();
        SequenceMemory fork = ((Granted) memory.fork(prompt, 384, 400)).memory();

        assertThat(explain(ALICE, prompt)).isEqualTo(
                new CacheExplanation(384, 128, Optional.of(CheckpointPoint.SYSTEM), MissReason.NO_SNAPSHOT, OptionalInt.empty()));
        fork.close();
        memory.close();
    }

    @Test
    void remembersWhatWasEvicted() {
        // given a conversation that somebody stands in, so that only its state can go
        prompts.compute(ALICE, tokens(300), 128, 256);
        SequenceMemory reader = prompts.admit(ALICE, tokens(300));
        prompts.step();
        cache.evictAll();
        assertThat(explain(ALICE, tokens(300)).reason()).isEqualTo(MissReason.EVICTED_STATE);
        assertThat(explain(ALICE, tokens(300)).kvTokens()).isEqualTo(256);

        // when that ends, its keys and values go, too
        reader.close();
        cache.evictAll();
        assertThat(cache.keptBlocks()).isZero();
        assertThat(explain(ALICE, tokens(300)).reason()).isEqualTo(MissReason.EVICTED_KV);
        assertThat(explain(BOB, tokens(300)).reason()).isEqualTo(MissReason.COLD);
    }

    @Test
    void listsKeptStatesByTheirWorth() {
        prompts.compute(ALICE, tokens(300), 128, 256);
        List<KeptState> states = cache.keptStateList();

        assertThat(states).extracting(KeptState::tokens).containsExactlyInAnyOrder(128, 256);
        assertThat(states.getFirst().worth().value()).isGreaterThanOrEqualTo(states.getLast().worth().value());
        KeptState last = states.stream().filter(state -> state.tokens() == 256).findFirst().orElseThrow();
        assertThat(last.worth().blocks()).as("a frame and the block since the state before").isEqualTo(5);
        assertThat(last.worth().chance()).isEqualTo(1);
    }
}
