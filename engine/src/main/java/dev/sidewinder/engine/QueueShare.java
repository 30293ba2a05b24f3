package dev.sidewinder.engine;

import dev.sidewinder.scheduler.Claim;
import java.util.Objects;

/// Whose part of the queue a place is taken from, and the weight of the tenant whenever turns are given. A tenant may have as many
/// requests and tokens waiting as are left free, times its weight, and one request in any case: so however many greedy ones there
/// are, something is left for the next who comes. With weights `w` they come to rest at `w / (1 + sum of all w)` of the queue each,
/// in proportion to their shares of turns.
///
/// Source: Choudhury and Hahne 1998, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches".
///
/// @param tenant whose requests count together
/// @param weight 1 to 100; of several shares of one tenant the latest counts
public record QueueShare(String tenant, int weight) {

    public QueueShare {
        Objects.requireNonNull(tenant, "a share of nobody");
        if (weight < 1 || weight > Claim.MOST_WEIGHT) {
            throw new IllegalArgumentException("weight " + weight + "; it must be between 1 and " + Claim.MOST_WEIGHT);
        }
    }
}
