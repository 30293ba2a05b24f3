package dev.sidewinder.kvcache;

import java.util.Arrays;

/// Names of KV blocks. A name stays what it is when its block is moved to another place, so whoever holds names need not
/// know about moves. Each name counts its holders; it ends, and may be given again, when the last one lets go.
final class BlockNames {

    static final int NONE = -1;

    private final int[] placeOf;
    private final int[] nameAt;
    private final int[] holders;
    private final int[] free;
    private int freeCount;

    BlockNames(int blocks) {
        placeOf = new int[blocks];
        nameAt = new int[blocks];
        holders = new int[blocks];
        free = new int[blocks];
        Arrays.fill(placeOf, NONE);
        Arrays.fill(nameAt, NONE);
        for (int i = 0; i < blocks; i++) {
            free[i] = blocks - 1 - i;
        }
        freeCount = blocks;
    }

    /// Names in use.
    int size() {
        return free.length - freeCount;
    }

    /// A name for the block at a place, with one holder.
    int give(int place) {
        int name = free[--freeCount];
        placeOf[name] = place;
        nameAt[place] = name;
        holders[name] = 1;
        return name;
    }

    int place(int name) {
        return placeOf[name];
    }

    /// Whose block lies at a place; [#NONE] when nobody's does.
    int nameAt(int place) {
        return nameAt[place];
    }

    int holders(int name) {
        return holders[name];
    }

    void hold(int name) {
        requireHeld(name, "held once more");
        holders[name]++;
    }

    /// Lets go once; true when that was the last holder and the name has ended.
    boolean letGo(int name) {
        requireHeld(name, "let go");
        if (--holders[name] > 0) {
            return false;
        }
        nameAt[placeOf[name]] = NONE;
        placeOf[name] = NONE;
        free[freeCount++] = name;
        return true;
    }

    void move(int name, int to) {
        nameAt[placeOf[name]] = NONE;
        placeOf[name] = to;
        nameAt[to] = name;
    }

    private void requireHeld(int name, String deed) {
        if (holders[name] == 0) {
            throw new IllegalStateException(deed + " KV block " + name + ", which nobody holds");
        }
    }

    void checkInvariants() {
        for (int i = 0; i < freeCount; i++) {
            expect(holders[free[i]] == 0 && placeOf[free[i]] == NONE, "free name", free[i]);
        }
        int used = 0;
        for (int name = 0; name < placeOf.length; name++) {
            if (holders[name] > 0) {
                used++;
                expect(placeOf[name] != NONE && nameAt[placeOf[name]] == name, "name and place", name);
            }
        }
        expect(used == size(), "number of names", used);
        for (int place = 0; place < nameAt.length; place++) {
            expect(nameAt[place] == NONE || placeOf[nameAt[place]] == place, "place and name", place);
        }
    }

    private static void expect(boolean holds, String what, int index) {
        if (!holds) {
            throw new IllegalStateException(what + " of KV blocks is wrong at " + index);
        }
    }
}
