package dev.sidewinder.model.checkpoint;

/// Element types of safetensors files that the model family uses.
public enum DType {
    F32(4), F16(2), BF16(2), F8_E4M3(1), U8(1), I8(1), I32(4), I64(8), BOOL(1), F64(8);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    /// Size of one element in bytes.
    public int bytes() {
        return bytes;
    }
}
