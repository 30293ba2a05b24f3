package dev.sidewinder.engine.cpu;

import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.config.LayerSpec;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/// Mixture of experts: `scale x sum of w_e down_e(max(0, up_e x)²)`, plus one shared expert that is not scaled. With a
/// latent width the routed experts work between two projections.
///
/// Tokens are grouped by expert, so that every expert is one product over its rows. Each token's share is then added up
/// by the rank of the expert in the token's own choice: the order of a sum never depends on the batch.
final class ExpertsLayer implements Layer {

    private final CpuRuntime runtime;
    private final LayerSpec.Experts spec;
    private final RmsNorm norm;
    private final Router router;
    private final Linear[] up;
    private final Linear[] down;
    private final Optional<SharedExpert> shared;
    private final Optional<Latent> latent;
    private final int width;

    private final SourceRows routerRows;
    private final SourceRows normed;
    private final SourceRows gathered;
    private final SourceRows middle;
    private final float[] expertResults;
    private final float[] total;

    private final int[] choice;
    private final float[] choiceWeights;
    private final int[] gatheredRow;
    private final int[] firstRowOfExpert;
    private final float[][] routedSum;
    /// Tokens that ever went to each expert.
    private final long[] expertTokens;

    private record SharedExpert(Linear up, Linear down, SourceRows middle) {}

    private record Latent(Linear in, Linear out, SourceRows narrow, SourceRows routed, float[] wide) {}

    ExpertsLayer(CpuRuntime runtime, LayerSpec.Experts spec, RmsNorm norm, LayerWeights.Experts weights, int hidden) {
        this.runtime = runtime;
        this.spec = spec;
        this.norm = norm;
        router = new Router(runtime, spec, weights);
        up = load(runtime, weights.up());
        down = load(runtime, weights.down());
        width = spec.latent() > 0 ? spec.latent() : hidden;
        Workspace workspace = runtime.workspace();
        routerRows = workspace.floatSources("router", hidden);
        normed = workspace.sources("normed", 1, hidden);
        gathered = workspace.sources("gathered", spec.active(), width);
        middle = workspace.sources("expert middle", spec.active(), spec.intermediate());
        expertResults = workspace.floats("expert results", spec.active(), width);
        total = workspace.floats("experts total", 1, hidden);
        shared = weights.sharedUp().map(sharedUp -> new SharedExpert(runtime.loader().load(sharedUp),
                runtime.loader().load(weights.sharedDown().orElseThrow()),
                workspace.sources("shared middle", 1, spec.sharedIntermediate())));
        latent = weights.latentIn().map(in -> new Latent(runtime.loader().load(in),
                runtime.loader().load(weights.latentOut().orElseThrow()), workspace.sources("latent in", 1, width),
                workspace.sources("latent out", 1, width), workspace.floats("latent wide", 1, hidden)));
        choice = new int[runtime.maxRows() * spec.active()];
        choiceWeights = new float[choice.length];
        gatheredRow = new int[choice.length];
        firstRowOfExpert = new int[spec.routed() + 1];
        routedSum = new float[runtime.pool().workers()][width];
        expertTokens = new long[spec.routed()];
    }

    private static Linear[] load(CpuRuntime runtime, List<LinearWeight> weights) {
        return weights.stream().map(runtime.loader()::loadOnFirstUse).toArray(Linear[]::new);
    }

    @Override
    public void forward(Step step) {
        int rows = step.rows();
        runtime.forRows(rows, (row, worker) -> normaliseAndRoute(step, row, worker));
        groupByExpert(rows);
        SourceRows expertInput = expertInput(rows);
        runtime.forRows(rows, (row, worker) -> gather(expertInput, row));
        runExperts(rows);
        if (latent.isPresent()) {
            widenAndAdd(latent.get(), step);
        } else {
            runtime.forRows(rows, (row, worker) -> add(sumOfExperts(row, worker), 0, step.residual(), row, width));
        }
    }

    private void normaliseAndRoute(Step step, int row, int worker) {
        float[] values = norm.applied(step.residual(), row, worker);
        routerRows.set(row, 0, values, 0, values.length);
        normed.set(row, 0, values, 0, values.length);
        router.route(routerRows, row, choice, choiceWeights, row * spec.active(), worker);
    }

    /// Counting sort: gives every (token, rank) a row among those of its expert.
    private void groupByExpert(int rows) {
        Arrays.fill(firstRowOfExpert, 0);
        int choices = rows * spec.active();
        for (int i = 0; i < choices; i++) {
            firstRowOfExpert[choice[i] + 1]++;
        }
        for (int expert = 0; expert < spec.routed(); expert++) {
            expertTokens[expert] += firstRowOfExpert[expert + 1];
            firstRowOfExpert[expert + 1] += firstRowOfExpert[expert];
        }
        for (int i = 0; i < choices; i++) {
            gatheredRow[i] = firstRowOfExpert[choice[i]]++;
        }
        // Handing out rows moved every start to the next expert's start: move them back.
        System.arraycopy(firstRowOfExpert, 0, firstRowOfExpert, 1, spec.routed());
        firstRowOfExpert[0] = 0;
    }

    private SourceRows expertInput(int rows) {
        if (latent.isEmpty()) {
            return normed;
        }
        Latent projections = latent.get();
        runtime.products().addSource(projections.in(), normed, 0, rows, projections.narrow(), 0);
        runtime.products().run();
        return projections.narrow();
    }

    /// How many tokens ever went to each expert, as of now.
    long[] expertTokens() {
        return expertTokens.clone();
    }

    private void gather(SourceRows source, int row) {
        for (int i = row * spec.active(); i < (row + 1) * spec.active(); i++) {
            gathered.copyRow(gatheredRow[i], source, row);
        }
    }

    private void runExperts(int rows) {
        ProductRegion products = runtime.products();
        for (int expert = 0; expert < spec.routed(); expert++) {
            int first = firstRowOfExpert[expert];
            if (firstRowOfExpert[expert + 1] > first) {
                products.addSquaredRelu(up[expert], gathered, first, firstRowOfExpert[expert + 1] - first, middle, first);
            }
        }
        shared.ifPresent(expert ->
                products.addSquaredRelu(expert.up(), normed, 0, rows, expert.middle(), 0));
        products.run();
        for (int expert = 0; expert < spec.routed(); expert++) {
            int first = firstRowOfExpert[expert];
            if (firstRowOfExpert[expert + 1] > first) {
                products.addStore(down[expert], middle, first, firstRowOfExpert[expert + 1] - first, expertResults, first);
            }
        }
        shared.ifPresent(expert -> products.addStore(expert.down(), expert.middle(), 0, rows, total, 0));
        products.run();
    }

    /// The weighted sum of a token's experts by rank, in the worker's scratch.
    private float[] sumOfExperts(int row, int worker) {
        float[] sum = routedSum[worker];
        Arrays.fill(sum, 0);
        for (int i = row * spec.active(); i < (row + 1) * spec.active(); i++) {
            runtime.math().addScaled(choiceWeights[i], expertResults, gatheredRow[i] * width, sum, 0, width);
        }
        return sum;
    }

    private void widenAndAdd(Latent projections, Step step) {
        runtime.forRows(step.rows(), (row, worker) ->
                projections.routed().set(row, 0, sumOfExperts(row, worker), 0, width));
        runtime.products().addStore(projections.out(), projections.routed(), 0, step.rows(), projections.wide(), 0);
        runtime.products().run();
        int hidden = projections.out().outputs();
        runtime.forRows(step.rows(), (row, worker) ->
                add(projections.wide(), row * hidden, step.residual(), row, hidden));
    }

    /// Adds `scale x routed + shared` to a row of the residual stream.
    private void add(float[] routed, int routedAt, float[] residual, int row, int hidden) {
        int at = row * hidden;
        if (shared.isEmpty()) {
            Arrays.fill(total, at, at + hidden, 0);
        }
        runtime.math().addScaled(spec.scale(), routed, routedAt, total, at, hidden);
        runtime.math().addScaled(1, total, at, residual, at, hidden);
    }
}
