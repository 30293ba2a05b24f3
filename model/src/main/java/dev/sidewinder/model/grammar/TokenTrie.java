package dev.sidewinder.model.grammar;

import dev.sidewinder.model.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.function.IntFunction;

/// The vocabulary as a tree of bytes, laid out in the order of a walk from the root: a node's descendants stand right
/// behind it, so that passing them over is one step. Immutable.
public final class TokenTrie {

    private final int vocabSize;
    private final int longest;
    private int nodes;
    byte[] label = new byte[1024];
    /// Bytes from the root, at least 1.
    int[] depth = new int[1024];
    /// First node that is no descendant.
    int[] end = new int[1024];
    /// Where the node's tokens begin in [#tokens]; those of its descendants follow.
    int[] firstToken = new int[1024];
    /// Which bytes occur in the node and below, 127 standing for everything above it too.
    long[] lowBytes = new long[1024];
    long[] highBytes = new long[1024];
    final int[] tokens;

    /// All tokens that stand for text; control tokens stand for none.
    public static TokenTrie of(Tokenizer tokenizer) {
        return new TokenTrie(tokenizer.vocabSize(), id -> tokenizer.isSpecial(id) ? new byte[0] : tokenizer.bytes(id));
    }

    /// @param bytes of each token; a token of no bytes stays out
    TokenTrie(int vocabSize, IntFunction<byte[]> bytes) {
        this.vocabSize = vocabSize;
        byte[][] texts = new byte[vocabSize][];
        Integer[] order = new Integer[vocabSize];
        int count = 0;
        int most = 0;
        for (int id = 0; id < vocabSize; id++) {
            texts[id] = bytes.apply(id);
            most = Math.max(most, texts[id].length);
            if (texts[id].length > 0) {
                order[count++] = id;
            }
        }
        longest = most;
        Arrays.sort(order, 0, count, (a, b) -> {
            int difference = Arrays.compareUnsigned(texts[a], texts[b]);
            return difference != 0 ? difference : Integer.compare(a, b);
        });
        tokens = new int[count];
        int[] path = new int[longest + 1];
        int pathLength = 0;
        byte[] previous = {};
        for (int i = 0; i < count; i++) {
            byte[] text = texts[order[i]];
            int common = Arrays.mismatch(previous, text);
            common = common < 0 ? text.length : common;
            pathLength = close(path, pathLength, common);
            while (pathLength < text.length) {
                path[pathLength] = add(text[pathLength], pathLength + 1, i);
                pathLength++;
            }
            tokens[i] = order[i];
            previous = text;
        }
        close(path, pathLength, 0);
        firstToken = Arrays.copyOf(firstToken, nodes + 1);
        firstToken[nodes] = count;
    }

    /// Ends the nodes of a path that are deeper than `length`.
    private int close(int[] path, int pathLength, int length) {
        for (int i = pathLength - 1; i >= length; i--) {
            int node = path[i];
            end[node] = nodes;
            if (i > 0) {
                lowBytes[path[i - 1]] |= lowBytes[node];
                highBytes[path[i - 1]] |= highBytes[node];
            }
        }
        return Math.min(pathLength, length);
    }

    private int add(byte value, int atDepth, int tokensBefore) {
        if (nodes == label.length) {
            int larger = 2 * nodes;
            label = Arrays.copyOf(label, larger);
            depth = Arrays.copyOf(depth, larger);
            end = Arrays.copyOf(end, larger);
            firstToken = Arrays.copyOf(firstToken, larger);
            lowBytes = Arrays.copyOf(lowBytes, larger);
            highBytes = Arrays.copyOf(highBytes, larger);
        }
        label[nodes] = value;
        depth[nodes] = atDepth;
        firstToken[nodes] = tokensBefore;
        int bit = value < 0 ? 127 : value;
        if (bit < 64) {
            lowBytes[nodes] = 1L << bit;
        } else {
            highBytes[nodes] = 1L << bit;
        }
        return nodes++;
    }

    /// Ids are in `[0, vocabSize)`.
    public int vocabSize() {
        return vocabSize;
    }

    /// Bytes of the longest token.
    public int longestBytes() {
        return longest;
    }

    int nodes() {
        return nodes;
    }
}
