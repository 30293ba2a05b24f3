package dev.sidewinder.model.chat;

import java.util.Arrays;
import java.util.List;

/// Looks for stop strings in a text that comes in pieces, and holds back no more than what may begin one. For one
/// stream, one thread.
///
/// The match that ends first wins, of several that end together the longest; so the result does not depend on how the
/// text was cut. Time is linear in the text.
///
/// Source: Aho and Corasick 1975 (CACM 18:6): the depth of the automaton's state is the length of the longest suffix
/// that begins a pattern, which is exactly what must be held back.
public final class StopMatcher {
    private static final int ROOT = 0;

    private final boolean includeStop;
    /// The trie: character, first child, next sibling, depth of each node; 0 stands for none, as the root is no child.
    private char[] character = new char[16];
    private int[] child = new int[16];
    private int[] sibling = new int[16];
    private int[] depth = new int[16];
    private int nodes = 1;
    /// Longest proper suffix of a node that is a node.
    private final int[] fallback;
    /// Length of the longest pattern that ends at a node; 0 where none does.
    private int[] patternLength = new int[16];

    private final StringBuilder held = new StringBuilder();
    private int state = ROOT;
    private boolean matched;

    /// @param stops       no empty ones; none at all lets every text through
    /// @param includeStop whether the text keeps the stop string it ends with
    public StopMatcher(List<String> stops, boolean includeStop) {
        this.includeStop = includeStop;
        for (String stop : stops) {
            if (stop.isEmpty()) {
                throw new IllegalArgumentException("a stop string must not be empty");
            }
            insert(stop);
        }
        fallback = new int[nodes];
        linkFallbacks();
    }

    private void insert(String stop) {
        int node = ROOT;
        for (int i = 0; i < stop.length(); i++) {
            int next = childOf(node, stop.charAt(i));
            node = next != 0 ? next : addChild(node, stop.charAt(i));
        }
        patternLength[node] = stop.length();
    }

    private int addChild(int parent, char value) {
        if (nodes == character.length) {
            int larger = 2 * nodes;
            character = Arrays.copyOf(character, larger);
            child = Arrays.copyOf(child, larger);
            sibling = Arrays.copyOf(sibling, larger);
            depth = Arrays.copyOf(depth, larger);
            patternLength = Arrays.copyOf(patternLength, larger);
        }
        int node = nodes++;
        character[node] = value;
        depth[node] = depth[parent] + 1;
        sibling[node] = child[parent];
        child[parent] = node;
        return node;
    }

    private int childOf(int node, char value) {
        int candidate = child[node];
        while (candidate != 0 && character[candidate] != value) {
            candidate = sibling[candidate];
        }
        return candidate;
    }

    /// Breadth first, so that every shorter suffix is linked before it is needed.
    private void linkFallbacks() {
        int[] queue = new int[nodes];
        int tail = 1;
        for (int head = 0; head < tail; head++) {
            int node = queue[head];
            for (int next = child[node]; next != 0; next = sibling[next]) {
                fallback[next] = node == ROOT ? ROOT : step(fallback[node], character[next]);
                if (patternLength[next] == 0) {
                    patternLength[next] = patternLength[fallback[next]];
                }
                queue[tail++] = next;
            }
        }
    }

    private int step(int node, char value) {
        int from = node;
        while (true) {
            int next = childOf(from, value);
            if (next != 0 || from == ROOT) {
                return next;
            }
            from = fallback[from];
        }
    }

    /// Takes more text and gives back what may be sent: all of it up to a stop string, less a suffix that may begin one.
    /// After a match nothing more comes.
    public String accept(String text) {
        if (matched) {
            return "";
        }
        if (nodes == 1) {
            return text;
        }
        for (int i = 0; i < text.length(); i++) {
            state = step(state, text.charAt(i));
            if (patternLength[state] > 0) {
                matched = true;
                held.append(text, 0, i + 1);
                return take(includeStop ? held.length() : held.length() - patternLength[state]);
            }
        }
        held.append(text);
        return take(held.length() - depth[state]);
    }

    /// Gives back what was held: no stop string can span this place.
    public String flush() {
        state = ROOT;
        return take(held.length());
    }

    /// Whether a stop string was found.
    public boolean matched() {
        return matched;
    }

    private String take(int length) {
        String taken = held.substring(0, length);
        if (matched) {
            held.setLength(0);
        } else {
            held.delete(0, length);
        }
        return taken;
    }
}
