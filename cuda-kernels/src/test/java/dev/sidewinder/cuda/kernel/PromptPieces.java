package dev.sidewinder.cuda.kernel;

import java.util.ArrayList;
import java.util.List;

/// Pieces of prompts packed into the rows of one launch, with a padded sequence (slot -1) among them.
final class PromptPieces {

    private static final int PADDED = -1;
    /// As many as a state would be kept behind.
    private static final int PADDED_ROWS = 128;

    /// @param sequence -1: padded
    /// @param from     its first token in this launch
    record Piece(int sequence, int from, int rows, int firstRow) {

        boolean isPadded() {
            return sequence == PADDED;
        }
    }

    private final List<Piece> pieces = new ArrayList<>();
    private final int rows;

    /// Packs tokens `from[s]` to `to[s]` of every sequence; an empty range is an empty piece.
    PromptPieces(int[] from, int[] to) {
        int next = 0;
        for (int sequence = 0; sequence < from.length; sequence++) {
            if (sequence == from.length / 2) {
                pieces.add(new Piece(PADDED, 0, PADDED_ROWS, next));
                next += PADDED_ROWS;
            }
            pieces.add(new Piece(sequence, from[sequence], to[sequence] - from[sequence], next));
            next += to[sequence] - from[sequence];
        }
        rows = next;
    }

    List<Piece> pieces() {
        return pieces;
    }

    int rows() {
        return rows;
    }

    /// Lays rows of `width` values out as the launch has them; rows of the padded sequence are NaN.
    float[] pack(float[][] ofSequence, int width) {
        float[] packed = new float[rows * width];
        for (Piece piece : pieces) {
            for (int i = 0; i < piece.rows() * width; i++) {
                packed[piece.firstRow() * width + i] = piece.isPadded()
                        ? Float.NaN
                        : ofSequence[piece.sequence()][piece.from() * width + i];
            }
        }
        return packed;
    }

    /// Puts the rows of a launch back to their sequences.
    void unpack(float[] packed, float[][] ofSequence, int width) {
        for (Piece piece : pieces) {
            if (!piece.isPadded()) {
                System.arraycopy(packed, piece.firstRow() * width, ofSequence[piece.sequence()], piece.from() * width,
                        piece.rows() * width);
            }
        }
    }

    /// The rows of the padded sequence.
    float[] padded(float[] packed, int width) {
        float[] found = new float[PADDED_ROWS * width];
        for (Piece piece : pieces) {
            if (piece.isPadded()) {
                System.arraycopy(packed, piece.firstRow() * width, found, 0, found.length);
            }
        }
        return found;
    }

    /// @param basePosition of each sequence's token 0
    PromptSequences upload(DeviceArrays arrays, MambaSlots slots, int[] basePosition) {
        return upload(arrays, slots, basePosition, KeptStates.NONE);
    }

    /// With states that are kept on the way.
    PromptSequences upload(DeviceArrays arrays, MambaSlots slots, int[] basePosition, KeptOnTheWay kept) {
        return upload(arrays, slots, basePosition, kept.upload(arrays, pieces));
    }

    private PromptSequences upload(DeviceArrays arrays, MambaSlots slots, int[] basePosition, KeptStates kept) {
        int count = pieces.size();
        int[] start = new int[count + 1];
        int[] position = new int[count];
        int[] slot = new int[count];
        for (int i = 0; i < count; i++) {
            Piece piece = pieces.get(i);
            start[i + 1] = piece.firstRow() + piece.rows();
            slot[i] = piece.isPadded() ? -1 : slots.slotOf(piece.sequence());
            position[i] = piece.isPadded() ? 0 : basePosition[piece.sequence()] + piece.from();
        }
        return new PromptSequences(arrays.ints(start), arrays.ints(position), arrays.ints(slot), count, rows, kept);
    }
}
