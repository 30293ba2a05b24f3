package dev.sidewinder.kvcache;

import java.util.Optional;
import java.util.OptionalInt;

/// Says what the prefix tree has of a prompt and why not more. Changes nothing.
final class Explainer {

    private static final int NONE = PrefixNodes.NONE;
    private static final int TOKENS = CacheShape.BLOCK_TOKENS;

    /// Siblings among which the nearest is looked for, the youngest first: a system prompt may have thousands behind it.
    private static final int MOST_SIBLINGS = 64;

    private final PrefixNodes nodes;
    private final PrefixStates states;
    private final EvictedKeys evictedBlocks;

    /// @param evictedBlocks paths whose last block was evicted of late
    Explainer(PrefixNodes nodes, PrefixStates states, EvictedKeys evictedBlocks) {
        this.nodes = nodes;
        this.states = states;
        this.evictedBlocks = evictedBlocks;
    }

    /// How far the tree goes with a prompt.
    ///
    /// @param node         deepest node on its way; [PrefixNodes#NONE] when nothing is known of the partition any more
    /// @param key          of the path to there
    /// @param kv           tokens up to there
    /// @param stateNode    deepest node with a state, or [PrefixNodes#NONE]
    /// @param evictedState tokens up to the deepest node whose state was evicted
    private record Way(int node, long key, int kv, int stateNode, int evictedState) {}

    /// @param root       of the partition; [PrefixNodes#NONE] when nothing is known of it any more
    /// @param mostTokens as far as a sequence could go on
    CacheExplanation explain(Partition partition, int root, int[] tokens, int mostTokens) {
        Way way = follow(partition, root, tokens, mostTokens);
        boolean hasState = way.stateNode() != NONE;
        int reused = hasState ? nodes.depth(way.stateNode()) * TOKENS : 0;
        var point = hasState ? Optional.of(states.point(states.slot(way.stateNode()))) : Optional.<CheckpointPoint>empty();
        MissReason reason = reason(way, tokens, mostTokens, reused);
        var diverged = reason == MissReason.DIVERGED
                ? OptionalInt.of(way.kv() + commonTokens(way.node(), tokens, way.kv()))
                : OptionalInt.empty();
        return new CacheExplanation(way.kv(), reused, point, reason, diverged);
    }

    private Way follow(Partition partition, int root, int[] tokens, int mostTokens) {
        if (root == NONE) {
            return new Way(NONE, PrefixNodes.rootKey(partition), 0, NONE, 0);
        }
        int node = root;
        int stateNode = NONE;
        int evictedState = 0;
        for (int end = TOKENS; end <= mostTokens; end += TOKENS) {
            int child = nodes.child(node, tokens, end - TOKENS);
            if (child == NONE) {
                break;
            }
            node = child;
            stateNode = states.isAt(node) ? node : stateNode;
            evictedState = states.evicted().contains(nodes.key(node)) ? end : evictedState;
        }
        return new Way(node, nodes.key(node), nodes.depth(node) * TOKENS, stateNode, evictedState);
    }

    private MissReason reason(Way way, int[] tokens, int mostTokens, int reused) {
        if (mostTokens < TOKENS) {
            return MissReason.SHORT;
        }
        if (reused + TOKENS > mostTokens) {
            return MissReason.NONE;
        }
        if (way.evictedState() > reused) {
            return MissReason.EVICTED_STATE;
        }
        if (way.kv() > reused) {
            return MissReason.NO_SNAPSHOT;
        }
        if (evictedBlocks.contains(nodes.keyAfter(way.key(), tokens, way.kv()))) {
            return MissReason.EVICTED_KV;
        }
        boolean known = way.kv() > 0 || way.node() != NONE && commonTokens(way.node(), tokens, 0) > 0;
        return known ? MissReason.DIVERGED : MissReason.COLD;
    }

    /// Tokens from `from` on that the most similar of the blocks behind a node shares.
    private int commonTokens(int node, int[] tokens, int from) {
        int most = 0;
        int child = nodes.firstChild(node);
        for (int i = 0; i < MOST_SIBLINGS && child != NONE; i++) {
            most = Math.max(most, nodes.commonTokens(child, tokens, from));
            child = nodes.nextSibling(child);
        }
        return most;
    }
}
