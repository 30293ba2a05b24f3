package dev.sidewinder.engine.cpu;

/// In which form activations go into products.
///
/// Rounding in front of the Mamba projections reaches further than elsewhere: the recurrence carries it through the whole
/// sequence, and routers downstream turn near ties into other experts. On the golden prompts, sources rounded to one bf16
/// before every product gave a divergence of 0.46 on one prompt and 0.04 on another (other experts for the last token),
/// 1e-4 on the rest; with two bf16 values before the Mamba projections it is below 1e-4 on all. Weights are read once
/// either way, so single tokens cost the same; prompts pay twice the arithmetic in these two products.
///
/// @param usual what most products take
/// @param exact what the Mamba projections take
record ProductForms(SourceRows.Form usual, SourceRows.Form exact) {

    static ProductForms of(Arithmetic arithmetic, boolean dnnl) {
        return switch (arithmetic) {
            case F32, FP8 -> new ProductForms(SourceRows.Form.FLOAT, SourceRows.Form.FLOAT);
            case BF16 -> dnnl
                    ? new ProductForms(SourceRows.Form.BF16, SourceRows.Form.BF16_PAIR)
                    : new ProductForms(SourceRows.Form.FLOAT_OF_BF16, SourceRows.Form.FLOAT);
        };
    }
}
