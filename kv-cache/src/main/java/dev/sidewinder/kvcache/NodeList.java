package dev.sidewinder.kvcache;

import java.util.Arrays;

/// Nodes in an order, each of them once, linked through arrays so that any one leaves at once.
final class NodeList {

    private static final int NONE = -1;
    /// In place of a neighbour of a node that is not contained.
    private static final int ABSENT = -2;

    private int[] next = new int[0];
    private int[] previous = new int[0];
    private int first = NONE;
    private int last = NONE;
    private int size;

    /// Makes room for nodes below `capacity`.
    void follow(int capacity) {
        int before = next.length;
        next = Arrays.copyOf(next, capacity);
        previous = Arrays.copyOf(previous, capacity);
        Arrays.fill(next, before, capacity, ABSENT);
    }

    int size() {
        return size;
    }

    boolean isEmpty() {
        return size == 0;
    }

    int first() {
        return first;
    }

    boolean contains(int node) {
        return next[node] != ABSENT;
    }

    void addFirst(int node) {
        link(NONE, node, first);
    }

    void addLast(int node) {
        link(last, node, NONE);
    }

    private void link(int before, int node, int after) {
        previous[node] = before;
        next[node] = after;
        setNext(before, node);
        setPrevious(after, node);
        size++;
    }

    void removeIfContained(int node) {
        if (contains(node)) {
            remove(node);
        }
    }

    void remove(int node) {
        setNext(previous[node], next[node]);
        setPrevious(next[node], previous[node]);
        next[node] = ABSENT;
        size--;
    }

    private void setNext(int node, int after) {
        if (node == NONE) {
            first = after;
        } else {
            next[node] = after;
        }
    }

    private void setPrevious(int node, int before) {
        if (node == NONE) {
            last = before;
        } else {
            previous[node] = before;
        }
    }
}
