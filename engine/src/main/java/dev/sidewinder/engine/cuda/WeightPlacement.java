package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.CudaUnavailableException;
import dev.sidewinder.cuda.kernel.Embedding;
import dev.sidewinder.cuda.kernel.Linear;
import dev.sidewinder.cuda.kernel.Linear.Numbers;
import dev.sidewinder.cuda.kernel.MoeRoute;
import dev.sidewinder.cuda.kernel.RmsNorm;
import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.checkpoint.TensorView;
import dev.sidewinder.model.checkpoint.WeightReader;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.model.synthetic.RandomTensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Puts the weights of a model into device memory, each in the form that its kernels read.
///
/// FP8 and NVFP4 stay as they are stored, and so does BF16; F16 and F32 matrices are rounded to bf16. Vectors become fp32.
/// Where an FP8 file has static activation scales, activations go into its products as e4m3; otherwise as bf16.
final class WeightPlacement {

    private final ModelConfig config;
    private final WeightSink sink;

    WeightPlacement(ModelConfig config, WeightSink sink) {
        this.config = config;
        this.sink = sink;
    }

    /// @throws CudaUnavailableException when the kernels cannot take what is stored
    DeviceWeights place(ModelWeights weights) {
        Embedding.Table embedding = embedding(weights.embeddings());
        List<DeviceLayer> layers = new ArrayList<>();
        for (int i = 0; i < config.layers().size(); i++) {
            layers.add(layer(i, config.layers().get(i), weights.layers().get(i)));
        }
        return new DeviceWeights(embedding, layers, norm(weights.finalNorm()), head(weights, embedding));
    }

    private Embedding.Table embedding(TensorView tensor) {
        boolean bf16 = tensor.type() == DType.BF16;
        long address = sink.put(bf16 ? WeightSource.stored(tensor) : WeightSource.widened(tensor));
        return new Embedding.Table(address, bf16 ? Embedding.TableType.BF16 : Embedding.TableType.F32, config.vocabSize(),
                config.hiddenSize());
    }

    /// A head that is the embedding is not uploaded twice.
    private DeviceLinear head(ModelWeights weights, Embedding.Table embedding) {
        boolean tied = weights.head() instanceof LinearWeight.Plain plain && plain.offset() == 0
                && plain.tensor().equals(weights.embeddings())
                && embedding.type() == Embedding.TableType.BF16;
        return tied
                ? new DeviceLinear(new Linear.Weights(Numbers.BF16, embedding.address(), 0, config.vocabSize(), config.hiddenSize(), 1), 1)
                : linear(weights.head());
    }

    private DeviceLayer layer(int index, LayerSpec spec, LayerWeights weights) {
        return switch (spec) {
            case LayerSpec.Mamba _ -> mamba((LayerWeights.Mamba) weights);
            case LayerSpec.Attention _ -> attention((LayerWeights.Attention) weights);
            case LayerSpec.Experts experts -> experts(index, experts, (LayerWeights.Experts) weights);
            case LayerSpec.Mlp _ -> {
                var mlp = (LayerWeights.Mlp) weights;
                yield new DeviceLayer.Mlp(norm(mlp.norm()), new DeviceLayer.Dense(linear(mlp.up()), linear(mlp.down())));
            }
        };
    }

    private DeviceLayer mamba(LayerWeights.Mamba mamba) {
        float[] decayRate = WeightReader.vector(mamba.aLog());
        for (int head = 0; head < decayRate.length; head++) {
            decayRate[head] = (float) -Math.exp(decayRate[head]);
        }
        return new DeviceLayer.Mamba(norm(mamba.norm()), linear(mamba.inProjection()), widened(mamba.convWeight()),
                mamba.convBias().map(this::widened).orElse(0L), widened(mamba.timeStepBias()),
                sink.put(new WeightSource.Values(decayRate)), widened(mamba.skip()), widened(mamba.gateNorm()),
                linear(mamba.outProjection()));
    }

    private DeviceLayer attention(LayerWeights.Attention attention) {
        return new DeviceLayer.Attention(norm(attention.norm()), linear(attention.query()), linear(attention.key()),
                linear(attention.value()), linear(attention.output()), attention.keyScale(), attention.valueScale());
    }

    private DeviceLayer experts(int index, LayerSpec.Experts spec, LayerWeights.Experts experts) {
        RmsNorm.Weight norm = norm(experts.norm());
        var router = new MoeRoute.Weights(norm, gate(experts.gate()), gateType(experts.gate()),
                widened(experts.correctionBias()), counters(spec));
        Optional<DeviceLayer.Latent> latent = experts.latentIn().map(in ->
                new DeviceLayer.Latent(linearOfBf16(in), linearOfBf16(experts.latentOut().orElseThrow())));
        var placement = new ExpertPlacement(index, spec, sink);
        boolean together = placement.takesShared(experts);
        Optional<DeviceLayer.Dense> apart = together
                ? Optional.empty()
                : experts.sharedUp().map(up -> new DeviceLayer.Dense(linearOfBf16(up), linear(experts.sharedDown().orElseThrow())));
        return new DeviceLayer.Experts(norm, spec.routed(), router, placement.place(experts), together, apart, latent);
    }

    private long gate(TensorView gate) {
        return gate.type() == DType.BF16 ? sink.put(WeightSource.stored(gate)) : widened(gate);
    }

    private static MoeRoute.GateType gateType(TensorView gate) {
        return gate.type() == DType.BF16 ? MoeRoute.GateType.BF16 : MoeRoute.GateType.F32;
    }

    /// Tokens that ever went to each expert, and the work of the blocks, int64, from zero on.
    private long counters(LayerSpec.Experts spec) {
        return sink.put(new WeightSource.Values(new float[2 * (spec.routed() + MoeRoute.Weights.WORK_COUNTERS)]));
    }

    private RmsNorm.Weight norm(TensorView weight) {
        return new RmsNorm.Weight(widened(weight), RmsNorm.WeightType.F32, config.normEpsilon());
    }

    private long widened(TensorView tensor) {
        return sink.put(WeightSource.widened(tensor));
    }

    /// For activations that kernels leave in bf16, whatever scale the file has for them.
    private DeviceLinear linearOfBf16(LinearWeight weight) {
        return weight instanceof LinearWeight.Fp8 fp8
                ? linear(new LinearWeight.Fp8(fp8.tensor(), fp8.offset(), fp8.outputs(), fp8.inputs(), fp8.scale(), Float.NaN))
                : linear(weight);
    }

    private DeviceLinear linear(LinearWeight weight) {
        long address = sink.put(codes(weight));
        int outputs = weight.outputs();
        int inputs = weight.inputs();
        return switch (weight) {
            case LinearWeight.Plain _ -> new DeviceLinear(new Linear.Weights(Numbers.BF16, address, 0, outputs, inputs, 1), 1);
            case LinearWeight.Fp8 fp8 -> hasInputScale(fp8)
                    ? new DeviceLinear(new Linear.Weights(Numbers.E4M3, address, 0, outputs, inputs, fp8.scale()), fp8.inputScale())
                    : new DeviceLinear(new Linear.Weights(Numbers.E4M3_BF16, address, 0, outputs, inputs, fp8.scale()), 1);
            case LinearWeight.Nvfp4 nvfp4 -> new DeviceLinear(new Linear.Weights(Numbers.NVFP4, address,
                    sink.put(blockScales(nvfp4)), outputs, inputs, nvfp4.globalScale()), 1);
        };
    }

    static boolean hasInputScale(LinearWeight.Fp8 weight) {
        return weight.inputScale() > 0 && !Float.isInfinite(1 / weight.inputScale());
    }

    /// The numbers of a matrix, without scales.
    static WeightSource codes(LinearWeight weight) {
        return switch (weight) {
            case LinearWeight.Plain plain when isDrawn(plain.tensor()) -> WeightSource.stored(plain.tensor());
            case LinearWeight.Fp8 fp8 when isDrawn(fp8.tensor()) -> WeightSource.stored(fp8.tensor());
            case LinearWeight.Plain plain when plain.tensor().type() == DType.BF16 -> new WeightSource.Stored(
                    plain.tensor().data().asSlice(plain.offset() * Short.BYTES, size(plain) * Short.BYTES));
            case LinearWeight.Plain plain -> new WeightSource.RoundedToBf16(plain);
            case LinearWeight.Fp8 fp8 -> new WeightSource.E4m3(fp8, part(fp8.tensor(), fp8.offset(), size(fp8)), fp8.inputs());
            case LinearWeight.Nvfp4 nvfp4 -> WeightSource.stored(nvfp4.codes());
        };
    }

    static WeightSource blockScales(LinearWeight.Nvfp4 weight) {
        if (isDrawn(weight.blockScales())) {
            return WeightSource.stored(weight.blockScales());
        }
        return new WeightSource.E4m3(weight, weight.blockScales().data(),
                weight.blockScales().data().byteSize() / weight.outputs());
    }

    /// Whether the device can make it.
    private static boolean isDrawn(TensorView tensor) {
        return tensor.content() instanceof RandomTensor;
    }

    private static MemorySegment part(TensorView tensor, long offset, long bytes) {
        return tensor.data().asSlice(offset, bytes);
    }

    private static long size(LinearWeight weight) {
        return (long) weight.outputs() * weight.inputs();
    }
}
