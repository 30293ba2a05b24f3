package dev.sidewinder.kvcache;

import java.util.Arrays;

/// The indices `[0, size)`, each of them free, held, or fenced: given back while a launched step may still touch it.
///
/// A fence carries the number of the newest step launched when the index came back; it falls when that step has
/// completed. Fences only rise, so the fenced indices form a queue and falling costs nothing but the indices freed.
/// All arrays are made once. The index given back last is given out first: its memory is the warmest.
final class FencedIndices {

    private enum State {
        FREE, HELD, FENCED
    }

    private final String name;
    private final State[] states;
    private final int[] free;
    private int freeCount;
    private final int[] fenced;
    private final long[] fences;
    private int fencedHead;
    private int fencedCount;

    FencedIndices(String name, int size) {
        this.name = name;
        this.states = new State[size];
        this.free = new int[size];
        this.fenced = new int[size];
        this.fences = new long[size];
        Arrays.fill(states, State.FREE);
        for (int i = 0; i < size; i++) {
            free[i] = size - 1 - i;
        }
        this.freeCount = size;
    }

    int size() {
        return states.length;
    }

    int free() {
        return freeCount;
    }

    int fenced() {
        return fencedCount;
    }

    int held() {
        return states.length - freeCount - fencedCount;
    }

    /// Takes a free index; ask [#free()] first.
    int take() {
        if (freeCount == 0) {
            throw new IllegalStateException("no free " + name + " to take: " + held() + " held, " + fencedCount + " fenced");
        }
        int index = free[--freeCount];
        states[index] = State.HELD;
        return index;
    }

    /// Gives an index back at once: no launched step can touch it.
    void giveBack(int index) {
        requireHeld(index);
        states[index] = State.FREE;
        free[freeCount++] = index;
    }

    /// Gives an index back behind a fence.
    ///
    /// @param step newest step that may touch it; not below an earlier fence
    void giveBackAfter(int index, long step) {
        requireHeld(index);
        states[index] = State.FENCED;
        int at = wrap(fencedHead + fencedCount);
        fenced[at] = index;
        fences[at] = step;
        fencedCount++;
    }

    /// Frees what waited for this step or an earlier one.
    void completed(long step) {
        while (fencedCount > 0 && fences[fencedHead] <= step) {
            int index = fenced[fencedHead];
            fencedHead = wrap(fencedHead + 1);
            fencedCount--;
            states[index] = State.FREE;
            free[freeCount++] = index;
        }
    }

    private void requireHeld(int index) {
        if (states[index] != State.HELD) {
            throw new IllegalStateException(name + " " + index + " was given back and is " + states[index] + ", not HELD");
        }
    }

    private int wrap(int i) {
        return i < states.length ? i : i - states.length;
    }

    /// Compares the lists with the states, and the fences with each other.
    void checkInvariants() {
        int[] seen = new int[states.length];
        for (int i = 0; i < freeCount; i++) {
            expect(states[free[i]] == State.FREE, "free list", free[i]);
            seen[free[i]]++;
        }
        for (int i = 0; i < fencedCount; i++) {
            int at = wrap(fencedHead + i);
            expect(states[fenced[at]] == State.FENCED, "fenced list", fenced[at]);
            expect(i == 0 || fences[wrap(fencedHead + i - 1)] <= fences[at], "order of fences", fenced[at]);
            seen[fenced[at]]++;
        }
        for (int index = 0; index < states.length; index++) {
            expect(seen[index] == (states[index] == State.HELD ? 0 : 1), "lists against states", index);
        }
    }

    private void expect(boolean holds, String what, int index) {
        if (!holds) {
            throw new IllegalStateException(what + " of " + name + "s is wrong at " + index + " (" + states[index] + "): "
                    + freeCount + " free, " + fencedCount + " fenced of " + states.length);
        }
    }
}
