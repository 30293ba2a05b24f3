package dev.sidewinder.engine.cpu;

import java.util.HashMap;
import java.util.Map;

/// Buffers of activations, planned while the layers are built and shared by all layers: one layer runs at a time, and
/// none leaves anything in a buffer that a later one reads.
final class Workspace {

    private final NativeMemory memory;
    private final CpuMath math;
    private final ProductForms forms;
    private final int maxRows;
    private final Map<String, SourceRows> sources = new HashMap<>();
    private final Map<String, float[]> floats = new HashMap<>();

    Workspace(NativeMemory memory, CpuMath math, ProductForms forms, int maxRows) {
        this.memory = memory;
        this.math = math;
        this.forms = forms;
        this.maxRows = maxRows;
    }

    /// Sources of a product, `copies` rows for every token of the largest batch.
    SourceRows sources(String role, int copies, int width) {
        return sources(role, forms.usual(), copies, width);
    }

    /// The same for products whose sources must be kept more exactly.
    SourceRows exactSources(String role, int width) {
        return sources(role, forms.exact(), 1, width);
    }

    /// The same in fp32, whatever the arithmetic.
    SourceRows floatSources(String role, int width) {
        return sources(role, SourceRows.Form.FLOAT, 1, width);
    }

    private SourceRows sources(String role, SourceRows.Form form, int copies, int width) {
        return sources.computeIfAbsent(role + " " + form + " " + copies + " x " + width,
                key -> new SourceRows(memory, math, form, Math.multiplyExact(maxRows, copies), width));
    }

    /// `copies x width` floats for every token of the largest batch.
    float[] floats(String role, int copies, int width) {
        return floats.computeIfAbsent(role + " " + copies + " x " + width,
                key -> new float[Math.multiplyExact(Math.multiplyExact(maxRows, copies), width)]);
    }
}
