package dev.sidewinder.cuda.kernel;

/// Rows of activations as a projection left them, perhaps as columns of wider rows.
///
/// @param address of the first element of the first row
/// @param stride elements from row to row
public record ActivationRows(long address, Type type, long stride) {

    public enum Type {
        BF16(2), F32(4);

        private final int bytes;

        Type(int bytes) {
            this.bytes = bytes;
        }

        public int bytes() {
            return bytes;
        }
    }

    public ActivationRows {
        if (address == 0 || stride < 1) {
            throw new IllegalArgumentException("activations at 0x%x, %d elements from row to row".formatted(address, stride));
        }
    }

    public static ActivationRows bf16(long address, long stride) {
        return new ActivationRows(address, Type.BF16, stride);
    }

    public static ActivationRows f32(long address, long stride) {
        return new ActivationRows(address, Type.F32, stride);
    }

    /// The rows from one on.
    public ActivationRows from(int row) {
        return new ActivationRows(address + row * stride * type.bytes(), type, stride);
    }

    int isFloat() {
        return type == Type.F32 ? 1 : 0;
    }

    /// Checks that every row begins at a multiple of `elements` elements.
    void checkAligned(String what, int elements) {
        if (address % ((long) elements * type.bytes()) != 0 || stride % elements != 0) {
            throw new IllegalArgumentException("%s at 0x%x, %d elements from row to row; they are read %d elements at a time"
                    .formatted(what, address, stride, elements));
        }
    }
}
