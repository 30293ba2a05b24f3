package dev.sidewinder.cuda.kernel;

/// How the products over the maps of a layer are cut, for [MoeRoute]: it makes the tiles, and counts how evenly their blocks
/// are shared out. A block is a thread block, a place what holds one of them at a time.
///
/// @param tileTokens slots of a tile at most
/// @param items      what blocks are counted by
/// @param up         the first product
/// @param down       the second one
public record ExpertTiling(int tileTokens, Items items, Share up, Share down) {

    /// What there is a row of blocks for.
    public enum Items {
        /// Nothing is counted.
        NONE, TILES, SLOTS
    }

    /// What the blocks of a product have to do. They cost the same, what hangs over an edge counted as if it were there.
    ///
    /// @param columns  blocks for an item
    /// @param places   that there are on the device
    /// @param cost     values of weights that a block goes through for an item: its products and the bytes that it reads are
    ///                 so many times a constant
    /// @param takesAll whether there are `columns` blocks in all, each for all items
    public record Share(int columns, int places, int cost, boolean takesAll) {

        private static final Share NONE = new Share(0, 0, 0, false);
    }

    public ExpertTiling {
        if (tileTokens < ExpertMaps.SMALLEST_TILE) {
            throw new IllegalArgumentException("tiles of " + tileTokens + " tokens; the maps have room for tiles of "
                    + ExpertMaps.SMALLEST_TILE + " and more");
        }
        if (items != Items.NONE) {
            for (Share share : new Share[] {up, down}) {
                if (share.columns() < 1 || share.places() < 1 || share.cost() < 1) {
                    throw new IllegalArgumentException("products of experts in " + share + "; there is at least one of each");
                }
            }
        }
    }

    /// Tiles of which nobody wants to know how they are shared out.
    public static ExpertTiling uncounted(int tileTokens) {
        return new ExpertTiling(tileTokens, Items.NONE, Share.NONE, Share.NONE);
    }

    /// Sets the arguments behind all others of a kernel that makes tiles.
    Arguments arguments(Arguments before) {
        return before.int32(items.ordinal())
                .int32(up.columns()).int32(up.places()).int32(up.cost())
                .int32(down.columns()).int32(down.places()).int32(down.cost()).int32(down.takesAll() ? 1 : 0);
    }
}
