package dev.sidewinder.cuda.kernel;

import java.util.Arrays;
import java.util.Random;

/// State slots on a device, most of them never written: sequences lie in them in random order.
final class MambaSlots {

    /// Before, between and behind the two parts of a slot: nobody may write there.
    private static final int GAP_BYTES = 64;

    private final DeviceArrays arrays;
    private final MambaShape shape;
    private final int slots;
    private final MambaState state;
    private final int[] slotOfSequence;

    MambaSlots(DeviceArrays arrays, MambaShape shape, int sequences, Random random) {
        this.arrays = arrays;
        this.shape = shape;
        slots = sequences + 2;
        long historyOffset = GAP_BYTES;
        long recurrentOffset = align(historyOffset + shape.historyBytes() + GAP_BYTES);
        long stride = align(recurrentOffset + shape.stateBytes() + GAP_BYTES);
        state = new MambaState(arrays.unwritten(stride * slots), stride, historyOffset, recurrentOffset);
        int[] order = random.ints(0, 1 << 30).distinct().limit(slots).toArray();
        int[] sorted = order.clone();
        Arrays.sort(sorted);
        slotOfSequence = new int[sequences];
        for (int i = 0; i < sequences; i++) {
            slotOfSequence[i] = Arrays.binarySearch(sorted, order[i]);
        }
    }

    private static long align(long bytes) {
        return (bytes + 15) / 16 * 16;
    }

    MambaState state() {
        return state;
    }

    int slotOf(int sequence) {
        return slotOfSequence[sequence];
    }

    private long slotAddress(int sequence) {
        return state.base() + slotOfSequence[sequence] * state.slotStride();
    }

    void set(int sequence, float[] history, float[] recurrent) {
        arrays.write(slotAddress(sequence) + state.historyOffset(), history);
        arrays.write(slotAddress(sequence) + state.recurrentOffset(), recurrent);
    }

    float[] history(int sequence) {
        return historyAt(slotAddress(sequence));
    }

    float[] recurrent(int sequence) {
        return recurrentAt(slotAddress(sequence));
    }

    /// Room for a snapshot, laid out like a slot.
    long snapshotAddress() {
        return arrays.unwritten(state.slotStride());
    }

    float[] historyAt(long slotLike) {
        return arrays.readFloats(slotLike + state.historyOffset(), (int) (shape.historyBytes() / 4));
    }

    float[] recurrentAt(long slotLike) {
        return arrays.readFloats(slotLike + state.recurrentOffset(), (int) (shape.stateBytes() / 4));
    }

    /// Slots without a sequence and the gaps of all slots have to be as they were.
    void checkTheRestUnwritten() {
        for (int slot = 0; slot < slots; slot++) {
            long base = state.base() + slot * state.slotStride();
            int owner = slot;
            boolean used = Arrays.stream(slotOfSequence).anyMatch(taken -> taken == owner);
            if (!used) {
                checkUnwritten("slot " + slot + " of nobody", base, state.slotStride());
                continue;
            }
            checkUnwritten("before slot " + slot, base, state.historyOffset());
            long historyEnd = state.historyOffset() + shape.historyBytes();
            checkUnwritten("between the parts of slot " + slot, base + historyEnd, state.recurrentOffset() - historyEnd);
            long recurrentEnd = state.recurrentOffset() + shape.stateBytes();
            checkUnwritten("behind slot " + slot, base + recurrentEnd, state.slotStride() - recurrentEnd);
        }
    }

    private void checkUnwritten(String what, long address, long bytes) {
        Closeness.checkUnwritten(what, arrays.readInts(address, (int) (bytes / 4)));
    }
}
