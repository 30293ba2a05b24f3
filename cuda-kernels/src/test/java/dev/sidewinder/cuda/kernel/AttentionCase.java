package dev.sidewinder.cuda.kernel;

import java.util.ArrayList;
import java.util.List;

/// A step to check the attention kernels on.
///
/// @param pieces the sequences of the step, in the order of their rows
/// @param queries number format of the queries, and of keys and values where they are written
/// @param keyScale and `valueScale`: 1 for a cache in bf16
record AttentionCase(AttentionShape shape, CacheType cache, ActivationRows.Type queries, List<Piece> pieces, float keyScale,
        float valueScale, long seed) {

    /// Rows of one sequence.
    ///
    /// @param identity says which sequence: its numbers follow from this and the seed alone
    /// @param position of the first row
    /// @param padded whether the slot is -1
    record Piece(int identity, int position, int count, boolean padded) {

        int length() {
            return position + count;
        }
    }

    AttentionCase {
        pieces = List.copyOf(pieces);
    }

    static AttentionCase of(AttentionShape shape, CacheType cache, ActivationRows.Type queries, long seed, Piece... pieces) {
        boolean scaled = cache == CacheType.E4M3;
        return new AttentionCase(shape, cache, queries, List.of(pieces), scaled ? 0.37f : 1, scaled ? 1.9f : 1, seed);
    }

    AttentionCase with(List<Piece> others) {
        return new AttentionCase(shape, cache, queries, others, keyScale, valueScale, seed);
    }

    static Piece piece(int identity, int position, int count) {
        return new Piece(identity, position, count, false);
    }

    static Piece padded(int count) {
        return new Piece(-1, 0, count, true);
    }

    /// A decode step over contexts of these lengths; 0 is a padded row.
    static AttentionCase decoding(AttentionShape shape, CacheType cache, ActivationRows.Type queries, long seed, int... lengths) {
        List<Piece> pieces = new ArrayList<>();
        for (int i = 0; i < lengths.length; i++) {
            pieces.add(lengths[i] == 0 ? padded(1) : piece(i, lengths[i] - 1, 1));
        }
        return of(shape, cache, queries, seed).with(pieces);
    }

    int rows() {
        return pieces.stream().mapToInt(Piece::count).sum();
    }

    /// First row of each piece, and of what follows.
    int[] start() {
        int[] start = new int[pieces.size() + 1];
        for (int i = 0; i < pieces.size(); i++) {
            start[i + 1] = start[i] + pieces.get(i).count();
        }
        return start;
    }
}
