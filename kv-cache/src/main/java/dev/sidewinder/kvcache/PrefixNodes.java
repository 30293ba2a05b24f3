package dev.sidewinder.kvcache;

import java.util.Arrays;

/// Nodes of the prefix tree and the way from one to the next. A node stands for a block of 128 tokens after the path of its
/// parent; a root has no block. Plain arrays: a node is an index, and 512 bytes of tokens.
///
/// Children are found through one hash table over all nodes, keyed by parent and tokens. A hit compares all 128 tokens.
final class PrefixNodes {

    static final int NONE = -1;

    private static final int TOKENS = CacheShape.BLOCK_TOKENS;
    private static final int PAGE_NODES = 256;

    private final BlockHash hash;

    private int[] parents;
    private int[] depths;
    private int[] blocks;
    private int[] childCounts;
    private int[] firstChildren;
    private int[] nextSiblings;
    private int[] previousSiblings;
    private int[] hashes;
    /// Hash of the whole path, which does not depend on node numbers.
    private long[] keys;
    /// Tokens of all nodes, in pages that are made when a node first needs one and stay when the other arrays grow.
    private int[][] pages;
    private int[] unused;
    private int unusedCount;
    private int capacity;
    private int size;

    /// Open addressing, linear probing; a power of two, at most half full.
    private int[] table;
    private int tableSize;

    PrefixNodes(BlockHash hash) {
        this.hash = hash;
        capacity = 0;
        parents = new int[0];
        depths = new int[0];
        blocks = new int[0];
        childCounts = new int[0];
        firstChildren = new int[0];
        nextSiblings = new int[0];
        previousSiblings = new int[0];
        hashes = new int[0];
        keys = new long[0];
        pages = new int[0][];
        unused = new int[0];
        grow();
    }

    /// Nodes in use, roots included.
    int size() {
        return size;
    }

    /// One more than the highest node there may be.
    int capacity() {
        return capacity;
    }

    int parent(int node) {
        return parents[node];
    }

    /// Blocks from the root to here; 0 for a root.
    int depth(int node) {
        return depths[node];
    }

    /// The node at a depth on the way to another.
    int ancestor(int node, int depth) {
        int each = node;
        while (depths[each] > depth) {
            each = parents[each];
        }
        return each;
    }

    /// Name of the KV block.
    int block(int node) {
        return blocks[node];
    }

    void setBlock(int node, int block) {
        blocks[node] = block;
    }

    int childCount(int node) {
        return childCounts[node];
    }

    /// The child whose block is `tokens[from, from + 128)`, or [#NONE].
    int child(int parent, int[] tokens, int from) {
        int wanted = hash.of(parent, tokens, from);
        int mask = table.length - 1;
        for (int at = wanted & mask; table[at] != NONE; at = at + 1 & mask) {
            int node = table[at];
            if (hashes[node] == wanted && parents[node] == parent && hasTokens(node, tokens, from)) {
                return node;
            }
        }
        return NONE;
    }

    private boolean hasTokens(int node, int[] tokens, int from) {
        int start = node % PAGE_NODES * TOKENS;
        return Arrays.equals(pages[node / PAGE_NODES], start, start + TOKENS, tokens, from, from + TOKENS);
    }

    /// A child of a node, the youngest; [#NONE] when it has none.
    int firstChild(int node) {
        return firstChildren[node];
    }

    /// The child of the same parent that is the next older one.
    int nextSibling(int node) {
        return nextSiblings[node];
    }

    /// Hash of the whole path to a node.
    long key(int node) {
        return keys[node];
    }

    /// The key of a partition's root.
    static long rootKey(Partition partition) {
        return partition.high() * 31 + partition.low();
    }

    /// The key of a path that goes on with the block `tokens[from, from + 128)`.
    long keyAfter(long key, int[] tokens, int from) {
        return hash.path(key, tokens, from);
    }

    /// How many tokens of a node's block `tokens` has from `from` on.
    int commonTokens(int node, int[] tokens, int from) {
        int start = node % PAGE_NODES * TOKENS;
        int end = Math.min(from + TOKENS, tokens.length);
        int different = Arrays.mismatch(pages[node / PAGE_NODES], start, start + end - from, tokens, from, end);
        return different < 0 ? end - from : different;
    }

    int addRoot(Partition partition) {
        int node = newNode();
        keys[node] = rootKey(partition);
        parents[node] = NONE;
        depths[node] = 0;
        blocks[node] = NONE;
        return node;
    }

    /// Adds a child that is not there yet.
    int add(int parent, int[] tokens, int from, int block) {
        int node = newNode();
        parents[node] = parent;
        depths[node] = depths[parent] + 1;
        blocks[node] = block;
        hashes[node] = hash.of(parent, tokens, from);
        System.arraycopy(tokens, from, pages[node / PAGE_NODES], node % PAGE_NODES * TOKENS, TOKENS);
        keys[node] = keyAfter(keys[parent], tokens, from);
        linkSibling(node, parent);
        insert(node);
        return node;
    }

    /// Removes a node without children.
    void remove(int node) {
        if (childCounts[node] > 0) {
            throw new IllegalStateException("removed node " + node + " with " + childCounts[node] + " children");
        }
        if (parents[node] != NONE) {
            unlinkSibling(node, parents[node]);
            delete(node);
        }
        depths[node] = NONE;
        unused[unusedCount++] = node;
        size--;
    }

    private void linkSibling(int node, int parent) {
        int older = firstChildren[parent];
        nextSiblings[node] = older;
        previousSiblings[node] = NONE;
        if (older != NONE) {
            previousSiblings[older] = node;
        }
        firstChildren[parent] = node;
        childCounts[parent]++;
    }

    private void unlinkSibling(int node, int parent) {
        int younger = previousSiblings[node];
        int older = nextSiblings[node];
        if (younger == NONE) {
            firstChildren[parent] = older;
        } else {
            nextSiblings[younger] = older;
        }
        if (older != NONE) {
            previousSiblings[older] = younger;
        }
        childCounts[parent]--;
    }

    private int newNode() {
        if (unusedCount == 0) {
            grow();
        }
        int node = unused[--unusedCount];
        if (pages[node / PAGE_NODES] == null) {
            pages[node / PAGE_NODES] = new int[PAGE_NODES * TOKENS];
        }
        childCounts[node] = 0;
        firstChildren[node] = NONE;
        size++;
        return node;
    }

    private void grow() {
        int larger = Math.max(PAGE_NODES, 2 * capacity);
        parents = Arrays.copyOf(parents, larger);
        depths = Arrays.copyOf(depths, larger);
        blocks = Arrays.copyOf(blocks, larger);
        childCounts = Arrays.copyOf(childCounts, larger);
        firstChildren = Arrays.copyOf(firstChildren, larger);
        nextSiblings = Arrays.copyOf(nextSiblings, larger);
        previousSiblings = Arrays.copyOf(previousSiblings, larger);
        hashes = Arrays.copyOf(hashes, larger);
        keys = Arrays.copyOf(keys, larger);
        pages = Arrays.copyOf(pages, larger / PAGE_NODES);
        unused = new int[larger];
        for (int node = larger - 1; node >= capacity; node--) {
            depths[node] = NONE;
            unused[unusedCount++] = node;
        }
        capacity = larger;
        rehash();
    }

    private void rehash() {
        table = new int[2 * capacity];
        Arrays.fill(table, NONE);
        tableSize = 0;
        for (int node = 0; node < capacity; node++) {
            if (depths[node] > 0) {
                insert(node);
            }
        }
    }

    private void insert(int node) {
        int mask = table.length - 1;
        int at = hashes[node] & mask;
        while (table[at] != NONE) {
            at = at + 1 & mask;
        }
        table[at] = node;
        tableSize++;
    }

    /// Takes a node out and moves those behind it up, so that no probe meets a gap.
    private void delete(int node) {
        int mask = table.length - 1;
        int gap = hashes[node] & mask;
        while (table[gap] != node) {
            gap = gap + 1 & mask;
        }
        for (int at = gap + 1 & mask; table[at] != NONE; at = at + 1 & mask) {
            int home = hashes[table[at]] & mask;
            // Whether the gap lies on the way from home to here.
            if ((at - home & mask) >= (at - gap & mask)) {
                table[gap] = table[at];
                gap = at;
            }
        }
        table[gap] = NONE;
        tableSize--;
    }

    boolean isUsed(int node) {
        return depths[node] != NONE;
    }

    void checkInvariants() {
        int[] children = new int[capacity];
        int used = 0;
        int found = 0;
        for (int node = 0; node < capacity; node++) {
            if (!isUsed(node)) {
                continue;
            }
            used++;
            if (depths[node] > 0) {
                int parent = parents[node];
                expect(isUsed(parent) && depths[parent] == depths[node] - 1, "parent", node);
                children[parent]++;
                int start = node % PAGE_NODES * TOKENS;
                expect(child(parent, pages[node / PAGE_NODES], start) == node, "way from the parent", node);
                found++;
            }
        }
        for (int node = 0; node < capacity; node++) {
            expect(!isUsed(node) || children[node] == childCounts[node] && children[node] == listedChildren(node), "children", node);
        }
        expect(used == size && used + unusedCount == capacity, "number of nodes", used);
        expect(found == tableSize && 2 * tableSize <= table.length, "size of the table", tableSize);
    }

    private int listedChildren(int node) {
        int count = 0;
        for (int child = firstChildren[node]; child != NONE; child = nextSiblings[child]) {
            expect(parents[child] == node && isUsed(child), "list of children", node);
            count++;
        }
        return count;
    }

    private static void expect(boolean holds, String what, int index) {
        if (!holds) {
            throw new IllegalStateException(what + " in the prefix tree is wrong: " + index);
        }
    }
}
