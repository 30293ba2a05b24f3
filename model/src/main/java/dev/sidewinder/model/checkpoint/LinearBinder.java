package dev.sidewinder.model.checkpoint;

import dev.sidewinder.model.config.QuantizationConfig;
import dev.sidewinder.model.config.QuantizationConfig.Format;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Optional;

/// Decides how each linear map is stored: by the tensors that are there, never by a model's name. What the quantisation
/// configs say must agree.
///
/// | tensors beside `X.weight`             | format         |
/// |---------------------------------------|----------------|
/// | `X.weight_scale_2`, `X.weight_scale`  | NVFP4          |
/// | `X.weight_scale`, and weight F8_E4M3  | FP8            |
/// | none                                  | BF16, F16, F32 |
final class LinearBinder {

    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final TensorLookup tensors;
    private final List<QuantizationConfig> quantization;

    LinearBinder(TensorLookup tensors, List<QuantizationConfig> quantization) {
        this.tensors = tensors;
        this.quantization = quantization;
    }

    LinearWeight bind(Parameter parameter) {
        TensorView weight = tensors.require(parameter);
        String module = parameter.module();
        Optional<TensorView> blockOrTensorScale = tensors.find(module + ".weight_scale");
        Optional<TensorView> globalScale = tensors.find(module + ".weight_scale_2");
        LinearWeight bound;
        if (globalScale.isPresent()) {
            bound = nvfp4(parameter, weight, blockOrTensorScale, globalScale.get());
        } else if (blockOrTensorScale.isPresent()) {
            bound = fp8(parameter, weight, blockOrTensorScale.get());
        } else {
            bound = plain(parameter, weight);
        }
        compare(module, bound);
        return bound;
    }

    /// Matrix `expert` of a fused 3-D tensor.
    LinearWeight slice(TensorView fused, Parameter one, int experts, int expert) {
        tensors.requireType(fused, one, DType.BF16, DType.F16, DType.F32);
        tensors.requireShape(fused, one, List.of((long) experts, one.shape().get(0), one.shape().get(1)));
        int outputs = Math.toIntExact(one.shape().get(0));
        int inputs = Math.toIntExact(one.shape().get(1));
        var matrix = new LinearWeight.Plain(fused, (long) expert * outputs * inputs, outputs, inputs);
        compare(TensorNames.canonical(fused.name()), matrix);
        return matrix;
    }

    /// The value of a scalar F32 tensor, if it is there.
    Optional<Float> scale(String name) {
        return tensors.find(name).map(this::scale);
    }

    private LinearWeight plain(Parameter parameter, TensorView weight) {
        if (weight.type() == DType.F8_E4M3 || weight.type() == DType.U8) {
            throw new CheckpointException(tensors.describe(weight) + ", but there is no \"" + parameter.module()
                    + ".weight_scale" + (weight.type() == DType.U8 ? "_2" : "")
                    + "\": a quantised weight is worthless without its scales");
        }
        tensors.requireType(weight, parameter, DType.BF16, DType.F16, DType.F32);
        tensors.requireShape(weight, parameter, parameter.shape());
        return new LinearWeight.Plain(weight, 0, outputs(parameter), inputs(parameter));
    }

    private LinearWeight fp8(Parameter parameter, TensorView weight, TensorView scale) {
        tensors.requireType(weight, parameter, DType.F8_E4M3);
        tensors.requireShape(weight, parameter, parameter.shape());
        return new LinearWeight.Fp8(weight, 0, outputs(parameter), inputs(parameter), scale(scale),
                inputScale(parameter));
    }

    private LinearWeight nvfp4(Parameter parameter, TensorView weight, Optional<TensorView> blockScales,
            TensorView globalScale) {
        long outputs = outputs(parameter);
        long inputs = inputs(parameter);
        TensorView scales = blockScales.orElseThrow(() -> new CheckpointException(tensors.describe(globalScale)
                + ", but there is no \"" + parameter.module() + ".weight_scale\""));
        if (inputs % Nvfp4.BLOCK != 0) {
            throw new CheckpointException(tensors.describe(weight) + ": NVFP4 needs rows of a multiple of "
                    + Nvfp4.BLOCK + " columns, this map has " + inputs);
        }
        tensors.requireType(weight, parameter, DType.U8);
        tensors.requireShape(weight, parameter, List.of(outputs, inputs / 2));
        tensors.requireType(scales, parameter, DType.F8_E4M3);
        tensors.requireShape(scales, parameter, List.of(outputs, inputs / Nvfp4.BLOCK));
        return new LinearWeight.Nvfp4(weight, scales, (int) outputs, (int) inputs, scale(globalScale),
                inputScale(parameter));
    }

    private float inputScale(Parameter parameter) {
        return scale(parameter.module() + ".input_scale").orElse(Float.NaN);
    }

    private float scale(TensorView tensor) {
        if (tensor.type() != DType.F32 || tensor.elements() != 1) {
            throw new CheckpointException(tensors.describe(tensor) + "; expected F32 [], one scale for the whole matrix");
        }
        float value = tensor.data().get(FLOAT, 0);
        if (!(value >= 0) || Float.isInfinite(value)) {
            throw new CheckpointException(tensors.describe(tensor) + " and holds " + value
                    + "; a scale is finite and not negative");
        }
        return value;
    }

    private void compare(String module, LinearWeight bound) {
        Format found = switch (bound) {
            case LinearWeight.Plain _ -> Format.PLAIN;
            case LinearWeight.Fp8 _ -> Format.FP8;
            case LinearWeight.Nvfp4 _ -> Format.NVFP4;
        };
        for (QuantizationConfig config : quantization) {
            Format stated = config.expected(module);
            if (stated != found) {
                throw new CheckpointException(config.file() + ": says that \"" + module + "\" is " + stated
                        + ", but its tensors are " + found);
            }
        }
    }

    private static int outputs(Parameter parameter) {
        return Math.toIntExact(parameter.shape().get(0));
    }

    private static int inputs(Parameter parameter) {
        return Math.toIntExact(parameter.shape().get(1));
    }
}
