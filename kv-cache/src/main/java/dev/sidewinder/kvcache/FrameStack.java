package dev.sidewinder.kvcache;

import java.util.Arrays;

/// What each frame of a pool is used for, and the free ones on a stack.
final class FrameStack {

    enum Use {
        /// nothing, and no step will touch it
        FREE,
        /// one state slot
        STATE,
        /// a state slot that was given back; a launched step may still touch it
        FENCED_STATE,
        /// blocks: held, fenced or free
        KV
    }

    private final Use[] uses;
    private final int[] free;
    private int freeCount;

    FrameStack(int frames) {
        uses = new Use[frames];
        free = new int[frames];
        Arrays.fill(uses, Use.FREE);
        for (int frame = frames - 1; frame >= 0; frame--) {
            free[freeCount++] = frame;
        }
    }

    int frames() {
        return uses.length;
    }

    int free() {
        return freeCount;
    }

    Use use(int frame) {
        return uses[frame];
    }

    /// Takes a free frame; ask [#free()] first.
    int take(Use use) {
        if (freeCount == 0) {
            throw new IllegalStateException("no free frame of " + uses.length + " to take for " + use);
        }
        int frame = free[--freeCount];
        uses[frame] = use;
        return frame;
    }

    void change(int frame, Use from, Use to) {
        require(frame, from);
        uses[frame] = to;
    }

    void giveBack(int frame, Use from) {
        change(frame, from, Use.FREE);
        free[freeCount++] = frame;
    }

    private void require(int frame, Use use) {
        if (uses[frame] != use) {
            throw new IllegalStateException("frame " + frame + " was given back as " + use + " and is " + uses[frame]);
        }
    }

    int count(Use use) {
        int count = 0;
        for (Use each : uses) {
            count += each == use ? 1 : 0;
        }
        return count;
    }

    void checkInvariants() {
        boolean[] seen = new boolean[uses.length];
        for (int i = 0; i < freeCount; i++) {
            if (seen[free[i]] || uses[free[i]] != Use.FREE) {
                throw new IllegalStateException("frame " + free[i] + " is " + uses[free[i]] + " and on the stack of free ones");
            }
            seen[free[i]] = true;
        }
        if (count(Use.FREE) != freeCount) {
            throw new IllegalStateException(count(Use.FREE) + " frames are free, " + freeCount + " are on the stack");
        }
    }
}
