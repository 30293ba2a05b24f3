package dev.sidewinder.cuda.kernel;

import java.util.Arrays;
import java.util.BitSet;
import java.util.Random;
import java.util.stream.IntStream;

/// State slots on a device, most of them never written: sequences lie in them in random order.
final class MambaSlots {

    /// Before, between and behind the two parts of a slot: nobody may write there.
    private static final int GAP_BYTES = 64;

    private final DeviceArrays arrays;
    private final MambaShape shape;
    private final int slots;
    private final MambaState state;
    private final int[] slotOfSequence;
    private final int[] spareSlots;
    private final BitSet mayBeWritten = new BitSet();
    private int sparesTaken;

    MambaSlots(DeviceArrays arrays, MambaShape shape, int sequences, Random random) {
        this(arrays, shape, sequences, 0, random);
    }

    /// @param spares slots besides those of the sequences that [#takeSpare] gives out
    MambaSlots(DeviceArrays arrays, MambaShape shape, int sequences, int spares, Random random) {
        this.arrays = arrays;
        this.shape = shape;
        slots = sequences + spares + 2;
        long historyOffset = GAP_BYTES;
        long recurrentOffset = align(historyOffset + shape.historyBytes() + GAP_BYTES);
        long stride = align(recurrentOffset + shape.stateBytes() + GAP_BYTES);
        state = new MambaState(arrays.unwritten(stride * slots), stride, historyOffset, recurrentOffset);
        // the data that is drawn next does not depend on how many spares there are
        int[] order = IntStream.concat(random.ints(sequences + 2, 0, 1 << 30), new Random(spares).ints(0, 1 << 30)).distinct()
                .limit(slots).toArray();
        int[] sorted = order.clone();
        Arrays.sort(sorted);
        int[] shuffled = Arrays.stream(order).map(each -> Arrays.binarySearch(sorted, each)).toArray();
        slotOfSequence = Arrays.copyOf(shuffled, sequences);
        spareSlots = Arrays.copyOfRange(shuffled, sequences, sequences + spares);
        Arrays.stream(slotOfSequence).forEach(mayBeWritten::set);
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

    /// A slot of nobody.
    ///
    /// @param written whether a kernel may write there
    int takeSpare(boolean written) {
        int slot = spareSlots[sparesTaken++];
        mayBeWritten.set(slot, written);
        return slot;
    }

    private long slotAddress(int sequence) {
        return state.base() + slotOfSequence[sequence] * state.slotStride();
    }

    void set(int sequence, float[] history, float[] recurrent) {
        arrays.write(slotAddress(sequence) + state.historyOffset(), history);
        arrays.write(slotAddress(sequence) + state.recurrentOffset(), recurrent);
    }

    float[] history(int sequence) {
        return historyIn(slotOfSequence[sequence]);
    }

    float[] recurrent(int sequence) {
        return recurrentIn(slotOfSequence[sequence]);
    }

    float[] historyIn(int slot) {
        return arrays.readFloats(state.base() + slot * state.slotStride() + state.historyOffset(), (int) (shape.historyBytes() / 4));
    }

    float[] recurrentIn(int slot) {
        return arrays.readFloats(state.base() + slot * state.slotStride() + state.recurrentOffset(), (int) (shape.stateBytes() / 4));
    }

    /// Slots that nobody may write and the gaps of all slots have to be as they were.
    void checkTheRestUnwritten() {
        for (int slot = 0; slot < slots; slot++) {
            long base = state.base() + slot * state.slotStride();
            if (!mayBeWritten.get(slot)) {
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
