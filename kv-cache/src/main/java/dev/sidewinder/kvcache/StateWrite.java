package dev.sidewinder.kvcache;

/// A state that a step writes on its way through a piece of a prompt, besides the one that it leaves in the sequence's own slot.
///
/// @param position tokens of the sequence that the state is after: a multiple of 128
/// @param slot     where it goes, in `[0, frames)`
public record StateWrite(int position, int slot) {

    public StateWrite {
        if (position < 1 || position % CacheShape.BLOCK_TOKENS != 0 || slot < 0) {
            throw new IllegalArgumentException("a state after " + position + " tokens for slot " + slot + "; it has to be after a multiple of "
                    + CacheShape.BLOCK_TOKENS);
        }
    }
}
