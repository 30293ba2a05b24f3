package dev.sidewinder.engine.cpu;

import dev.sidewinder.model.checkpoint.E4m3;
import dev.sidewinder.model.checkpoint.LinearWeight;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// An FP8 matrix multiplied as a GPU does it: activations are divided by the matrix's static input scale and rounded to
/// e4m3, codes meet codes, sums are fp32, and both scales come last.
///
/// Rows are rounded anew for every tile of the matrix: this is for judging the format, not for speed.
final class Fp8Linear implements Linear {

    private final Linear codes;
    private final float inputScale;
    private final float bothScales;
    private final SourceRows[] rounded;

    /// @param codes   the matrix without its scale
    /// @param rounded [Linear#ROW_BLOCK] fp32 rows of the matrix's width for each worker, overwritten
    Fp8Linear(LinearWeight.Fp8 weight, Linear codes, SourceRows[] rounded) {
        this.codes = codes;
        this.rounded = rounded;
        inputScale = weight.inputScale();
        bothScales = weight.scale() * weight.inputScale();
    }

    /// Whether activations go into products with this matrix as e4m3: the file has a scale for them that can be divided by.
    static boolean isFor(LinearWeight weight) {
        return weight instanceof LinearWeight.Fp8 fp8 && fp8.inputScale() > 0 && !Float.isInfinite(1 / fp8.inputScale());
    }

    @Override
    public int outputs() {
        return codes.outputs();
    }

    @Override
    public int inputs() {
        return codes.inputs();
    }

    /// @param source fp32 rows
    @Override
    public void multiply(int tile, SourceRows source, int firstRow, int rows, MemorySegment result, int worker) {
        SourceRows inCodes = rounded[worker];
        for (long i = 0; i < (long) rows * inputs(); i++) {
            float value = source.data().get(ValueLayout.JAVA_FLOAT, source.at(firstRow) + i * Float.BYTES);
            inCodes.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, E4m3.decode(E4m3.encode(value / inputScale)));
        }
        codes.multiply(tile, inCodes, 0, rows, result, worker);
        for (long i = 0; i < (long) rows * tileColumns(tile); i++) {
            result.setAtIndex(ValueLayout.JAVA_FLOAT, i, result.getAtIndex(ValueLayout.JAVA_FLOAT, i) * bothScales);
        }
    }
}
