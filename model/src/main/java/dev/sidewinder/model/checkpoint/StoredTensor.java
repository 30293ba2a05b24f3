package dev.sidewinder.model.checkpoint;

import dev.sidewinder.model.config.QuantizationConfig.Format;
import java.util.List;

/// A tensor as it stands in a file: a parameter, or one of the tensors that make up a quantised one.
///
/// @param parameter what it stores, or stores a part of
public record StoredTensor(String name, DType type, List<Long> shape, Parameter parameter, Part part) {

    /// Which part of a parameter a tensor holds.
    public enum Part {
        /// the values themselves
        VALUES,
        /// E4M3 codes
        FP8_CODES,
        /// pairs of E2M1 codes
        NVFP4_CODES,
        /// one E4M3 scale per block of an NVFP4 row
        BLOCK_SCALES,
        /// F32 scale of a whole FP8 matrix
        SCALE,
        /// F32 scale of a whole NVFP4 matrix
        GLOBAL_SCALE,
        /// F32 scale of the activations of an FP8 map
        FP8_INPUT_SCALE,
        /// F32 scale of the activations of an NVFP4 map
        NVFP4_INPUT_SCALE
    }

    public StoredTensor {
        shape = List.copyOf(shape);
    }

    public long bytes() {
        return shape.stream().reduce((long) type.bytes(), Math::multiplyExact);
    }

    /// An unquantised parameter.
    public static StoredTensor plain(Parameter parameter, DType type) {
        return new StoredTensor(parameter.name(), type, parameter.shape(), parameter, Part.VALUES);
    }

    /// The tensors that store a linear map.
    ///
    /// @param inputScale whether the scale of the activations is stored beside a quantised weight
    public static List<StoredTensor> linear(Parameter parameter, Format format, boolean inputScale) {
        long outputs = parameter.shape().get(0);
        long inputs = parameter.shape().get(1);
        return switch (format) {
            case PLAIN -> List.of(plain(parameter, DType.BF16));
            case FP8 -> {
                var codes = new StoredTensor(parameter.name(), DType.F8_E4M3, parameter.shape(), parameter,
                        Part.FP8_CODES);
                var scale = scalar(parameter, "weight_scale", Part.SCALE);
                yield inputScale ? List.of(codes, scale, scalar(parameter, "input_scale", Part.FP8_INPUT_SCALE))
                        : List.of(codes, scale);
            }
            case NVFP4 -> {
                if (inputs % Nvfp4.BLOCK != 0) {
                    throw new CheckpointException("tensor \"" + parameter.name() + "\" " + parameter.shape()
                            + " cannot be stored as NVFP4: its rows are no multiple of " + Nvfp4.BLOCK + " columns");
                }
                var codes = new StoredTensor(parameter.name(), DType.U8, List.of(outputs, inputs / 2), parameter,
                        Part.NVFP4_CODES);
                var blocks = new StoredTensor(parameter.module() + ".weight_scale", DType.F8_E4M3,
                        List.of(outputs, inputs / Nvfp4.BLOCK), parameter, Part.BLOCK_SCALES);
                var global = scalar(parameter, "weight_scale_2", Part.GLOBAL_SCALE);
                yield inputScale
                        ? List.of(codes, blocks, global, scalar(parameter, "input_scale", Part.NVFP4_INPUT_SCALE))
                        : List.of(codes, blocks, global);
            }
        };
    }

    private static StoredTensor scalar(Parameter parameter, String suffix, Part part) {
        return new StoredTensor(parameter.module() + "." + suffix, DType.F32, List.of(), parameter, part);
    }
}
