package dev.sidewinder.model.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// Reads weights of any number format as floats, a row at a time.
///
/// Copies a row into a scratch array and decodes from there: both loops are plain and run at memory speed. Holds scratch,
/// so one per thread.
public final class WeightReader {

    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final float[] E4M3 = E4m3.table();

    private short[] shorts = new short[0];
    private byte[] bytes = new byte[0];
    private byte[] scales = new byte[0];

    /// Reads row `row` of a matrix into `into[at, at + inputs)`.
    ///
    /// @throws CheckpointException when an FP8 weight or a block scale of the row is NaN: quantising never makes one, so
    ///                             the file is damaged
    public void readRow(LinearWeight weight, int row, float[] into, int at) {
        if (row < 0 || row >= weight.outputs()) {
            throw new IndexOutOfBoundsException("row " + row + " of " + weight.outputs());
        }
        switch (weight) {
            case LinearWeight.Plain plain -> read(plain.tensor(), plain.offset() + (long) row * plain.inputs(),
                    plain.inputs(), into, at);
            case LinearWeight.Fp8 fp8 -> readFp8(fp8, row, into, at);
            case LinearWeight.Nvfp4 nvfp4 -> readNvfp4(nvfp4, row, into, at);
        }
    }

    /// Reads `count` elements of an unquantised tensor from element `from` on.
    ///
    /// @param tensor BF16, F16 or F32
    public void read(TensorView tensor, long from, int count, float[] into, int at) {
        switch (tensor.type()) {
            case BF16 -> {
                short[] row = shorts(tensor.data(), from, count);
                for (int i = 0; i < count; i++) {
                    into[at + i] = Float.intBitsToFloat(row[i] << 16);
                }
            }
            case F16 -> {
                short[] row = shorts(tensor.data(), from, count);
                for (int i = 0; i < count; i++) {
                    into[at + i] = Float.float16ToFloat(row[i]);
                }
            }
            case F32 -> MemorySegment.copy(tensor.data(), FLOAT, from * Float.BYTES, into, at, count);
            case F8_E4M3, U8, I8, I32, I64, BOOL, F64 -> throw new IllegalArgumentException(
                    "tensor " + tensor.name() + " is " + tensor.type() + ", no plain weight");
        }
    }

    /// All elements of a small unquantised tensor (a norm, a bias, the parameters of the recurrence), widened.
    public static float[] vector(TensorView tensor) {
        float[] values = new float[Math.toIntExact(tensor.elements())];
        new WeightReader().read(tensor, 0, values.length, values, 0);
        return values;
    }

    private void readFp8(LinearWeight.Fp8 weight, int row, float[] into, int at) {
        int count = weight.inputs();
        bytes = room(bytes, count);
        MemorySegment.copy(weight.tensor().data(), ValueLayout.JAVA_BYTE, weight.offset() + (long) row * count, bytes,
                0, count);
        checkNumbers(weight, row);
        float scale = weight.scale();
        for (int i = 0; i < count; i++) {
            into[at + i] = E4M3[bytes[i] & 0xFF] * scale;
        }
    }

    /// Looks at the codes of a row before they are decoded: one loop without branches, far below the time of decoding.
    private void checkNumbers(LinearWeight.Fp8 weight, int row) {
        int carry = 0;
        for (int i = 0; i < weight.inputs(); i++) {
            // of all magnitudes only that of NaN, 0x7F, carries into bit 7
            carry |= (bytes[i] & 0x7F) + 1;
        }
        if ((carry & 0x80) == 0) {
            return;
        }
        int column = 0;
        while (!E4m3.isNaN(bytes[column])) {
            column++;
        }
        throw new CheckpointException("tensor \"" + weight.tensor().name() + "\" has the FP8 weight NaN (code 0x"
                + Integer.toHexString(bytes[column] & 0xFF) + ") at element "
                + (weight.offset() + (long) row * weight.inputs() + column) + ", row " + row + ", column " + column
                + "; the file is damaged");
    }

    private void readNvfp4(LinearWeight.Nvfp4 weight, int row, float[] into, int at) {
        int count = weight.inputs();
        int blocks = count / Nvfp4.BLOCK;
        bytes = room(bytes, count / 2);
        scales = room(scales, blocks);
        MemorySegment.copy(weight.codes().data(), ValueLayout.JAVA_BYTE, (long) row * (count / 2), bytes, 0, count / 2);
        MemorySegment.copy(weight.blockScales().data(), ValueLayout.JAVA_BYTE, (long) row * blocks, scales, 0, blocks);
        for (int block = 0; block < blocks; block++) {
            if (E4m3.isNaN(scales[block])) {
                throw new CheckpointException("tensor \"" + weight.blockScales().name() + "\" has the scale NaN at row "
                        + row + ", block " + block);
            }
        }
        Nvfp4.decodeRow(bytes, scales, weight.globalScale(), count, into, at);
    }

    private short[] shorts(MemorySegment data, long from, int count) {
        if (shorts.length < count) {
            shorts = new short[count];
        }
        MemorySegment.copy(data, SHORT, from * Short.BYTES, shorts, 0, count);
        return shorts;
    }

    private static byte[] room(byte[] array, int count) {
        return array.length < count ? new byte[count] : array;
    }
}
