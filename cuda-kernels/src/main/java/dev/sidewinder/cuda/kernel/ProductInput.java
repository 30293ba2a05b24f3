package dev.sidewinder.cuda.kernel;

/// Where and in which form a kernel leaves activations that a product takes next: device addresses of `[rows, width]`.
public sealed interface ProductInput {

    /// @param address bf16
    record Bf16(long address) implements ProductInput {}

    /// A value is `high + low` to 16 bits, both bf16: docs/decisions/0007.
    record Bf16Pair(long high, long low) implements ProductInput {}

    /// `e4m3(value / inputScale)`, with the static scale of the product's weights.
    record E4m3(long address, float inputScale) implements ProductInput {

        public E4m3 {
            if (!(inputScale > 0) || Float.isInfinite(inputScale)) {
                throw new IllegalArgumentException("activations in e4m3 with the scale " + inputScale + "; it is positive and finite");
            }
        }
    }

    /// The activations from some element on.
    ///
    /// @param elements in front of it: rows times width
    default ProductInput from(long elements) {
        long wide = elements * Short.BYTES;
        return switch (this) {
            case Bf16(long address) -> new Bf16(address + wide);
            case Bf16Pair(long high, long low) -> new Bf16Pair(high + wide, low + wide);
            case E4m3(long address, float inputScale) -> new E4m3(address + elements, inputScale);
        };
    }

    /// Sets the three addresses that kernels take: bf16, low part, e4m3. What is not wanted is 0.
    default Arguments addresses(Arguments arguments) {
        return switch (this) {
            case Bf16(long address) -> arguments.pointer(address).pointer(0).pointer(0);
            case Bf16Pair(long high, long low) -> arguments.pointer(high).pointer(low).pointer(0);
            case E4m3(long address, float _) -> arguments.pointer(0).pointer(0).pointer(address);
        };
    }

    /// What values are multiplied with on their way into e4m3; 1 elsewhere.
    default float inverseScale() {
        return switch (this) {
            case Bf16 _, Bf16Pair _ -> 1;
            case E4m3(long _, float inputScale) -> 1 / inputScale;
        };
    }
}
