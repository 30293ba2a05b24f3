package dev.sidewinder.kvcache;

/// What the prefix tree has of a prompt.
///
/// @param kvTokens    longest prefix whose keys and values are there
/// @param stateTokens longest such prefix at whose end there is a state, too: only there a sequence can go on
/// @param slot        of that state; [PrefixNodes#NONE] where there is none
record PrefixMatch(int kvTokens, int stateTokens, int slot) {

    static final PrefixMatch NOTHING = new PrefixMatch(0, 0, PrefixNodes.NONE);

    boolean hasState() {
        return slot != PrefixNodes.NONE;
    }
}
