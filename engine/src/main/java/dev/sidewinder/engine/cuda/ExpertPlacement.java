package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.CudaUnavailableException;
import dev.sidewinder.cuda.kernel.ExpertFormat;
import dev.sidewinder.cuda.kernel.MoeExperts;
import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.config.LayerSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Puts the experts of a layer one behind the other, so that one launch finds any of them by its number.
final class ExpertPlacement {

    private final int layer;
    private final LayerSpec.Experts spec;
    private final WeightSink sink;

    ExpertPlacement(int layer, LayerSpec.Experts spec, WeightSink sink) {
        this.layer = layer;
        this.spec = spec;
        this.sink = sink;
    }

    /// Whether the shared expert runs in the same launches as the routed ones: of the same width in and out, and stored in
    /// the same format.
    boolean takesShared(LayerWeights.Experts experts) {
        if (experts.sharedUp().isEmpty() || spec.latent() > 0) {
            return false;
        }
        ExpertFormat format = format(experts);
        return format == formatOf(experts.sharedUp().get()) && format == formatOf(experts.sharedDown().orElseThrow());
    }

    /// Without the shared expert unless [#takesShared].
    ///
    /// @throws CudaUnavailableException when they are not all stored in one format
    MoeExperts.Weights place(LayerWeights.Experts experts) {
        boolean together = takesShared(experts);
        ExpertFormat format = format(experts);
        return new MoeExperts.Weights(format,
                matrices(format, experts.up(), together ? experts.sharedUp() : Optional.empty()),
                matrices(format, experts.down(), together ? experts.sharedDown() : Optional.empty()));
    }

    private ExpertFormat format(LayerWeights.Experts experts) {
        ExpertFormat first = formatOf(experts.up().getFirst());
        for (List<LinearWeight> matrices : List.of(experts.up(), experts.down())) {
            for (int expert = 0; expert < matrices.size(); expert++) {
                ExpertFormat other = formatOf(matrices.get(expert));
                if (other != first) {
                    throw new CudaUnavailableException("layer " + layer + " has experts in " + first + " and expert " + expert
                            + " in " + other + "; the kernels run all experts of a layer in one format");
                }
            }
        }
        return first;
    }

    private static ExpertFormat formatOf(LinearWeight weight) {
        return switch (weight) {
            case LinearWeight.Plain _ -> ExpertFormat.BF16;
            case LinearWeight.Fp8 fp8 -> WeightPlacement.hasInputScale(fp8) ? ExpertFormat.E4M3 : ExpertFormat.E4M3_BF16;
            case LinearWeight.Nvfp4 _ -> ExpertFormat.NVFP4;
        };
    }

    private MoeExperts.Matrices matrices(ExpertFormat format, List<LinearWeight> routed, Optional<LinearWeight> shared) {
        long stride = WeightSink.aligned(WeightPlacement.codes(routed.getFirst()).bytes());
        long codes = sink.reserve(routed.size() * stride);
        for (int expert = 0; expert < routed.size(); expert++) {
            sink.fill(codes + expert * stride, WeightPlacement.codes(routed.get(expert)));
        }
        long sharedCodes = shared.map(weight -> sink.put(WeightPlacement.codes(weight))).orElse(0L);
        long scaleStride = 0;
        long scales = 0;
        if (format == ExpertFormat.NVFP4) {
            scaleStride = WeightSink.aligned(blockScales(routed.getFirst()).bytes());
            scales = sink.reserve(routed.size() * scaleStride);
            for (int expert = 0; expert < routed.size(); expert++) {
                sink.fill(scales + expert * scaleStride, blockScales(routed.get(expert)));
            }
        }
        long sharedScales = format == ExpertFormat.NVFP4
                ? shared.map(weight -> sink.put(blockScales(weight))).orElse(0L)
                : 0;
        List<LinearWeight> units = units(routed, shared);
        return new MoeExperts.Matrices(codes, stride, scales, scaleStride, sharedCodes, sharedScales,
                format == ExpertFormat.BF16 ? 0 : sink.put(new WeightSource.Values(weightScales(units))),
                format == ExpertFormat.E4M3 ? sink.put(new WeightSource.Values(inputScales(units))) : 0);
    }

    private static WeightSource blockScales(LinearWeight weight) {
        return WeightPlacement.blockScales((LinearWeight.Nvfp4) weight);
    }

    /// What a product runs over: the shared expert in pieces as wide as a routed one, then the routed ones.
    private List<LinearWeight> units(List<LinearWeight> routed, Optional<LinearWeight> shared) {
        List<LinearWeight> units = new ArrayList<>();
        shared.ifPresent(weight -> {
            for (int piece = 0; piece < Math.ceilDiv(spec.sharedIntermediate(), spec.intermediate()); piece++) {
                units.add(weight);
            }
        });
        units.addAll(routed);
        return units;
    }

    private static float[] weightScales(List<LinearWeight> units) {
        float[] scales = new float[units.size()];
        for (int unit = 0; unit < scales.length; unit++) {
            scales[unit] = switch (units.get(unit)) {
                case LinearWeight.Plain _ -> 1;
                case LinearWeight.Fp8 fp8 -> fp8.scale();
                case LinearWeight.Nvfp4 nvfp4 -> nvfp4.globalScale();
            };
        }
        return scales;
    }

    private static float[] inputScales(List<LinearWeight> units) {
        float[] scales = new float[units.size()];
        for (int unit = 0; unit < scales.length; unit++) {
            scales[unit] = ((LinearWeight.Fp8) units.get(unit)).inputScale();
        }
        return scales;
    }
}
