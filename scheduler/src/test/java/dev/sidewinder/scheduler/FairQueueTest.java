package dev.sidewinder.scheduler;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class FairQueueTest {

    private static final int ROUND = (int) TenantAccounts.ROUND_TOKENS;

    private final FairQueue<String> queue = new FairQueue<>();

    private QueueTicket<String> add(String item, int priority, String tenant, int promptTokens) {
        return queue.add(item, new Claim(priority, tenant), promptTokens, 100);
    }

    /// Admits the next and ends it at once.
    private String take() {
        QueueTicket<String> ticket = queue.next();
        assertThat(queue.next()).as("the same when asked again").isSameAs(ticket);
        queue.admit(ticket, ticket.promptTokens());
        queue.end(ticket, 0);
        queue.checkInvariants();
        return ticket.item();
    }

    private List<String> takeAll() {
        List<String> order = new ArrayList<>();
        while (queue.size() > 0) {
            order.add(take());
        }
        return order;
    }

    @Test
    void letsEqualsGoInOrderOfArrival() {
        add("a", 0, "x", 10);
        add("b", 0, "x", 5000);
        add("c", 0, "x", 10);
        assertThat(takeAll()).containsExactly("a", "b", "c");
        assertThat(queue.next()).isNull();
        assertThat(queue.oldest()).isNull();
    }

    @Test
    void letsTheLowerNumberGoFirst() {
        add("last", 1000, "x", 10);
        add("ordinary", 0, "y", 10);
        add("first", -1000, "x", 10);
        add("second", -999, "z", 10);
        assertThat(takeAll()).containsExactly("first", "second", "ordinary", "last");
        assertThatIllegalArgumentException().isThrownBy(() -> new Claim(1001, "x")).withMessageContaining("1001");
        assertThatIllegalArgumentException().isThrownBy(() -> new Claim(-1001, "x"));
    }

    @Test
    void letsTenantsTakeTurnsByTokens() {
        // given a tenant with many requests of a round each, and one with a few of half a round
        for (int i = 0; i < 6; i++) {
            add("A" + i, 0, "A", ROUND);
        }
        for (int i = 0; i < 6; i++) {
            add("b" + i, 0, "B", ROUND / 2);
        }
        // then one of the first counts as much as two of the second
        assertThat(takeAll()).containsExactly("A0", "b0", "b1", "A1", "b2", "b3", "A2", "b4", "b5", "A3", "A4", "A5");
    }

    @Test
    void letsTenantsTakeTurnsByTheirWeights() {
        // given a tenant of three shares and one of a single share, both with requests of a round each
        for (int i = 0; i < 7; i++) {
            queue.add("A" + i, new Claim(0, "A", 3), ROUND, 0);
            queue.add("b" + i, new Claim(0, "B", 1), ROUND, 0);
        }
        // then three of the first go for one of the second
        assertThat(takeAll()).containsExactly("A0", "A1", "A2", "b0", "A3", "A4", "A5", "b1", "A6", "b2", "b3", "b4", "b5", "b6");
    }

    @Test
    void takesTheLatestWeightOfATenant() {
        for (int i = 0; i < 3; i++) {
            queue.add("A" + i, new Claim(0, "A", 100), ROUND, 0);
            queue.add("b" + i, new Claim(0, "B", 1), ROUND, 0);
        }
        assertThat(take()).isEqualTo("A0");
        // when its weight is lowered while it has a balance of many rounds
        queue.add("A3", new Claim(0, "A", 1), ROUND, 0);
        queue.checkInvariants();
        // then it has no more than one of them left
        assertThat(takeAll()).containsExactly("A1", "b0", "A2", "b1", "A3", "b2");
        assertThatIllegalArgumentException().isThrownBy(() -> new Claim(0, "x", 0)).withMessageContaining("weight 0");
        assertThatIllegalArgumentException().isThrownBy(() -> new Claim(0, "x", 101));
    }

    @Test
    void countsGeneratedTokens() {
        // given two tenants whose first requests run, and one of them generates a lot while both wait
        for (int i = 0; i < 4; i++) {
            add("A" + i, 0, "A", 10);
            add("B" + i, 0, "B", 10);
        }
        QueueTicket<String> first = queue.next();
        queue.admit(first, 10);
        assertThat(first.item()).isEqualTo("A0");
        for (int i = 0; i < 2 * ROUND; i++) {
            queue.generated(first);
        }
        // then the other one goes until it has had as much
        assertThat(take()).isEqualTo("B0");
        assertThat(take()).isEqualTo("B1");
        assertThat(take()).isEqualTo("B2");
        assertThat(take()).isEqualTo("B3");
        assertThat(take()).isEqualTo("A1");
        queue.end(first, 0);
    }

    @Test
    void chargesNobodyForWhatNobodyElseWanted() {
        // given a tenant that has been alone and used a lot
        QueueTicket<String> busy = add("busy", 0, "A", 100_000);
        queue.admit(busy, 100_000);
        for (int i = 0; i < 10_000; i++) {
            queue.generated(busy);
        }
        // when it and another one come
        add("A1", 0, "A", 10);
        add("B1", 0, "B", 10);
        // then it is its turn
        assertThat(takeAll()).containsExactly("A1", "B1");
        queue.end(busy, 0);
    }

    @Test
    void givesBackWhatWasPaidForAPromptThatWasNotComputed() {
        add("A0", 0, "A", 50_000);
        for (int i = 0; i < 3; i++) {
            add("A" + (i + 1), 0, "A", 10);
            add("B" + i, 0, "B", 10);
        }
        // given a long prompt that was paid for and cancelled in its first piece
        QueueTicket<String> cancelled = queue.next();
        queue.admit(cancelled, 50_000);
        queue.end(cancelled, 49_872);
        // then its tenant goes on
        assertThat(takeAll()).containsExactly("A1", "A2", "A3", "B0", "B1", "B2");
    }

    @Test
    void forgetsDebtsWhenNobodyWaits() {
        add("A0", 0, "A", 100_000);
        add("B0", 0, "B", 10);
        assertThat(takeAll()).containsExactly("A0", "B0");
        add("B1", 0, "B", 10);
        add("A1", 0, "A", 10);
        add("B2", 0, "B", 10);
        assertThat(takeAll()).containsExactly("B1", "B2", "A1");
    }

    @Test
    void letsACancelledOneLeaveFromTheMiddle() {
        add("a", 0, "x", 10);
        QueueTicket<String> middle = add("b", 0, "x", 20);
        QueueTicket<String> other = add("c", 5, "y", 30);
        add("d", 0, "x", 40);
        assertThat(queue.promptTokens()).isEqualTo(100);
        queue.withdraw(middle);
        queue.checkInvariants();
        queue.withdraw(other);
        queue.checkInvariants();
        assertThat(queue.size()).isEqualTo(2);
        assertThat(queue.promptTokens()).isEqualTo(50);
        assertThat(takeAll()).containsExactly("a", "d");
    }

    @Test
    void knowsTheOneThatHasWaitedLongest() {
        QueueTicket<String> low = add("low", 9, "x", 10);
        add("high", 0, "x", 10);
        assertThat(queue.oldest()).isSameAs(low);
        assertThat(take()).isEqualTo("high");
        assertThat(queue.oldest()).isSameAs(low);
    }

    @Test
    void letsNobodyBeOvertakenForEver() {
        // given one of low priority, and a stream of others that are always first
        add("low", 1000, "x", 100);
        long overtaken = 0;
        String taken;
        do {
            add("high", -1000, "y", 100);
            taken = take();
            overtaken += 200;
        } while (taken.equals("high"));
        // then eight times the work before it (its own 200) goes first, and then it
        assertThat(overtaken).isEqualTo(9 * 200);
    }

    @Test
    void letsAGiantNotOvertakeADwarf() {
        add("dwarf", 1, "x", 50);
        add("giant", 0, "y", 100_000);
        assertThat(takeAll()).containsExactly("dwarf", "giant");
    }
}
