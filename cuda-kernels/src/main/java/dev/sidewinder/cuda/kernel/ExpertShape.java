package dev.sidewinder.cuda.kernel;

/// The sizes of a layer's experts.
///
/// A *unit* is what one product runs over: the pieces of the shared expert first, each as wide as a routed expert (the last
/// one may be narrower), then the routed experts. A *rank* is one unit of one token: pieces first, then its choices.
///
/// @param hidden       width that experts read and write: the hidden width, or the latent one
/// @param experts      routed experts
/// @param active       experts that run for a token
/// @param width        width inside a routed expert
/// @param sharedWidth  width inside the shared expert; 0 where there is none, or where the caller computes it itself
public record ExpertShape(int hidden, int experts, int active, int width, int sharedWidth) {

    static final int MAX_EXPERTS = 512;
    static final int MAX_ACTIVE = 32;
    static final int MAX_PARTS = 32;

    public ExpertShape {
        if (hidden < 1 || width < 1 || sharedWidth < 0) {
            throw new IllegalArgumentException("experts of width " + width + " and " + sharedWidth
                    + " over " + hidden + " values; widths are at least 1, the shared one at least 0");
        }
        if (experts < 1 || experts > MAX_EXPERTS || active < 1 || active > Math.min(experts, MAX_ACTIVE)) {
            throw new IllegalArgumentException(active + " of " + experts + " experts for a token; the router chooses 1 to "
                    + MAX_ACTIVE + " of at most " + MAX_EXPERTS);
        }
        if (Math.ceilDiv(sharedWidth, width) > MAX_PARTS) {
            throw new IllegalArgumentException("a shared expert of width " + sharedWidth + " is more than " + MAX_PARTS
                    + " times as wide as a routed one, " + width);
        }
    }

    /// Pieces of the shared expert.
    public int parts() {
        return Math.ceilDiv(sharedWidth, width);
    }

    public int units() {
        return parts() + experts;
    }

    /// Units of one token.
    public int ranks() {
        return parts() + active;
    }

    /// Rows of all units together, when none of the tokens is padding.
    public long slots(int tokens) {
        return (long) tokens * ranks();
    }

    /// How many tiles of `tileTokens` slots the units of so many tokens have at most.
    int tiles(int tokens, int tileTokens) {
        long choices = (long) tokens * active;
        long touched = Math.min(experts, choices);
        long byExpert = touched * Math.ceilDiv(tokens, tileTokens);
        long byChoice = Math.min(choices, choices / tileTokens + touched);
        return Math.toIntExact(Math.min(byExpert, byChoice) + (long) parts() * Math.ceilDiv(tokens, tileTokens));
    }
}
