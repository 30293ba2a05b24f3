package dev.sidewinder.kvcache;

import java.util.Arrays;

/// The KV frames that have a free block, sorted by how many of their blocks are held. The fullest is asked for when a block
/// is taken, the emptiest when a frame is to be emptied; both answers cost a look at a few words of bits.
final class FrameLists {

    static final int NONE = -1;

    private final int[] first;
    private final int[] next;
    private final int[] previous;
    private final int[] heldOf;
    /// Bit `held` is set when some frame here holds that many.
    private final long[] occupied;

    FrameLists(int frames, int blocksPerFrame) {
        first = new int[blocksPerFrame];
        next = new int[frames];
        previous = new int[frames];
        heldOf = new int[frames];
        occupied = new long[Math.ceilDiv(blocksPerFrame, Long.SIZE)];
        Arrays.fill(first, NONE);
        Arrays.fill(heldOf, NONE);
    }

    boolean contains(int frame) {
        return heldOf[frame] != NONE;
    }

    /// What was last said about a frame that is contained.
    int held(int frame) {
        return heldOf[frame];
    }

    void add(int frame, int held) {
        heldOf[frame] = held;
        previous[frame] = NONE;
        next[frame] = first[held];
        if (first[held] != NONE) {
            previous[first[held]] = frame;
        }
        first[held] = frame;
        occupied[held / Long.SIZE] |= 1L << held;
    }

    void remove(int frame) {
        int held = heldOf[frame];
        if (previous[frame] == NONE) {
            first[held] = next[frame];
        } else {
            next[previous[frame]] = next[frame];
        }
        if (next[frame] != NONE) {
            previous[next[frame]] = previous[frame];
        }
        if (first[held] == NONE) {
            occupied[held / Long.SIZE] &= ~(1L << held);
        }
        heldOf[frame] = NONE;
    }

    /// The frame with the most blocks held, [#NONE] when there is no frame.
    int fullest() {
        for (int word = occupied.length - 1; word >= 0; word--) {
            if (occupied[word] != 0) {
                return first[word * Long.SIZE + Long.SIZE - 1 - Long.numberOfLeadingZeros(occupied[word])];
            }
        }
        return NONE;
    }

    /// The frame with the fewest blocks held, [#NONE] when there is no frame.
    int emptiest() {
        for (int word = 0; word < occupied.length; word++) {
            if (occupied[word] != 0) {
                return first[word * Long.SIZE + Long.numberOfTrailingZeros(occupied[word])];
            }
        }
        return NONE;
    }
}
