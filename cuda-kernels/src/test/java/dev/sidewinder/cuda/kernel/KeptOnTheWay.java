package dev.sidewinder.cuda.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.IntFunction;

/// States that are to be kept on the way through prompts, drawn at random: the first and the last that a prompt passes more often
/// than not. Among them are entries that nothing may be written for: with slot -1, at the very beginning of a prompt, behind its
/// end, and of the padded sequence.
final class KeptOnTheWay {

    private static final int GRID_TOKENS = 128;
    private static final int NOWHERE = -1;

    /// @param position  tokens of the sequence
    /// @param slot      -1: none
    /// @param isReached whether the state is to be written there
    record Entry(int position, int slot, boolean isReached) {}

    private final List<List<Entry>> ofSequence = new ArrayList<>();
    private final List<Entry> ofPadded;

    /// Slots that this takes at most.
    static int slots(int[] lengths) {
        int slots = 1;
        for (int length : lengths) {
            slots += length / GRID_TOKENS + 3;
        }
        return slots;
    }

    /// @param basePosition of each prompt's first token
    KeptOnTheWay(MambaSlots slots, int[] basePosition, int[] lengths, Random random) {
        for (int s = 0; s < lengths.length; s++) {
            ofSequence.add(entries(slots, basePosition[s], basePosition[s] + lengths[s], random));
        }
        ofPadded = List.of(new Entry(GRID_TOKENS, slots.takeSpare(false), false));
    }

    private static List<Entry> entries(MambaSlots slots, int from, int to, Random random) {
        List<Entry> entries = new ArrayList<>();
        int first = from / GRID_TOKENS * GRID_TOKENS + GRID_TOKENS;
        int last = to / GRID_TOKENS * GRID_TOKENS;
        if (from > 0 && from % GRID_TOKENS == 0 && random.nextBoolean()) {
            entries.add(new Entry(from, slots.takeSpare(false), false));
        }
        for (int position = first; position <= last; position += GRID_TOKENS) {
            int drawn = random.nextInt(8);
            if (drawn == 7) {
                entries.add(new Entry(position, NOWHERE, false));
            } else if (drawn < (position == first || position == last ? 6 : 4)) {
                entries.add(new Entry(position, slots.takeSpare(true), true));
            }
        }
        if (random.nextBoolean()) {
            entries.add(new Entry(last + GRID_TOKENS, slots.takeSpare(false), false));
        }
        return entries;
    }

    /// The slot that is to have a sequence's state behind so many tokens, or -1.
    int slotBehind(int sequence, int position) {
        return ofSequence.get(sequence).stream().filter(entry -> entry.isReached() && entry.position() == position).mapToInt(Entry::slot)
                .findFirst().orElse(NOWHERE);
    }

    /// What is in the slots that are to be written, of all sequences, in order.
    float[][] read(IntFunction<float[]> slots) {
        return ofSequence.stream().flatMap(List::stream).filter(Entry::isReached).map(entry -> slots.apply(entry.slot())).toArray(float[][]::new);
    }

    /// All entries, whatever part of the prompts a launch runs.
    KeptStates upload(DeviceArrays arrays, List<PromptPieces.Piece> pieces) {
        int[] start = new int[pieces.size() + 1];
        List<Entry> all = new ArrayList<>();
        for (int i = 0; i < pieces.size(); i++) {
            all.addAll(pieces.get(i).isPadded() ? ofPadded : ofSequence.get(pieces.get(i).sequence()));
            start[i + 1] = all.size();
        }
        return new KeptStates(arrays.ints(start), arrays.ints(all.stream().mapToInt(Entry::position).toArray()),
                arrays.ints(all.stream().mapToInt(Entry::slot).toArray()));
    }
}
