package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.kernel.CausalConv;
import dev.sidewinder.cuda.kernel.FloatFormat;
import dev.sidewinder.cuda.kernel.GatedNorm;
import dev.sidewinder.cuda.kernel.Linear;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.MambaShape;
import dev.sidewinder.cuda.kernel.MambaState;
import dev.sidewinder.cuda.kernel.ProductInput;
import dev.sidewinder.cuda.kernel.RmsNorm;
import dev.sidewinder.cuda.kernel.SelectiveStateUpdate;
import dev.sidewinder.cuda.kernel.SsdChunkScan;
import dev.sidewinder.model.config.LayerSpec;

/// Mamba-2 layer: input projection, causal convolution, selective recurrence, gated norm, output projection.
///
/// Generated tokens go through the state update, pieces of prompts through the chunked scan. Where the projections take
/// bf16, everything between them is as exact as two bf16 values or fp32 make it (docs/decisions/0007); where they take e4m3,
/// bf16 loses nothing that they would have kept.
final class CudaMamba implements CudaLayer {

    private final CudaRuntime runtime;
    private final DeviceLayer.Mamba weights;
    private final MambaShape shape;
    private final MambaState state;
    private final SelectiveStateUpdate update;
    private final CausalConv convolution;
    private final SsdChunkScan scan;
    private final GatedNorm gatedNorm;

    private final ProductInput normed;
    private final ProductInput inner;
    private final FloatFormat projectedFormat;
    private final FloatFormat scanFormat;
    private final long projected;
    private final long convolvedHigh;
    private final long convolvedLow;
    private final long timeStep;
    private final long y;
    private final long arrivals;

    CudaMamba(CudaRuntime runtime, LayerSpec.Mamba spec, DeviceLayer.Mamba weights, int layer) {
        this.runtime = runtime;
        this.weights = weights;
        shape = new MambaShape(spec.heads(), spec.headDim(), spec.groups(), spec.stateDim(), spec.convWidth());
        state = new MambaState(runtime.slots(), runtime.frameBytes(), runtime.layout().historyOffset()[layer],
                runtime.layout().recurrentOffset()[layer]);
        boolean exact = !weights.inProjection().takesE4m3();
        SsdChunkScan.Form form = exact ? SsdChunkScan.Form.PAIR : SsdChunkScan.Form.SINGLE;
        projectedFormat = exact ? FloatFormat.F32 : FloatFormat.BF16;
        scanFormat = form.output();
        update = new SelectiveStateUpdate(runtime.kernels(), shape, runtime.epsilon());
        convolution = new CausalConv(runtime.kernels(), shape);
        scan = new SsdChunkScan(runtime.kernels(), shape, form);
        gatedNorm = new GatedNorm(runtime.kernels(), shape, runtime.epsilon());

        normed = pairOrNarrow(weights.inProjection());
        projected = runtime.scratch(shape.rowWidth(), projectedFormat.bytes());
        convolvedHigh = runtime.scratch(shape.channels(), Short.BYTES);
        convolvedLow = exact ? runtime.scratch(shape.channels(), Short.BYTES) : 0;
        timeStep = runtime.scratch(shape.heads(), Float.BYTES);
        y = runtime.scratch(shape.innerDim(), Float.BYTES);
        inner = pairOrNarrow(weights.outProjection());
        arrivals = runtime.workspace().kept("arrivals of state updates",
                (long) runtime.options().decodeRows() * shape.groups() * Integer.BYTES);
    }

    private ProductInput pairOrNarrow(DeviceLinear matrix) {
        long high = runtime.scratch(matrix.inputs(), Short.BYTES);
        return Products.input(matrix, high, matrix.takesE4m3() ? 0 : runtime.scratch(matrix.inputs(), Short.BYTES));
    }

    @Override
    public void launch(Pass pass) {
        Products products = runtime.products(pass);
        int rows = pass.rows();
        products.multiplyNormed(normed, RmsNorm.Rows.all(runtime.residual(), rows, runtime.hidden()), weights.norm(),
                weights.inProjection(), new Linear.Output(projected, shape.rowWidth(),
                projectedFormat == FloatFormat.F32 ? Finish.STORE_F32 : Finish.STORE_BF16));
        switch (pass) {
            case Pass.Decode decode -> update(decode);
            case Pass.Prompt prompt -> scan(prompt, 0);
            case Pass.Mixed(Pass.Decode decode, Pass.Prompt prompt) -> {
                update(decode);
                scan(prompt, decode.rows());
            }
        }
        products.multiply(inner, rows, weights.outProjection(),
                new Linear.Output(runtime.residual(), runtime.hidden(), Finish.ADD_F32));
    }

    private void update(Pass.Decode decode) {
        update.run(runtime.stream(), inner, new SelectiveStateUpdate.Activations(projected, projectedFormat, y, arrivals),
                new SelectiveStateUpdate.Weights(weights.convWeight(), weights.convBias(), weights.timeStepBias(),
                        weights.decayRate(), weights.skip(), weights.gateNorm()),
                state, decode.updates());
    }

    /// @param firstRow of the pieces in what the projections give and take
    private void scan(Pass.Prompt prompt, int firstRow) {
        long rows = projected + (long) firstRow * shape.rowWidth() * projectedFormat.bytes();
        convolution.run(runtime.stream(),
                new CausalConv.Activations(convolvedHigh, convolvedLow, timeStep, rows, projectedFormat),
                new CausalConv.Weights(weights.convWeight(), weights.convBias(), weights.timeStepBias()), state, prompt.pieces());
        scan.run(runtime.stream(), new SsdChunkScan.Activations(y, convolvedHigh, convolvedLow, timeStep),
                new SsdChunkScan.Weights(weights.decayRate(), weights.skip()), state, prompt.pieces());
        gatedNorm.run(runtime.stream(), inner.from((long) firstRow * shape.innerDim()),
                new GatedNorm.Inputs(y, scanFormat, rows, projectedFormat, weights.gateNorm()), prompt.rows());
    }
}
