package dev.sidewinder.cuda.kernel;

/// Where the state of one layer lies in the slots of all sequences: `base + slot * slotStride + offset`, in bytes.
///
/// | at                | shape                        | type                               |
/// |-------------------|------------------------------|------------------------------------|
/// | `historyOffset`   | `[taps - 1, channels]`       | fp32 raw inputs, oldest first      |
/// | `recurrentOffset` | `[heads, headDim, stateDim]` | fp32                               |
///
/// At position 0 a state is taken as zero, whatever the slot holds.
public record MambaState(long base, long slotStride, long historyOffset, long recurrentOffset) {

    private static final int ALIGNMENT = 16;

    public MambaState {
        if (base % ALIGNMENT != 0 || slotStride % ALIGNMENT != 0 || historyOffset % ALIGNMENT != 0
                || recurrentOffset % ALIGNMENT != 0) {
            throw new IllegalArgumentException("state slots at 0x%x, every %d bytes, with parts at %d and %d; all are multiples of %d"
                    .formatted(base, slotStride, historyOffset, recurrentOffset, ALIGNMENT));
        }
    }
}
