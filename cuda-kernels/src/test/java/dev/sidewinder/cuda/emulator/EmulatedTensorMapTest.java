package dev.sidewinder.cuda.emulator;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.device.CudaException;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.device.TensorView;
import dev.sidewinder.cuda.kernel.LaunchShape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/// Boxes of tensor maps: what lies in the tensor, zeros for what does not, and the mistakes that a GPU would not forgive.
class EmulatedTensorMapTest {

    private static final int MATRICES = 3;
    private static final int ROWS = 21;
    private static final int ROW_BYTES = 200;
    private static final int ROW_STRIDE = 208;
    private static final int MATRIX_STRIDE = 23 * ROW_STRIDE;
    private static final int BOX_ROWS = 16;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private final byte[] bytes = new byte[MATRICES * MATRIX_STRIDE];
    private DeviceBuffer tensor;

    @BeforeEach
    void upload() {
        new Random(7).nextBytes(bytes);
        Device device = emulator.device();
        tensor = device.allocate(bytes.length);
        try (Arena arena = Arena.ofConfined()) {
            device.stream().copyToDevice(tensor.address(), arena.allocateFrom(JAVA_BYTE, bytes), bytes.length);
            device.stream().synchronize();
        }
    }

    @AfterEach
    void free() {
        tensor.close();
    }

    private TensorView view() {
        return new TensorView(tensor.address(), ROW_BYTES, ROWS, MATRICES, ROW_STRIDE, MATRIX_STRIDE, BOX_ROWS);
    }

    private byte[] box(TensorView view, int x, int row, int matrix, int fault) {
        Device device = emulator.device();
        try (DeviceBuffer out = device.allocate(view.boxRows() * 128L); Arena arena = Arena.ofConfined()) {
            emulator.kernels().get("emulator_warpgroup", "tensor_box").arguments().pointer(out.address()).tensor(view)
                    .int32(view.boxRows()).int32(x).int32(row).int32(matrix).int32(fault)
                    .launch(device.stream(), LaunchShape.of(1, 128).withShared(2048 + view.boxRows() * 128));
            MemorySegment host = arena.allocate(out.bytes());
            device.stream().copyToHost(host, out.address(), out.bytes());
            device.stream().synchronize();
            return host.toArray(JAVA_BYTE);
        }
    }

    private byte[] expected(int x, int row, int matrix) {
        byte[] box = new byte[BOX_ROWS * 128];
        for (int i = 0; i < box.length; i++) {
            int column = x + i % 128;
            int y = row + i / 128;
            boolean inside = column >= 0 && column < ROW_BYTES && y >= 0 && y < ROWS && matrix >= 0 && matrix < MATRICES;
            box[i] = inside ? bytes[matrix * MATRIX_STRIDE + y * ROW_STRIDE + column] : 0;
        }
        return box;
    }

    @Test
    void aBoxHasWhatLiesInsideAndZerosElsewhere() {
        // inside; over every edge, the corner too; rows that lie between two matrices; quite outside
        int[][] places = {{0, 0, 0}, {3, 5, 1}, {72, 5, 2}, {73, 5, 0}, {-17, 2, 1}, {0, 6, 0}, {128, 20, 1}, {0, -15, 0}, {199, -3, 2},
                {200, 0, 0}, {0, 21, 1}, {-128, 0, 0}, {0, 0, 3}, {0, 0, -1}, {0, -16, 2}};
        for (int[] place : places) {
            assertThat(box(view(), place[0], place[1], place[2], 0)).as(Arrays.toString(place))
                    .isEqualTo(expected(place[0], place[1], place[2]));
        }
    }

    @Test
    void aBoxThatNobodyWaitedForIsNaN() {
        byte[] box = box(view(), 0, 0, 0, 1);
        for (byte b : box) {
            assertThat(b).isEqualTo((byte) 0xff);
        }
    }

    @Test
    void aTargetThatIsNotAlignedIsReported() {
        assertThatThrownBy(() -> box(view(), 0, 0, 0, 2)).isInstanceOf(CudaException.class)
                .hasMessageContaining("tensor_copy in emulator_warpgroup.cu").hasMessageContaining("is not a multiple of 1024");
    }

    @Test
    void bytesThatNeverComeAreReported() {
        assertThatThrownBy(() -> box(view(), 0, 0, 0, 3)).isInstanceOf(CudaException.class)
                .hasMessageContaining("no thread can go on").hasMessageContaining("16 bytes missing");
    }

    @Test
    void aTensorThatReachesBeyondItsMemoryIsReported() {
        TensorView longer = new TensorView(tensor.address(), ROW_BYTES, 30 * ROWS, 1, ROW_STRIDE, 30L * ROWS * ROW_STRIDE, BOX_ROWS);
        assertThat(box(longer, 0, 0, 0, 0)).isEqualTo(expected(0, 0, 0));
        assertThatThrownBy(() -> box(longer, 0, 28 * ROWS, 0, 0)).isInstanceOf(CudaException.class)
                .hasMessageContaining("tensor_copy").hasMessageContaining("are not in one allocation");
    }

    @Test
    void theDriverRefusesStridesBeyondItsLimit() {
        TensorView far = new TensorView(tensor.address(), ROW_BYTES, 1, 2, 1L << 40, 1L << 40, BOX_ROWS);
        assertThatThrownBy(() -> box(far, 0, 0, 0, 0)).isInstanceOf(CudaException.class)
                .hasMessageContaining("cuTensorMapEncodeTiled of TensorView[").hasMessageContaining("below 2^40");
    }

    @Test
    void aViewIsOfWholePieces() {
        assertThatThrownBy(() -> TensorView.of(4_104, 3, 32, 64)).hasMessageContaining("at 0x1008");
        assertThatThrownBy(() -> TensorView.of(4_096, 3, 40, 64)).hasMessageContaining("120 and 40 bytes apart");
        assertThatThrownBy(() -> TensorView.of(4_096, 3, 32, 257)).hasMessageContaining("boxes of 257 rows");
        assertThatThrownBy(() -> TensorView.of(0, 3, 32, 64)).hasMessageContaining("at 0x0");
        assertThatThrownBy(() -> new TensorView(4_096, 32, 4, 2, 32, 112, 64)).hasMessageContaining("112 and 32 bytes apart");
        assertThatThrownBy(() -> new TensorView(4_096, 32, 4, 2, 32, 136, 64)).hasMessageContaining("136 and 32 bytes apart");
    }
}
