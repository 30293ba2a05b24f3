package dev.sidewinder.scheduler;

/// What a step has to do, as far as its time follows from it.
///
/// @param decodes      generated tokens that it runs
/// @param cachedTokens tokens before them, summed: each reads the keys and values of all before it
/// @param promptTokens tokens of prompts
/// @param promptPairs  tokens before them, summed in the same way
/// @param pieceTokens  tokens before pieces of prompts, each piece's once: what is read for it however short it is
public record StepLoad(int decodes, long cachedTokens, int promptTokens, long promptPairs, long pieceTokens) {

    public static final StepLoad NONE = new StepLoad(0, 0, 0, 0, 0);

    /// With one more generated token.
    ///
    /// @param from its position
    StepLoad withDecode(int from) {
        return new StepLoad(decodes + 1, cachedTokens + from, promptTokens, promptPairs, pieceTokens);
    }

    /// With one more piece of a prompt.
    StepLoad withPiece(int from, int count) {
        return new StepLoad(decodes, cachedTokens, promptTokens + count, promptPairs + pairs(from, count), pieceTokens + from);
    }

    /// Tokens before those of a piece, summed.
    static long pairs(int from, int count) {
        return (long) from * count + (long) count * (count - 1) / 2;
    }
}
