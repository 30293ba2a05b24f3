package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.kernel.ExpertMaps;
import dev.sidewinder.cuda.kernel.ExpertShape;
import dev.sidewinder.cuda.kernel.Linear;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.MoeExperts;
import dev.sidewinder.cuda.kernel.MoeRoute;
import dev.sidewinder.cuda.kernel.ProductInput;
import dev.sidewinder.model.config.LayerSpec;

/// Mixture of experts: `scale x sum of w_e down_e(max(0, up_e x)²)`, plus one shared expert that is not scaled. With a
/// latent width the routed experts work between two projections.
final class CudaExperts implements CudaLayer {

    private final CudaRuntime runtime;
    private final LayerSpec.Experts spec;
    private final DeviceLayer.Experts weights;
    private final ExpertShape shape;
    private final MoeRoute router;
    private final MoeRoute.Choosing choosing;
    private final MoeExperts experts;
    private final ExpertMaps maps;

    private final long normed;
    private final long narrow;
    private final long sum;
    private final long middle;
    private final long expertRows;
    private final long sharedMiddle;

    CudaExperts(CudaRuntime runtime, LayerSpec.Experts spec, DeviceLayer.Experts weights) {
        this.runtime = runtime;
        this.spec = spec;
        this.weights = weights;
        int width = spec.latent() > 0 ? spec.latent() : runtime.hidden();
        int rows = runtime.options().rows();
        shape = new ExpertShape(width, spec.routed(), spec.active(), spec.intermediate(),
                weights.hasShared() ? spec.sharedIntermediate() : 0);
        router = new MoeRoute(runtime.kernels());
        choosing = new MoeRoute.Choosing(spec.groups(), spec.activeGroups(), spec.normalise());
        experts = new MoeExperts(runtime.kernels());
        maps = new ExpertMaps(shape, rows, runtime.workspace().kept("expert maps of " + shape, ExpertMaps.bytes(shape, rows)));

        normed = runtime.scratch(runtime.hidden(), Short.BYTES);
        narrow = weights.latent().isPresent() ? runtime.scratch(width, Short.BYTES) : 0;
        sum = weights.latent().isPresent() ? runtime.scratch(width, Short.BYTES) : 0;
        middle = runtime.workspace().scratch(MoeExperts.middleBytes(shape, weights.routed().format(), rows));
        expertRows = runtime.workspace().scratch(MoeExperts.rowBytes(shape, rows));
        sharedMiddle = weights.apart().isPresent() ? runtime.scratch(spec.sharedIntermediate(), Short.BYTES) : 0;
    }

    @Override
    public void launch(Pass pass) {
        boolean warpgroups = takesWarpgroups(pass.rows());
        switch (pass) {
            case Pass.Decode decode -> launch(pass, portable(decode.rows()), Rows.of(decode));
            case Pass.Prompt prompt -> launch(pass, prompts(prompt.rows()), new Rows(0, prompt.rows(), 0, 0));
            case Pass.Mixed(Pass.Decode decode, Pass.Prompt prompt) when warpgroups && runtime.keepsRowsApart() -> {
                launch(decode, portable(decode.rows()), Rows.of(decode));
                launch(prompt, prompts(prompt.rows()), new Rows(decode.rows(), prompt.rows(), 0, 0));
            }
            case Pass.Mixed(Pass.Decode decode, _) ->
                launch(pass, prompts(pass.rows()), new Rows(0, pass.rows(), decode.sequences().slot(), decode.rows()));
        }
    }

    /// Rows that run together.
    ///
    /// @param slots   of the first ones, of which some may be padded; 0 for none
    /// @param slotted how many these are
    private record Rows(int first, int count, long slots, int slotted) {

        static Rows of(Pass.Decode decode) {
            return new Rows(0, decode.rows(), decode.sequences().slot(), decode.rows());
        }
    }

    private void launch(Pass pass, MoeExperts.Way way, Rows rows) {
        Products products = runtime.products(pass);
        long residual = runtime.residual() + (long) rows.first() * runtime.hidden() * Float.BYTES;
        router.route(runtime.stream(), maps,
                new MoeRoute.Rows(normed, residual, rows.slots(), rows.slotted(), rows.count(), runtime.hidden()), weights.router(),
                choosing, experts.tiling(way, shape, weights.routed().format(), rows.count()));
        weights.latent().ifPresentOrElse(latent -> runLatent(latent, products, way, rows.count(), residual),
                () -> experts.run(runtime.stream(), way, maps, rows.count(), weights.routed(),
                        new MoeExperts.Activations(normed, middle, expertRows, residual, 0, 0), spec.scale()));
        weights.apart().ifPresent(dense ->
                products.addSquaredRelu(new ProductInput.Bf16(normed), rows.count(), dense, sharedMiddle, residual));
    }

    private MoeExperts.Way portable(int rows) {
        return experts.way(shape, weights.routed().format(), rows);
    }

    /// Prompts take the warpgroup kernels where those take the layer, as the other products do, and generated tokens beside them as well.
    private MoeExperts.Way prompts(int rows) {
        return takesWarpgroups(rows) ? MoeExperts.Way.WARPGROUP : portable(rows);
    }

    private boolean takesWarpgroups(int rows) {
        return runtime.options().warpgroups() && rows >= runtime.options().fewestWarpgroupRows()
                && experts.takesWarpgroups(shape, weights.routed().format());
    }

    private void runLatent(DeviceLayer.Latent latent, Products products, MoeExperts.Way way, int rows, long residual) {
        products.multiply(new ProductInput.Bf16(normed), rows, latent.in(),
                new Linear.Output(narrow, shape.hidden(), Finish.STORE_BF16));
        experts.run(runtime.stream(), way, maps, rows, weights.routed(),
                new MoeExperts.Activations(narrow, middle, expertRows, 0, 0, sum), spec.scale());
        products.multiply(new ProductInput.Bf16(sum), rows, latent.out(),
                new Linear.Output(residual, runtime.hidden(), Finish.ADD_F32));
    }
}
