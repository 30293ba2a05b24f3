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
        int rows = pass.rows();
        Products products = runtime.products(pass);
        MoeExperts.Way way = way(pass);
        router.route(runtime.stream(), maps,
                new MoeRoute.Rows(normed, runtime.residual(), pass.rowSlot(), rows, runtime.hidden()), weights.router(), choosing,
                experts.tiling(way, shape, weights.routed().format(), rows));
        weights.latent().ifPresentOrElse(latent -> runLatent(latent, products, way, rows), () -> experts.run(runtime.stream(), way, maps,
                rows, weights.routed(), new MoeExperts.Activations(normed, middle, expertRows, runtime.residual(), 0, 0),
                spec.scale()));
        weights.apart().ifPresent(dense ->
                products.addSquaredRelu(new ProductInput.Bf16(normed), rows, dense, sharedMiddle, runtime.residual()));
    }

    /// Prompts take the warpgroup kernels where those take the layer, as the other products do.
    private MoeExperts.Way way(Pass pass) {
        boolean many = pass.rows() >= runtime.options().fewestWarpgroupRows();
        boolean warpgroups = runtime.options().warpgroups() && many && experts.takesWarpgroups(shape, weights.routed().format());
        return switch (pass) {
            case Pass.Prompt _ when warpgroups -> MoeExperts.Way.WARPGROUP;
            case Pass.Prompt _, Pass.Decode _ -> experts.way(shape, weights.routed().format(), pass.rows());
        };
    }

    private void runLatent(DeviceLayer.Latent latent, Products products, MoeExperts.Way way, int rows) {
        products.multiply(new ProductInput.Bf16(normed), rows, latent.in(),
                new Linear.Output(narrow, shape.hidden(), Finish.STORE_BF16));
        experts.run(runtime.stream(), way, maps, rows, weights.routed(),
                new MoeExperts.Activations(narrow, middle, expertRows, 0, 0, sum), spec.scale());
        products.multiply(new ProductInput.Bf16(sum), rows, latent.out(),
                new Linear.Output(runtime.residual(), runtime.hidden(), Finish.ADD_F32));
    }
}
