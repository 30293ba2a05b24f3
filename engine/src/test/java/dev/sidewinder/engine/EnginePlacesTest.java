package dev.sidewinder.engine;

import static dev.sidewinder.engine.TestEngine.VOCAB;
import static dev.sidewinder.engine.TestEngine.all;
import static dev.sidewinder.engine.TestEngine.kindOf;
import static dev.sidewinder.engine.TestEngine.request;
import static dev.sidewinder.engine.TestEngine.stub;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.sidewinder.engine.EngineException.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class EnginePlacesTest {

    private final TestEngine test = new TestEngine();

    @AfterEach
    void close() {
        test.close();
    }

    @Test
    void refusesPlacesBeyondTheQueueInRequestsAndInTokens() {
        test.startHeld();
        Engine.Place first = test.engine().reserve(15, 90_000);
        assertThat(kindOf(() -> test.engine().reserve(2, 0))).isEqualTo(Kind.OVERLOADED);
        assertThat(kindOf(() -> test.engine().reserve(1, 10_001))).isEqualTo(Kind.OVERLOADED);
        assertThat(test.engine().status().places()).isEqualTo(15);
        Engine.Place second = test.engine().reserve(1, 10_000);
        first.close();
        first.close();
        second.close();
        assertThat(test.engine().status().places()).isZero();
        assertThat(test.engine().queue().requests()).isZero();
        assertThat(test.engine().queue().tokens()).isZero();
    }

    @Test
    void takesARequestLargerThanTheQueueWhenNobodyElseWaits() {
        test.startHeld();
        try (Engine.Place place = test.engine().reserve(40, 1_000_000)) {
            assertThat(kindOf(() -> test.engine().reserve(1, 0))).isEqualTo(Kind.OVERLOADED);
        }
        test.engine().reserve(1, 0).close();
    }

    @Test
    void givesNoMorePlacesThanThereAreWhoeverAsksAtOnce() throws InterruptedException {
        test.startHeld();
        AtomicLong granted = new AtomicLong();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            threads.add(Thread.startVirtualThread(() -> {
                try {
                    test.engine().reserve(1, 100);
                    granted.incrementAndGet();
                } catch (EngineException refused) {
                    assertThat(refused.kind()).isEqualTo(Kind.OVERLOADED);
                }
            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        assertThat(granted.get()).isEqualTo(16);
    }

    @Test
    void leavesRoomForOthersWhenATenantFloods() throws InterruptedException {
        test.startHeld();
        Optional<QueueShare> greedy = Optional.of(new QueueShare("greedy", 1));
        List<Engine.Place> places = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            places.add(test.engine().reserve(greedy, 1, i == 7 ? 49_990 : 1));
        }
        assertThat(kindOf(() -> test.engine().reserve(greedy, 1, 1))).isEqualTo(Kind.SHARE_USED_UP);
        // one of them turns out longer than what is left to it
        assertThat(kindOf(() -> places.getFirst().submit(request(1, new int[6000]).withUrgency(0, "greedy")))).isEqualTo(Kind.SHARE_USED_UP);
        assertThat(kindOf(() -> test.engine().reserve(greedy, 0x7fff, 1))).isEqualTo(Kind.OVERLOADED);
        test.engine().reserve(Optional.of(new QueueShare("modest", 1)), 1, 1).close();
        places.forEach(Engine.Place::close);
    }

    @Test
    void givesAShareBackWhenSequencesBegin() throws InterruptedException {
        test.start(stub());
        for (int i = 0; i < 50; i++) {
            try (Engine.Place place = test.engine().reserve(Optional.of(new QueueShare("t", 3)), 2, 4)) {
                all(place.submit(request(3, 1).withUrgency(0, "t")));
            }
        }
        test.awaitRest();
        assertThat(test.engine().queue().tenants()).isZero();
    }

    @Test
    void correctsTheEstimateOnSubmission() {
        test.startHeld();
        Engine.Place tooMuch = test.engine().reserve(1, 60_000);
        Engine.Place tooLittle = test.engine().reserve(1, 10);
        tooMuch.submit(request(1, new int[1000]));
        assertThat(test.engine().queue().tokens()).isEqualTo(1010);
        tooLittle.submit(request(1, new int[2000]));
        assertThat(test.engine().queue().tokens()).isEqualTo(3000);

        Engine.Place almostAll = test.engine().reserve(1, 96_000);
        Engine.Place late = test.engine().reserve(1, 0);
        assertThat(kindOf(() -> late.submit(request(1, new int[2000])))).as("does not fit any more").isEqualTo(Kind.OVERLOADED);
        almostAll.close();
        late.submit(request(1, new int[2000]));
        assertThat(test.engine().queue().tokens()).isEqualTo(5000);
    }

    @Test
    void takesSeveralPromptsOnOnePlace() throws InterruptedException {
        test.start(stub());
        Engine.Place place = test.engine().reserve(4, 100);
        List<Generation> generations = List.of(place.submit(request(3, 1)), place.submit(request(3, 2)), place.submit(request(3, 3)));
        assertThatIllegalArgumentException().isThrownBy(() -> place.submit(new GenerationRequest("r", new int[1], 1, 0, Set.of(), 2, -1, SamplingParams.greedy())));
        place.close();
        assertThatIllegalArgumentException().isThrownBy(() -> place.submit(request(1, 1))).withMessageContaining("closed");
        for (Generation generation : generations) {
            assertThat(all(generation)).hasSize(4);
        }
        test.awaitRest();
    }

    @Test
    void refusesWhatCanNeverFitWithBothNumbers() {
        test.startHeld();
        try (Engine.Place place = test.engine().reserve(1, 10)) {
            assertThatExceptionOfType(EngineException.class).isThrownBy(() -> place.submit(request(4000, new int[4001])))
                    .withMessage("prompt has 4001 tokens and asks for 4000 more; this server holds 8000 per sequence")
                    .matches(refused -> refused.kind() == Kind.TOO_LARGE);
            assertThatIllegalArgumentException().isThrownBy(() -> place.submit(request(1, VOCAB))).withMessageContaining("vocabulary");
            assertThatIllegalArgumentException().isThrownBy(() -> place.submit(request(1, -1)));
        }
        assertThat(test.engine().queue().requests()).isZero();
    }
}
