package dev.sidewinder.engine.cpu;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.scheduler.BatchEntry;
import java.util.Arrays;

/// Causal attention with grouped queries and no positions.
///
/// Every token, of a prompt or decoded, walks the key/value blocks of its sequence in order with one online softmax
/// (Milakov and Gimelshein 2018, arXiv:1805.02867), so its bits depend on its own sequence only. A block is widened once
/// for a tile of query tokens and all the query heads that share it.
final class AttentionLayer implements Layer {

    private static final int BLOCK = CacheShape.BLOCK_TOKENS;
    /// Query tokens of one unit of work: divides the block, so that a tile sees the same blocks.
    private static final int TILE = 16;

    private final CpuRuntime runtime;
    private final LayerSpec.Attention spec;
    private final RmsNorm norm;
    private final Linear query;
    private final Linear key;
    private final Linear value;
    private final Linear output;
    private final KvCache cache;
    private final int group;
    private final float scale;
    private final SourceRows normed;
    private final SourceRows attended;
    private final float[] queries;
    private final float[] keys;
    private final float[] values;
    private final Scratch[] scratch;

    /// Working memory of one worker: a widened block, and running maximum, sum and mean for a tile of tokens.
    private static final class Scratch {
        final float[] blockKeys;
        final float[] blockValues;
        final float[] scores;
        final float[] maxima;
        final float[] sums;
        final float[] means;

        Scratch(int group, int headDim) {
            blockKeys = new float[BLOCK * headDim];
            blockValues = new float[BLOCK * headDim];
            scores = new float[BLOCK * group];
            maxima = new float[TILE * group];
            sums = new float[TILE * group];
            means = new float[TILE * group * headDim];
        }
    }

    /// A run of at most [#TILE] query tokens of one entry.
    private record Tile(BatchEntry entry, int row, int position, int tokens) {}

    /// @param layer index of the layer in the model
    AttentionLayer(CpuRuntime runtime, LayerSpec.Attention spec, RmsNorm norm, LayerWeights.Attention weights, int layer) {
        this.runtime = runtime;
        this.spec = spec;
        this.norm = norm;
        query = runtime.loader().load(weights.query());
        key = runtime.loader().load(weights.key());
        value = runtime.loader().load(weights.value());
        output = runtime.loader().load(weights.output());
        cache = new KvCache(runtime, layer, spec.headDim());
        group = spec.queryHeads() / spec.kvHeads();
        scale = (float) (1 / Math.sqrt(spec.headDim()));
        Workspace workspace = runtime.workspace();
        normed = workspace.sources("normed", 1, query.inputs());
        attended = workspace.sources("attended", 1, output.inputs());
        queries = workspace.floats("queries", 1, query.outputs());
        keys = workspace.floats("keys", 1, key.outputs());
        values = workspace.floats("values", 1, value.outputs());
        scratch = new Scratch[runtime.pool().workers()];
        Arrays.setAll(scratch, worker -> new Scratch(group, spec.headDim()));
    }

    @Override
    public void forward(Step step) {
        ProductRegion products = runtime.products();
        runtime.normalise(step, norm, normed);
        products.addStore(query, normed, 0, step.rows(), queries, 0);
        products.addStore(key, normed, 0, step.rows(), keys, 0);
        products.addStore(value, normed, 0, step.rows(), values, 0);
        products.run();
        Tile[] tiles = tiles(step);
        runtime.pool().run(tiles.length, (unit, worker) -> store(tiles[unit]));
        runtime.pool().run(tiles.length * spec.kvHeads(), (unit, worker) ->
                attend(tiles[unit / spec.kvHeads()], unit % spec.kvHeads(), scratch[worker]));
        products.addAdd(output, attended, 0, step.rows(), step.residual(), 0);
        products.run();
    }

    /// Cuts every entry on the grid of [#TILE] tokens from the start of its sequence.
    private static Tile[] tiles(Step step) {
        int count = 0;
        for (BatchEntry entry : step.entries()) {
            count += Math.ceilDiv(entry.from() + entry.count(), TILE) - entry.from() / TILE;
        }
        Tile[] tiles = new Tile[count];
        int next = 0;
        for (int i = 0; i < step.entries().size(); i++) {
            BatchEntry entry = step.entries().get(i);
            int end = entry.from() + entry.count();
            for (int position = entry.from(); position < end;) {
                int tokens = Math.min(end, (position / TILE + 1) * TILE) - position;
                tiles[next++] = new Tile(entry, step.firstRow()[i] + position - entry.from(), position, tokens);
                position += tokens;
            }
        }
        return tiles;
    }

    private void store(Tile tile) {
        int block = tile.entry().allocation().block(tile.position() / BLOCK);
        for (int token = 0; token < tile.tokens(); token++) {
            for (int head = 0; head < spec.kvHeads(); head++) {
                int at = ((tile.row() + token) * spec.kvHeads() + head) * spec.headDim();
                cache.write(block, head, tile.position() % BLOCK + token, keys, at, values, at);
            }
        }
    }

    private void attend(Tile tile, int kvHead, Scratch mine) {
        Arrays.fill(mine.maxima, Float.NEGATIVE_INFINITY);
        Arrays.fill(mine.sums, 0);
        Arrays.fill(mine.means, 0);
        int last = tile.position() + tile.tokens() - 1;
        for (int block = 0; block <= last / BLOCK; block++) {
            int first = block * BLOCK;
            int present = Math.min(BLOCK, last + 1 - first);
            cache.read(tile.entry().allocation().block(block), kvHead, present, mine.blockKeys, mine.blockValues);
            for (int token = 0; token < tile.tokens(); token++) {
                int visible = Math.min(BLOCK, tile.position() + token + 1 - first);
                takeBlock(tile.row() + token, token, kvHead, visible, mine);
            }
        }
        for (int token = 0; token < tile.tokens(); token++) {
            finish(tile.row() + token, token, kvHead, mine);
        }
    }

    /// One query token takes in one block: rescales what it has to the new maximum and adds the block's share.
    private void takeBlock(int row, int token, int kvHead, int visible, Scratch mine) {
        CpuMath math = runtime.math();
        int headDim = spec.headDim();
        int queryAt = (row * spec.queryHeads() + kvHead * group) * headDim;
        math.scores(queries, queryAt, group, headDim, mine.blockKeys, visible, scale, mine.scores);
        for (int head = 0; head < group; head++) {
            int at = token * group + head;
            float max = math.maximum(mine.scores, head * BLOCK, visible, mine.maxima[at]);
            float correction = (float) Math.exp(mine.maxima[at] - max);
            float sum = math.exponentials(mine.scores, head * BLOCK, visible, max);
            mine.maxima[at] = max;
            mine.sums[at] = mine.sums[at] * correction + sum;
            math.accumulate(mine.scores, head * BLOCK, visible, mine.blockValues, headDim, correction, mine.means,
                    at * headDim);
        }
    }

    private void finish(int row, int token, int kvHead, Scratch mine) {
        int headDim = spec.headDim();
        for (int head = 0; head < group; head++) {
            int at = token * group + head;
            float share = 1 / mine.sums[at];
            for (int d = 0; d < headDim; d++) {
                mine.means[at * headDim + d] *= share;
            }
        }
        attended.set(row, kvHead * group * headDim, mine.means, token * group * headDim, group * headDim);
    }
}
