package dev.sidewinder.kvcache;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.random.RandomGenerator;

/// What earlier sequences computed and later ones can use: a tree of blocks of 128 tokens for each partition. A node holds
/// the KV block of its tokens and, at some, the state after them. A sequence can go on only where both are.
///
/// **Locks.** A sequence stands at a node, and every node on its path is locked. What is locked keeps its block. A state is
/// never locked: whoever goes on from it copies it with the next step, and its slot is fenced until that has run.
///
/// **Eviction** takes first the KV of leaves behind which no state is left, since no sequence can go on there; then the
/// state that is worth least ([ReuseEstimate]), whose blocks up to the state before thereby become such leaves.
///
/// Lookups cost one hash and one comparison of 128 tokens a block; everything else the length of the path at most, but for
/// the choice of a state to evict ([PrefixStates]).
final class PrefixIndex {

    private static final int NONE = PrefixNodes.NONE;
    private static final int TOKENS = CacheShape.BLOCK_TOKENS;

    private final FramePool pool;
    private final PrefixNodes nodes;
    private final PrefixStates states;
    private final Map<Partition, Integer> roots = new HashMap<>();
    private final Map<Integer, Partition> partitions = new HashMap<>();

    private int[] locks = new int[0];
    private int unlockedBlocks;
    /// Unlocked leaves without a state, those to go first in front.
    private final NodeList dead = new NodeList();
    private final EvictedKeys evictedBlocks = new EvictedKeys();
    private final Explainer explainer;

    PrefixIndex(FramePool pool, ReuseEstimate estimate, RandomGenerator random) {
        this.pool = pool;
        nodes = new PrefixNodes(new BlockHash(random));
        states = new PrefixStates(nodes, estimate, pool.shape());
        explainer = new Explainer(nodes, states, evictedBlocks);
        followCapacity();
    }

    /// Blocks held by the tree alone: eviction can free all of them.
    int unlockedBlocks() {
        return unlockedBlocks;
    }

    /// Blocks in the tree.
    int blocks() {
        return nodes.size() - roots.size();
    }

    PrefixStates states() {
        return states;
    }

    /// What the tree has of the first `mostTokens` tokens. Changes nothing.
    PrefixMatch lookup(Partition partition, int[] tokens, int mostTokens) {
        Integer root = roots.get(partition);
        if (root == null) {
            return PrefixMatch.NOTHING;
        }
        int node = root;
        int deepest = NONE;
        for (int end = TOKENS; end <= mostTokens; end += TOKENS) {
            int child = nodes.child(node, tokens, end - TOKENS);
            if (child == NONE) {
                break;
            }
            node = child;
            deepest = states.isAt(node) ? states.slot(node) : deepest;
        }
        return new PrefixMatch(nodes.depth(node) * TOKENS, deepest == NONE ? 0 : states.depth(deepest) * TOKENS, deepest);
    }

    /// The same in words. Changes nothing.
    CacheExplanation explain(Partition partition, int[] tokens, int mostTokens) {
        return explainer.explain(partition, roots.getOrDefault(partition, NONE), tokens, mostTokens);
    }

    /// Puts a sequence at the start of a partition.
    ///
    /// @return the node it stands at
    int enter(Partition partition) {
        Integer root = roots.get(partition);
        if (root == null) {
            root = nodes.addRoot(partition);
            followCapacity();
            roots.put(partition, root);
            partitions.put(root, partition);
            locks[root] = 0;
            states.begin(root);
        }
        locks[root]++;
        return root;
    }

    /// Puts a sequence where there is a state.
    int enterAt(int slot) {
        int node = states.node(slot);
        lockPath(node);
        return node;
    }

    /// Puts one more sequence where one stands.
    void lockPath(int node) {
        for (int each = node; each != NONE; each = nodes.parent(each)) {
            lock(each);
        }
    }

    private void lock(int node) {
        if (locks[node]++ == 0 && nodes.depth(node) > 0) {
            unlockedBlocks--;
            dead.removeIfContained(node);
        }
    }

    /// Takes a sequence away from where it stands.
    void leave(int node) {
        retreat(node, -1);
    }

    /// Leads a sequence back to a depth, or to nowhere at -1.
    ///
    /// @return the node it stands at now
    int retreat(int node, int depth) {
        int each = node;
        while (each != NONE && nodes.depth(each) > depth) {
            int parent = nodes.parent(each);
            if (--locks[each] == 0) {
                unlockedBlocks += nodes.depth(each) > 0 ? 1 : 0;
                if (isDead(each)) {
                    dead.addLast(each);
                }
                dropRootIfEmpty(each);
            }
            each = parent;
        }
        return each;
    }

    /// The KV blocks on the way to a node, in order; `names` has room for them.
    void path(int node, int[] names) {
        for (int each = node; nodes.depth(each) > 0; each = nodes.parent(each)) {
            names[nodes.depth(each) - 1] = nodes.block(each);
        }
    }

    /// Whose tree a node is in.
    Partition partition(int node) {
        return partitions.get(nodes.ancestor(node, 0));
    }

    int depth(int node) {
        return nodes.depth(node);
    }

    /// The node at a depth on the way to another.
    int ancestor(int node, int depth) {
        return nodes.ancestor(node, depth);
    }

    /// Whether one sequence stands at a node, and there is nothing behind it.
    boolean isLast(int node) {
        return locks[node] == 1 && nodes.childCount(node) == 0;
    }

    /// Sequences that stand at a node or behind it.
    int standing(int node) {
        return locks[node];
    }

    /// Leads a sequence on: its tokens from where it stands up to a depth. Blocks that the tree lacks are taken from the
    /// sequence. Where it has them already and others stand, both keep their own. Where nobody stands, the tree lets go of
    /// its own: what a sequence's path keeps must not grow by a block that was free to be evicted.
    ///
    /// @param names the sequence's blocks
    /// @return the node it stands at now
    int extend(int from, int[] tokens, int depth, int[] names) {
        int node = from;
        for (int i = nodes.depth(from); i < depth; i++) {
            int child = nodes.child(node, tokens, i * TOKENS);
            if (child == NONE) {
                child = nodes.add(node, tokens, i * TOKENS, names[i]);
                followCapacity();
                pool.hold(names[i]);
                locks[child] = 1;
                states.begin(child);
            } else {
                if (locks[child] == 0) {
                    pool.letGo(nodes.block(child));
                    nodes.setBlock(child, names[i]);
                    pool.hold(names[i]);
                }
                lock(child);
            }
            node = child;
        }
        return node;
    }

    /// Gives a state to the node where a sequence stands.
    ///
    /// @return false when it has one already; the slot stays the caller's
    boolean attach(int node, int slot, CheckpointPoint point) {
        if (locks[node] == 0 || nodes.depth(node) == 0) {
            throw new IllegalStateException("attached a state to node " + node + " of depth " + nodes.depth(node) + ", where nobody stands");
        }
        if (states.isAt(node)) {
            return false;
        }
        states.put(node, slot, point);
        return true;
    }

    /// Notes that a conversation has left a state at a node: it will go on from there, and hardly ever again from the state before,
    /// where a turn began or ended. That one serves whoever edits the latest message, and falls in worth ([ReuseEstimate#SUPERSEDED]),
    /// unless others stand there, too.
    void supersedeBefore(int node) {
        int before = states.turnBefore(node);
        if (before != NONE && locks[states.node(before)] == 1) {
            states.supersede(before);
        }
    }

    /// Evicts a leaf that is of no use; false when there is none.
    boolean evictDead() {
        if (dead.isEmpty()) {
            return false;
        }
        int leaf = dead.first();
        int parent = nodes.parent(leaf);
        dead.remove(leaf);
        unlockedBlocks--;
        evictedBlocks.add(nodes.key(leaf));
        pool.letGo(nodes.block(leaf));
        nodes.remove(leaf);
        if (isDead(parent)) {
            dead.addFirst(parent);
        }
        dropRootIfEmpty(parent);
        return true;
    }

    /// Gives the slot of a state back.
    void evictState(int slot) {
        detach(slot);
        pool.giveBackSlot(slot);
    }

    /// Takes a state out of the tree; the slot is the caller's.
    void detach(int slot) {
        int node = states.take(slot);
        if (isDead(node)) {
            dead.addFirst(node);
        }
    }

    private boolean isDead(int node) {
        return nodes.depth(node) > 0 && locks[node] == 0 && nodes.childCount(node) == 0 && !states.isAt(node);
    }

    private void dropRootIfEmpty(int node) {
        if (nodes.depth(node) == 0 && locks[node] == 0 && nodes.childCount(node) == 0) {
            roots.remove(partitions.remove(node));
            nodes.remove(node);
        }
    }

    private void followCapacity() {
        if (locks.length < nodes.capacity()) {
            locks = Arrays.copyOf(locks, nodes.capacity());
            states.follow(nodes.capacity());
            dead.follow(nodes.capacity());
        }
    }

    /// @throws IllegalStateException when the books do not balance
    void checkInvariants() {
        nodes.checkInvariants();
        states.checkInvariants();
        int unlocked = 0;
        int deadNow = 0;
        for (int node = 0; node < nodes.capacity(); node++) {
            if (!nodes.isUsed(node)) {
                continue;
            }
            int parent = nodes.parent(node);
            expect(parent == NONE || locks[parent] >= locks[node], "locks on the way to node", node);
            expect(isDead(node) == dead.contains(node), "list of dead leaves at node", node);
            deadNow += isDead(node) ? 1 : 0;
            if (parent == NONE) {
                expect(roots.get(partitions.get(node)) == node && locks[node] + nodes.childCount(node) > 0, "root", node);
                continue;
            }
            unlocked += locks[node] == 0 ? 1 : 0;
            expect(locks[node] > 0 || pool.holders(nodes.block(node)) == 1, "holders of the block of unlocked node", node);
        }
        expect(unlocked == unlockedBlocks, "number of unlocked blocks", unlockedBlocks);
        expect(deadNow == dead.size(), "number of dead leaves", dead.size());
        expect(roots.size() == partitions.size(), "number of partitions", roots.size());
    }

    private static void expect(boolean holds, String what, int index) {
        if (!holds) {
            throw new IllegalStateException(what + " in the prefix tree is wrong: " + index);
        }
    }
}
