package dev.sidewinder.kvcache;

import dev.sidewinder.kvcache.ReuseEstimate.Worth;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/// The states in the prefix tree: which node has one, which one whoever goes on there would fall back to without it (its base), and
/// which is worth least.
///
/// A choice of the least worthy looks at each of them, and there are as many as there are frames at most.
final class PrefixStates {

    private static final int NONE = PrefixNodes.NONE;
    private static final int TOKENS = CacheShape.BLOCK_TOKENS;

    private final PrefixNodes nodes;
    private final Checkpoints checkpoints;
    private final EvictedKeys evicted = new EvictedKeys();
    /// By node.
    private int[] slots = new int[0];

    /// @param shape of the pool: each of its frames may hold a state
    PrefixStates(PrefixNodes nodes, ReuseEstimate estimate, FrameShape shape) {
        this.nodes = nodes;
        checkpoints = new Checkpoints(estimate, shape.frames(), shape.blocksPerFrame());
    }

    /// Makes room for nodes below `capacity`.
    void follow(int capacity) {
        slots = Arrays.copyOf(slots, capacity);
    }

    /// A node is new.
    void begin(int node) {
        slots[node] = NONE;
    }

    int size() {
        return checkpoints.size();
    }

    /// One of the slots in use, which are in no order; when one is taken out, the last takes its place.
    int get(int i) {
        return checkpoints.get(i);
    }

    /// Whether a node has a state.
    boolean isAt(int node) {
        return slots[node] != NONE;
    }

    /// The slot of the state at a node; [PrefixNodes#NONE] when it has none.
    int slot(int node) {
        return slots[node];
    }

    /// Where a state stands.
    int node(int slot) {
        return checkpoints.node(slot);
    }

    /// Blocks up to a state.
    int depth(int slot) {
        return checkpoints.depth(slot);
    }

    /// Why a state was kept.
    CheckpointPoint point(int slot) {
        return checkpoints.point(slot);
    }

    /// Paths whose state was taken away of late.
    EvictedKeys evicted() {
        return evicted;
    }

    /// Gives a state to a node that has none.
    void put(int node, int slot, CheckpointPoint point) {
        int base = base(node);
        if (nodes.childCount(node) > 0) {
            standOn(slot, node, base);
        }
        checkpoints.add(slot, node, nodes.depth(node), base, point);
        slots[node] = slot;
    }

    /// States below a node that stood on its base stand on it from now on.
    private void standOn(int slot, int node, int base) {
        int depth = nodes.depth(node);
        for (int i = 0; i < checkpoints.size(); i++) {
            int each = checkpoints.get(i);
            if (checkpoints.base(each) == base && checkpoints.depth(each) > depth) {
                if (nodes.ancestor(checkpoints.node(each), depth) == node) {
                    checkpoints.setBase(each, slot);
                }
            }
        }
    }

    /// Takes a state out of the tree.
    ///
    /// @return the node where it stood
    int take(int slot) {
        int node = checkpoints.node(slot);
        evicted.add(nodes.key(node));
        slots[node] = NONE;
        checkpoints.remove(slot);
        return node;
    }

    /// The nearest state above a node, [PrefixNodes#NONE] when there is none.
    int base(int node) {
        for (int each = nodes.parent(node); each != NONE; each = nodes.parent(each)) {
            if (slots[each] != NONE) {
                return slots[each];
            }
        }
        return NONE;
    }

    /// Blocks up to the nearest state above a node; 0 when there is none.
    int baseDepth(int node) {
        int base = base(node);
        return base == NONE ? 0 : checkpoints.depth(base);
    }

    /// Counts a lookup by which a sequence was admitted.
    void countLookup(PrefixMatch match) {
        checkpoints.tick();
        if (match.hasState()) {
            checkpoints.use(match.slot());
        }
    }

    /// The state from which a conversation went on to the one at a node, where it will hardly ever go on again: where a turn began or
    /// ended. [PrefixNodes#NONE] when there is none such: where others have gone on, and where a tool loop began, since the next turn
    /// will go on from there when the reasoning inside the loop is dropped.
    int turnBefore(int node) {
        int next = slots[node];
        int base = checkpoints.base(next);
        boolean turn = base != NONE && isTurn(next) && isTurn(base);
        return turn && nodes.childCount(checkpoints.node(base)) == 1 && !beginsToolLoop(base, next) ? base : NONE;
    }

    /// Whoever used a state will hardly do so again.
    void supersede(int slot) {
        checkpoints.supersede(slot);
    }

    private boolean isTurn(int slot) {
        return switch (checkpoints.point(slot)) {
            case TURN_START, TURN_END -> true;
            case SYSTEM, BRANCH, INTERVAL -> false;
        };
    }

    /// Whether a turn started at `base`, and what follows is the end of its first answer.
    private boolean beginsToolLoop(int base, int next) {
        int before = checkpoints.base(base);
        return checkpoints.point(base) == CheckpointPoint.TURN_START && checkpoints.point(next) == CheckpointPoint.TURN_END
                && (before == NONE || checkpoints.point(before) != CheckpointPoint.TURN_END);
    }

    /// The state that is worth least.
    ///
    /// @param kept a slot that is not asked about, or [PrefixNodes#NONE]
    /// @return [PrefixNodes#NONE] when there is no other
    int leastWorthy(int kept) {
        int least = NONE;
        double leastValue = Double.POSITIVE_INFINITY;
        for (int i = 0; i < checkpoints.size(); i++) {
            int slot = checkpoints.get(i);
            double value = worth(slot).value();
            if (slot != kept && value < leastValue) {
                least = slot;
                leastValue = value;
            }
        }
        return least;
    }

    Worth worth(int slot) {
        return checkpoints.worth(slot, nodes.childCount(checkpoints.node(slot)) == 0);
    }

    /// What a new state would be worth.
    ///
    /// @param baseDepth blocks up to the state that it would stand on
    Worth worth(CheckpointPoint point, int depth, int baseDepth) {
        return checkpoints.worth(point, depth, baseDepth);
    }

    /// All of them, the worthiest in front.
    List<KeptState> list() {
        List<KeptState> states = new ArrayList<>();
        for (int i = 0; i < checkpoints.size(); i++) {
            int slot = checkpoints.get(i);
            states.add(new KeptState(checkpoints.depth(slot) * TOKENS, checkpoints.point(slot), worth(slot)));
        }
        states.sort(Comparator.comparingDouble((KeptState state) -> state.worth().value()).reversed());
        return states;
    }

    /// @throws IllegalStateException when the books do not balance
    void checkInvariants() {
        int states = 0;
        for (int node = 0; node < nodes.capacity(); node++) {
            if (!nodes.isUsed(node) || slots[node] == NONE) {
                continue;
            }
            states++;
            int slot = slots[node];
            if (nodes.parent(node) == NONE || !checkpoints.contains(slot) || checkpoints.node(slot) != node
                    || checkpoints.depth(slot) != nodes.depth(node) || checkpoints.base(slot) != base(node)) {
                throw new IllegalStateException("state at node " + node + " of the prefix tree, slot " + slot + ", is wrong");
            }
        }
        if (states != checkpoints.size()) {
            throw new IllegalStateException(checkpoints.size() + " states counted in the prefix tree, there are " + states);
        }
    }
}
