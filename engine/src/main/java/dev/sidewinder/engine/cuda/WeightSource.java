package dev.sidewinder.engine.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.sidewinder.cuda.kernel.SyntheticWeights.Form;
import dev.sidewinder.model.checkpoint.Bf16;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.StoredTensor;
import dev.sidewinder.model.checkpoint.TensorView;
import dev.sidewinder.model.checkpoint.WeightReader;
import dev.sidewinder.model.synthetic.RandomTensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Weights in the form in which they lie on the device.
sealed interface WeightSource {

    long bytes();

    /// What comes from the host. Any part of it can be asked for, by several threads at once.
    sealed interface OnHost extends WeightSource {

        /// Parts begin and end at multiples of this.
        long granuleBytes();

        /// Writes bytes `from` to `from + target.byteSize()`, exclusive.
        ///
        /// @throws dev.sidewinder.model.checkpoint.CheckpointException when a value is none
        void write(long from, MemorySegment target);
    }

    /// A tensor as it is stored.
    static WeightSource stored(TensorView tensor) {
        return tensor.content() instanceof RandomTensor random ? new Drawn(random, storedForm(random)) : new Stored(tensor.data());
    }

    /// A tensor of values widened to fp32.
    static WeightSource widened(TensorView tensor) {
        return tensor.content() instanceof RandomTensor random && random.part() == StoredTensor.Part.VALUES
                ? new Drawn(random, Form.F32) : new WidenedToF32(tensor);
    }

    private static Form storedForm(RandomTensor tensor) {
        return switch (tensor.part()) {
            case VALUES -> tensor.bytes() == tensor.elements() * Short.BYTES ? Form.BF16 : Form.F32;
            case FP8_CODES -> Form.E4M3;
            case NVFP4_CODES -> Form.NVFP4_CODES;
            case BLOCK_SCALES -> Form.NVFP4_SCALES;
            case SCALE, GLOBAL_SCALE, FP8_INPUT_SCALE, NVFP4_INPUT_SCALE ->
                throw new IllegalArgumentException(tensor + ": a scale is read, and not placed");
        };
    }

    /// Random numbers that the device draws itself, the same ones as the host would: [SyntheticMaker].
    record Drawn(RandomTensor tensor, Form form) implements WeightSource {

        @Override
        public long bytes() {
            return switch (form) {
                case BF16 -> tensor.elements() * Short.BYTES;
                case F32 -> tensor.elements() * Float.BYTES;
                case E4M3, NVFP4_CODES, NVFP4_SCALES -> tensor.bytes();
            };
        }
    }

    /// Bytes as they are stored.
    record Stored(MemorySegment data) implements OnHost {

        @Override
        public long bytes() {
            return data.byteSize();
        }

        @Override
        public long granuleBytes() {
            return 1;
        }

        @Override
        public void write(long from, MemorySegment target) {
            MemorySegment.copy(data, from, target, 0, target.byteSize());
        }
    }

    /// The e4m3 codes of an FP8 matrix, or the block scales of an NVFP4 one, as they are stored. Quantising never makes a
    /// NaN: where there is one the file is damaged, and [WeightReader] says where.
    ///
    /// @param data     one row behind the other
    /// @param rowBytes of a row
    record E4m3(LinearWeight weight, MemorySegment data, long rowBytes) implements OnHost {

        private static final long MAGNITUDES = 0x7F7F_7F7F_7F7F_7F7FL;
        private static final long ONES = 0x0101_0101_0101_0101L;

        @Override
        public long bytes() {
            return data.byteSize();
        }

        @Override
        public long granuleBytes() {
            return rowBytes;
        }

        @Override
        public void write(long from, MemorySegment target) {
            MemorySegment.copy(data, from, target, 0, target.byteSize());
            if (hasNaN(target)) {
                findNaN(from / rowBytes, target.byteSize() / rowBytes);
            }
        }

        /// Of all magnitudes only that of NaN, 0x7F, carries into bit 7 when 1 is added; none carries further.
        static boolean hasNaN(MemorySegment codes) {
            long carries = 0;
            long whole = codes.byteSize() / Long.BYTES * Long.BYTES;
            for (long at = 0; at < whole; at += Long.BYTES) {
                carries |= (codes.get(JAVA_LONG_UNALIGNED, at) & MAGNITUDES) + ONES;
            }
            for (long at = whole; at < codes.byteSize(); at++) {
                carries |= (codes.get(ValueLayout.JAVA_BYTE, at) & 0x7F) + 1;
            }
            return (carries & ~MAGNITUDES) != 0;
        }

        private void findNaN(long firstRow, long rows) {
            var reader = new WeightReader();
            float[] values = new float[weight.inputs()];
            for (long row = firstRow; row < firstRow + rows; row++) {
                reader.readRow(weight, Math.toIntExact(row), values, 0);
            }
            throw new IllegalStateException("a NaN among e4m3 codes that the reader of rows does not see: " + weight);
        }
    }

    /// A matrix rounded to bf16, for formats that no kernel takes.
    record RoundedToBf16(LinearWeight weight) implements OnHost {

        @Override
        public long bytes() {
            return weight.outputs() * granuleBytes();
        }

        @Override
        public long granuleBytes() {
            return (long) weight.inputs() * Short.BYTES;
        }

        @Override
        public void write(long from, MemorySegment target) {
            var reader = new WeightReader();
            float[] values = new float[weight.inputs()];
            int row = Math.toIntExact(from / granuleBytes());
            for (long at = 0; at < target.byteSize(); at += granuleBytes()) {
                reader.readRow(weight, row++, values, 0);
                for (int i = 0; i < values.length; i++) {
                    target.set(JAVA_SHORT, at + (long) i * Short.BYTES, Bf16.encode(values[i]));
                }
            }
        }
    }

    /// A tensor widened to fp32.
    record WidenedToF32(TensorView tensor) implements OnHost {

        @Override
        public long bytes() {
            return tensor.elements() * Float.BYTES;
        }

        @Override
        public long granuleBytes() {
            return Float.BYTES;
        }

        @Override
        public void write(long from, MemorySegment target) {
            float[] values = new float[Math.toIntExact(target.byteSize() / Float.BYTES)];
            new WeightReader().read(tensor, from / Float.BYTES, values.length, values, 0);
            MemorySegment.copy(values, 0, target, JAVA_FLOAT, 0, values.length);
        }
    }

    /// Numbers that were computed.
    record Values(float[] values) implements OnHost {

        @Override
        public long bytes() {
            return (long) values.length * Float.BYTES;
        }

        @Override
        public long granuleBytes() {
            return Float.BYTES;
        }

        @Override
        public void write(long from, MemorySegment target) {
            MemorySegment.copy(values, Math.toIntExact(from / Float.BYTES), target, JAVA_FLOAT, 0,
                    Math.toIntExact(target.byteSize() / Float.BYTES));
        }
    }
}
