package dev.sidewinder.cuda.kernel;

/// Where the router's choices and the index maps lie in one piece of device memory, planned for a largest number of tokens.
///
/// One step at a time uses them. Before the first launch the memory is filled with zeros (`MoeRoute.prepare`): it holds
/// counters that each launch leaves at zero.
///
/// @param address  256-byte aligned, [#bytes] from there on
public record ExpertMaps(ExpertShape shape, int maxTokens, long address) {

    /// Smallest tile of any product: it makes the longest list of tiles.
    static final int SMALLEST_TILE = 8;
    /// Tokens that one block of the counting kernels takes.
    static final int CHUNK_TOKENS = 128;
    /// Token numbers have 24 bits in the maps.
    private static final int TOKEN_LIMIT = 1 << 24;
    private static final long ALIGNMENT = 256;

    public ExpertMaps {
        if (maxTokens < 1 || maxTokens >= TOKEN_LIMIT || shape.slots(maxTokens) > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("maps for " + maxTokens + " tokens of " + shape.ranks()
                    + " units each; tokens are 1 to " + (TOKEN_LIMIT - 1) + ", all units together below 2^31");
        }
        if (address % ALIGNMENT != 0) {
            throw new IllegalArgumentException("maps at 0x" + Long.toHexString(address) + ", which is no multiple of " + ALIGNMENT);
        }
    }

    /// Memory that the maps of so many tokens need.
    public static long bytes(ExpertShape shape, int maxTokens) {
        return new ExpertMaps(shape, maxTokens, 0).offset(Part.END);
    }

    private enum Part {
        CHOICE_EXPERT, CHOICE_WEIGHT, CHOICE_SLOT, UNIT_FIRST, SLOT_SOURCE, TILE_UNIT, TILE_FIRST, TILE_COUNT, CHUNK_COUNT,
        LOGITS, ARRIVALS, END
    }

    private long words(Part part) {
        return switch (part) {
            case CHOICE_EXPERT, CHOICE_WEIGHT -> (long) maxTokens * shape.active();
            case CHOICE_SLOT, SLOT_SOURCE -> shape.slots(maxTokens);
            case UNIT_FIRST -> shape.units() + 1;
            case TILE_UNIT, TILE_FIRST -> shape.tiles(maxTokens, SMALLEST_TILE);
            case TILE_COUNT -> 1;
            case CHUNK_COUNT -> (long) Math.ceilDiv(maxTokens, CHUNK_TOKENS) * shape.units();
            case LOGITS -> (long) maxTokens * shape.experts();
            case ARRIVALS -> 1 + maxTokens;
            case END -> 0;
        };
    }

    private long offset(Part wanted) {
        long offset = 0;
        for (Part part : Part.values()) {
            if (part == wanted) {
                break;
            }
            offset = Math.ceilDiv(offset + 4 * words(part), ALIGNMENT) * ALIGNMENT;
        }
        return offset;
    }

    /// int32 `[tokens, active]`, the chosen experts, best first; -1 in padded rows.
    public long choiceExpert() {
        return address + offset(Part.CHOICE_EXPERT);
    }

    /// fp32 `[tokens, active]`, their weights.
    public long choiceWeight() {
        return address + offset(Part.CHOICE_WEIGHT);
    }

    /// int32 `[tokens, ranks]`, the slot of each.
    public long choiceSlot() {
        return address + offset(Part.CHOICE_SLOT);
    }

    /// int32 `[units + 1]`, the first slot of each unit.
    public long unitFirst() {
        return address + offset(Part.UNIT_FIRST);
    }

    /// uint32 `[slots]`, token << 8 | rank.
    public long slotSource() {
        return address + offset(Part.SLOT_SOURCE);
    }

    /// int32 `[tiles]`, the unit of each tile.
    public long tileUnit() {
        return address + offset(Part.TILE_UNIT);
    }

    /// int32 `[tiles]`, the first slot of each tile.
    public long tileFirst() {
        return address + offset(Part.TILE_FIRST);
    }

    /// int32, how many tiles there are.
    public long tileCount() {
        return address + offset(Part.TILE_COUNT);
    }

    long chunkCount() {
        return address + offset(Part.CHUNK_COUNT);
    }

    long logits() {
        return address + offset(Part.LOGITS);
    }

    long arrivals() {
        return address + offset(Part.ARRIVALS);
    }

    void check(int tokens) {
        if (tokens < 1 || tokens > maxTokens) {
            throw new IllegalArgumentException("experts for " + tokens + " tokens; the maps were planned for 1 to " + maxTokens);
        }
    }
}
