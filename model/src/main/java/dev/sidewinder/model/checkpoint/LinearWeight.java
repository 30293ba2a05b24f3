package dev.sidewinder.model.checkpoint;

/// The weight of one linear map `y = x Wᵀ`, `[outputs, inputs]`, in the number format it is stored in.
///
/// Number formats are data: the layers of a backend are the same for all of them.
public sealed interface LinearWeight {

    int outputs();

    int inputs();

    /// BF16, F16 or F32 values, `[outputs, inputs]`, from element `offset` of `tensor` on (fused expert tensors hold
    /// many matrices).
    record Plain(TensorView tensor, long offset, int outputs, int inputs) implements LinearWeight {}

    /// FP8 (E4M3) codes; `value = code x scale`.
    ///
    /// @param inputScale static activation scale of the publisher's recipe; NaN when the file has none
    record Fp8(TensorView tensor, long offset, int outputs, int inputs, float scale, float inputScale)
            implements LinearWeight {}

    /// NVFP4: two E2M1 codes per byte (low nibble = even column), one E4M3 scale per 16 columns, one global factor;
    /// `value = e2m1(code) x blockScale x globalScale`.
    ///
    /// @param codes       U8 `[outputs, inputs / 2]`
    /// @param blockScales F8_E4M3 `[outputs, inputs / 16]`
    /// @param inputScale  activation scale of W4A4 exports; NaN when the file has none
    record Nvfp4(TensorView codes, TensorView blockScales, int outputs, int inputs, float globalScale,
            float inputScale) implements LinearWeight {}
}
