package dev.sidewinder.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Random arrivals, admissions, cancels and ends, held against what is promised: order within a tenant and priority, nobody
/// overtaken beyond the bound, equal shares for tenants that always have something waiting, and empty books afterwards.
class FairQueueRandomTest {

    private static final int OPERATIONS = 30_000;

    private record Request(int number, Claim claim, int promptTokens, int maxTokens, long workBefore, long admittedBefore) {}

    private final FairQueue<Request> queue = new FairQueue<>();
    private final List<QueueTicket<Request>> waiting = new ArrayList<>();
    private final List<QueueTicket<Request>> running = new ArrayList<>();
    private long liveWork;
    private long admittedWork;
    private int numbers;
    private double longestWait;

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void letsEverybodyHaveItsTurnWithinTenTimesTheWorkBeforeIt(long seed) {
        System.out.println("FairQueueRandomTest seed " + seed);
        Random random = new Random(seed);
        int priorities = 1 + random.nextInt(5);
        int tenants = 1 + random.nextInt(30);
        int crowd = 1 + random.nextInt(300);
        for (int i = 0; i < OPERATIONS; i++) {
            switch (random.nextInt(6)) {
                case 0, 1 -> {
                    if (waiting.size() < crowd) {
                        arrive(random, priorities, tenants);
                    }
                }
                case 2, 3 -> admit();
                case 4 -> {
                    if (!running.isEmpty()) {
                        QueueTicket<Request> ticket = running.get(random.nextInt(running.size()));
                        for (int t = random.nextInt(500); t > 0; t--) {
                            queue.generated(ticket);
                        }
                        end(ticket, random);
                    }
                }
                default -> {
                    if (!waiting.isEmpty() && random.nextInt(4) == 0) {
                        withdraw(waiting.get(random.nextInt(waiting.size())));
                    }
                }
            }
            queue.checkInvariants();
        }
        while (!waiting.isEmpty()) {
            admit();
        }
        while (!running.isEmpty()) {
            end(running.getLast(), random);
        }
        queue.checkInvariants();
        assertThat(liveWork).isZero();
        assertThat(queue.size()).isZero();
        assertThat(queue.promptTokens()).isZero();
        assertThat(queue.tenants()).as("tenants remembered").isZero();
        System.out.println("longest wait: " + longestWait + " times the work before it");
    }

    private void arrive(Random random, int priorities, int tenants) {
        int promptTokens = 1 + (random.nextInt(10) == 0 ? random.nextInt(100_000) : random.nextInt(2000));
        int maxTokens = random.nextInt(4) == 0 ? 1 << 20 : random.nextInt(500);
        // One tenant sends as much as all others, and the most urgent priority is the most common one.
        String tenant = "t" + (random.nextBoolean() ? 0 : random.nextInt(tenants));
        var claim = new Claim(Math.max(0, random.nextInt(2 * priorities) - priorities), tenant, 1 + random.nextInt(4));
        liveWork += FairQueue.weight(promptTokens, maxTokens);
        var request = new Request(++numbers, claim, promptTokens, maxTokens, liveWork, admittedWork);
        waiting.add(queue.add(request, claim, promptTokens, maxTokens));
    }

    private void admit() {
        QueueTicket<Request> ticket = queue.next();
        assertThat(ticket == null).isEqualTo(waiting.isEmpty());
        if (ticket == null) {
            return;
        }
        Request request = ticket.item();
        assertThat(waiting).as("nobody of its tenant and priority came before it").noneMatch(other ->
                other.item().claim().tenant().equals(request.claim().tenant())
                        && other.item().claim().priority() == request.claim().priority() && other.item().number() < request.number());
        double wait = (double) (admittedWork - request.admittedBefore()) / request.workBefore();
        longestWait = Math.max(longestWait, wait);
        assertThat(wait).as("work admitted since it came, over the work before it").isLessThanOrEqualTo(9);
        queue.admit(ticket, request.promptTokens());
        waiting.remove(ticket);
        running.add(ticket);
        admittedWork += FairQueue.weight(request.promptTokens(), request.maxTokens());
    }

    private void end(QueueTicket<Request> ticket, Random random) {
        Request request = ticket.item();
        queue.end(ticket, random.nextInt(5) == 0 ? random.nextInt(request.promptTokens()) : 0);
        running.remove(ticket);
        liveWork -= FairQueue.weight(request.promptTokens(), request.maxTokens());
    }

    private void withdraw(QueueTicket<Request> ticket) {
        queue.withdraw(ticket);
        waiting.remove(ticket);
        liveWork -= FairQueue.weight(ticket.item().promptTokens(), ticket.item().maxTokens());
    }

    /// Tenants that always have something waiting, of very different sizes, before a machine with eight places.
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6})
    void givesTenantsThatAlwaysWaitTheSameShare(long seed) {
        Random random = new Random(seed);
        int tenants = 2 + random.nextInt(4);
        Map<String, Long> tokens = new HashMap<>();
        int[] sizes = random.ints(tenants, 10, 8000).toArray();
        int largest = 0;
        // one floods the queue, the others have two requests waiting
        for (int i = 0; i < 500; i++) {
            arrive("t0", sizes[0], random);
        }
        int places = 8;
        for (int turn = 0; turn < 20_000; turn++) {
            for (int t = 0; t < tenants; t++) {
                String tenant = "t" + t;
                if (waiting.stream().filter(ticket -> ticket.item().claim().tenant().equals(tenant)).count() < 2) {
                    arrive(tenant, sizes[t], random);
                }
            }
            if (running.size() < places) {
                QueueTicket<Request> ticket = queue.next();
                queue.admit(ticket, ticket.promptTokens());
                tokens.merge(ticket.item().claim().tenant(), (long) ticket.promptTokens(), Long::sum);
                largest = Math.max(largest, ticket.promptTokens() + ticket.item().maxTokens());
                waiting.remove(ticket);
                running.add(ticket);
            } else {
                QueueTicket<Request> ticket = running.remove(random.nextInt(running.size()));
                for (int i = 0; i < ticket.item().maxTokens(); i++) {
                    queue.generated(ticket);
                }
                tokens.merge(ticket.item().claim().tenant(), (long) ticket.item().maxTokens(), Long::sum);
                queue.end(ticket, 0);
            }
        }
        // In turns by tokens nobody is ahead by more than a round, what one request costs, and what runs.
        long most = tokens.values().stream().max(Comparator.naturalOrder()).orElseThrow();
        long least = tokens.values().stream().min(Comparator.naturalOrder()).orElseThrow();
        long bound = 2L * TenantAccounts.ROUND_TOKENS + (places + 2L) * largest;
        assertThat(tokens).hasSize(tenants);
        assertThat(most - least).as("tokens of %s", tokens).isLessThanOrEqualTo(bound);
        assertThat(least).as("enough to tell").isGreaterThan(2 * bound);
    }

    /// Tenants of different weights that always have something waiting: tokens come in proportion to the weights. Weights and lines
    /// are such that nobody comes near the bound of [Overtaking], which goes before weights.
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6})
    void givesTenantsThatAlwaysWaitTokensByTheirWeights(long seed) {
        Random random = new Random(seed);
        int tenants = 2 + random.nextInt(4);
        int[] weights = random.ints(tenants, 1, 8).toArray();
        int size = 10 + random.nextInt(4000);
        long[] tokens = new long[tenants];
        long largest = 0;
        for (int turn = 0; turn < 20_000; turn++) {
            for (int t = 0; t < tenants; t++) {
                String tenant = "t" + t;
                while (waiting.stream().filter(ticket -> ticket.item().claim().tenant().equals(tenant)).count() < 2) {
                    int promptTokens = 1 + random.nextInt(size);
                    var claim = new Claim(0, tenant, weights[t]);
                    waiting.add(queue.add(new Request(++numbers, claim, promptTokens, 0, 0, 0), claim, promptTokens, 0));
                }
            }
            QueueTicket<Request> ticket = queue.next();
            queue.admit(ticket, ticket.promptTokens());
            waiting.remove(ticket);
            tokens[Integer.parseInt(ticket.item().claim().tenant().substring(1))] += ticket.promptTokens();
            largest = Math.max(largest, ticket.promptTokens());
            queue.end(ticket, 0);
        }
        // For each unit of weight, nobody is ahead of another by more than a round of its own and what one request costs.
        double bound = 2.0 * TenantAccounts.ROUND_TOKENS + 2.0 * largest;
        double[] shares = new double[tenants];
        for (int t = 0; t < tenants; t++) {
            shares[t] = (double) tokens[t] / weights[t];
        }
        double most = Arrays.stream(shares).max().orElseThrow();
        double least = Arrays.stream(shares).min().orElseThrow();
        assertThat(most - least).as("seed %d: tokens a unit of weight %s of weights %s", seed, Arrays.toString(shares), Arrays.toString(weights))
                .isLessThanOrEqualTo(bound);
        assertThat(least).as("enough to tell").isGreaterThan(10 * bound);
    }

    private void arrive(String tenant, int size, Random random) {
        int promptTokens = 1 + random.nextInt(size);
        int maxTokens = random.nextInt(1 + size / 4);
        waiting.add(queue.add(new Request(++numbers, new Claim(0, tenant), promptTokens, maxTokens, 0, 0), new Claim(0, tenant),
                promptTokens, maxTokens));
    }
}
