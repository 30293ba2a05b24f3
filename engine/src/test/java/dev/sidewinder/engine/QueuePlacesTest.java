package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.sidewinder.engine.QueuePlaces.Answer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Who may have how much of the queue.
class QueuePlacesTest {

    private static final int REQUESTS = 1024;
    private static final long TOKENS = 1_000_000;

    private final QueuePlaces places = new QueuePlaces(REQUESTS, TOKENS);

    private static Optional<QueueShare> share(String tenant, int weight) {
        return Optional.of(new QueueShare(tenant, weight));
    }

    /// Takes places of one request until they are refused.
    private int fill(Optional<QueueShare> share, long tokens, Answer refusal) {
        int taken = 0;
        Answer answer = places.take(share, 1, tokens);
        while (answer == Answer.TAKEN) {
            taken++;
            answer = places.take(share, 1, tokens);
        }
        assertThat(answer).isEqualTo(refusal);
        return taken;
    }

    @Test
    void letsNobodyInParticularHaveAllOfIt() {
        assertThat(fill(Optional.empty(), 1, Answer.TOO_MANY_REQUESTS)).isEqualTo(REQUESTS);
        assertThat(places.tenants()).isZero();
    }

    @ParameterizedTest
    @CsvSource({"1, 512", "3, 768", "100, 1013"})
    void leavesTheNextRoomWhoeverFloods(int weight, int most) {
        assertThat(fill(share("greedy", weight), 1, Answer.SHARE_OF_REQUESTS)).isEqualTo(most);
        // then another one finds room, for half of what is left
        assertThat(fill(share("modest", 1), 1, Answer.SHARE_OF_REQUESTS)).isEqualTo((REQUESTS - most) / 2);
        assertThat(places.tenants()).isEqualTo(2);
    }

    @Test
    void dividesTokensInTheSameWay() {
        assertThat(fill(share("greedy", 1), 1000, Answer.SHARE_OF_TOKENS)).isEqualTo(500);
        assertThat(fill(share("modest", 1), 1000, Answer.SHARE_OF_TOKENS)).isEqualTo(250);
    }

    @Test
    void leavesRoomBehindAnyNumberOfGreedyOnesThatTakeWhatComesFree() {
        // given ten tenants that ask again and again, while places come free now and then
        long seed = 11;
        Random random = new Random(seed);
        List<Optional<QueueShare>> greedy = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            greedy.add(share("t" + i, 1 + i % 3));
        }
        List<Optional<QueueShare>> held = new ArrayList<>();
        for (int i = 0; i < 100_000; i++) {
            Optional<QueueShare> asking = greedy.get(random.nextInt(10));
            if (places.take(asking, 1, 5) == Answer.TAKEN) {
                held.add(asking);
            }
            if (random.nextInt(4) == 0 && !held.isEmpty()) {
                places.giveBack(held.remove(random.nextInt(held.size())), 1, 5);
            }
        }
        // then each has come to its weight's part of the queue, and one part is free
        double part = REQUESTS / (1.0 + greedy.stream().mapToInt(each -> each.get().weight()).sum());
        for (Optional<QueueShare> each : greedy) {
            assertThat((double) held.stream().filter(each::equals).count()).as("seed %d, %s", seed, each)
                    .isBetween(each.get().weight() * part * 0.8, each.get().weight() * part * 1.2);
        }
        assertThat((double) REQUESTS - places.requests()).isBetween(part * 0.8, part * 1.2);
        assertThat(places.take(share("newcomer", 1), 1, 5)).isEqualTo(Answer.TAKEN);
    }

    @Test
    void saysThatTheQueueIsFullWhenItIs() {
        var small = new QueuePlaces(2, 1000);
        assertThat(small.take(share("a", 1), 1, 1)).isEqualTo(Answer.TAKEN);
        assertThat(small.take(share("a", 1), 1, 1)).isEqualTo(Answer.SHARE_OF_REQUESTS);
        assertThat(small.take(share("b", 1), 1, 1)).as("one who has nothing gets the last place").isEqualTo(Answer.TAKEN);
        assertThat(small.take(share("c", 1), 1, 1)).isEqualTo(Answer.TOO_MANY_REQUESTS);
        assertThat(small.take(share("a", 1), 1, 1)).isEqualTo(Answer.TOO_MANY_REQUESTS);
    }

    @Test
    void takesALargeRequestOfOneWhoHasNothing() {
        assertThat(places.take(share("a", 1), 900, 900_000)).isEqualTo(Answer.TAKEN);
        assertThat(places.take(share("a", 1), 1, 1)).isEqualTo(Answer.SHARE_OF_REQUESTS);
        assertThat(places.take(share("b", 1), 100, 100_001)).isEqualTo(Answer.TOO_MANY_TOKENS);
        assertThat(places.take(share("b", 1), 100, 100_000)).isEqualTo(Answer.TAKEN);
        places.giveBack(share("a", 1), 900, 900_000);
        places.giveBack(share("b", 1), 100, 100_000);
        // larger than the queue: only where nobody waits
        assertThat(places.take(share("a", 1), 2000, 5_000_000)).isEqualTo(Answer.TAKEN);
        assertThat(places.take(share("b", 1), 1, 0)).isEqualTo(Answer.TOO_MANY_REQUESTS);
        places.giveBack(share("a", 1), 2000, 5_000_000);
        assertThat(places.tenants()).isZero();
        assertThat(places.requests()).isZero();
    }

    @Test
    void holdsAPlaceThatGrowsToTheShareUnlessItIsTheOnlyOne() {
        places.take(share("a", 1), 2, 10);
        assertThat(places.takeMoreTokens(share("a", 1), 900_000, 2)).as("all that the tenant has").isEqualTo(Answer.TAKEN);
        places.giveBack(share("a", 1), 2, 900_010);
        places.take(share("a", 1), 1, 10);
        places.take(share("a", 1), 1, 10);
        places.take(share("b", 1), 1, 10);
        assertThat(places.takeMoreTokens(share("a", 1), 499_975, 1)).isEqualTo(Answer.TAKEN);
        assertThat(places.takeMoreTokens(share("a", 1), 1, 1)).isEqualTo(Answer.SHARE_OF_TOKENS);
        assertThat(places.takeMoreTokens(share("b", 1), 499_995, 1)).isEqualTo(Answer.TAKEN);
        assertThat(places.takeMoreTokens(share("b", 1), 6, 1)).isEqualTo(Answer.TOO_MANY_TOKENS);
    }

    @Test
    void noticesWhatIsGivenBackTwice() {
        places.take(share("a", 1), 1, 10);
        places.take(share("b", 1), 1, 10);
        places.giveBack(share("a", 1), 1, 10);
        assertThatIllegalStateException().isThrownBy(() -> places.giveBack(share("a", 1), 1, 10)).withMessageContaining("of a");
        assertThatIllegalStateException().isThrownBy(() -> places.giveBack(share("b", 1), 1, 11));
        assertThatIllegalArgumentException().isThrownBy(() -> new QueueShare("a", 0)).withMessageContaining("weight 0");
        assertThatIllegalArgumentException().isThrownBy(() -> new QueueShare("a", 101));
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void keepsItsBooksWithManyThreads(long seed) throws InterruptedException {
        // given threads of four tenants that take and give back
        var small = new QueuePlaces(40, 400);
        AtomicInteger most = new AtomicInteger();
        List<Thread> threads = new ArrayList<>();
        for (int t = 0; t < 8; t++) {
            Random random = new Random(seed * 100 + t);
            Optional<QueueShare> share = t == 7 ? Optional.empty() : share("t" + t % 4, 1 + t % 3);
            threads.add(Thread.ofPlatform().start(() -> {
                for (int i = 0; i < 20_000; i++) {
                    int requests = 1 + random.nextInt(3);
                    long tokens = random.nextInt(20);
                    if (small.take(share, requests, tokens) == Answer.TAKEN) {
                        long more = random.nextInt(5);
                        long all = small.takeMoreTokens(share, more, requests) == Answer.TAKEN ? tokens + more : tokens;
                        most.accumulateAndGet(small.requests(), Math::max);
                        small.giveBack(share, requests, all);
                    }
                }
            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        // then nothing is left, and the queue was never more than full
        assertThat(small.requests()).isZero();
        assertThat(small.tokens()).isZero();
        assertThat(small.tenants()).isZero();
        assertThat(most.get()).as("seed %d", seed).isBetween(1, 40);
    }
}
