package dev.sidewinder.cuda.device;

import static jcuda.cudaDataType.CUDA_R_16BF;
import static jcuda.cudaDataType.CUDA_R_32F;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Optional;
import jcuda.Pointer;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasComputeType;
import jcuda.jcublas.cublasGemmAlgo;
import jcuda.jcublas.cublasHandle;
import jcuda.jcublas.cublasOperation;
import jcuda.runtime.cudaStream_t;

/// cuBLAS as the second opinion for products in bf16, where its library is present: of CUDA 12, or of CUDA 13.
///
/// Its order of sums depends on the number of rows, so it has no place in batch-invariant work. Belongs to the device's
/// thread and closes before the device.
public final class Blas implements AutoCloseable {

    /// What NVIDIA recommends on Hopper. Given to the library once, so that it allocates nothing in a step or a capture.
    private static final long WORKSPACE_BYTES = 32L << 20;

    private final Device device;
    private final DeviceBuffer workspace;
    private final cublasHandle handle = new cublasHandle();
    private final Arena arena = Arena.ofShared();
    private final Pointer one = scalar(1);
    private final Pointer zero = scalar(0);
    private final int version;
    private boolean closed;

    private Blas(Device device) {
        this.device = device;
        check("cublasCreate", JCublas2.cublasCreate(handle));
        int[] number = new int[1];
        check("cublasGetVersion", JCublas2.cublasGetVersion(handle, number));
        version = number[0];
        workspace = device.allocate(WORKSPACE_BYTES);
        device.things().add(this, this::release);
    }

    /// Opens the system's cuBLAS.
    ///
    /// @throws CudaUnavailableException saying why there is none
    public static Blas open(Device device) {
        return open(device, Optional.empty());
    }

    /// Opens the cuBLAS at `library`, or the system's.
    ///
    /// @throws CudaUnavailableException saying why it cannot be used
    public static Blas open(Device device, Optional<Path> library) {
        device.enter();
        BlasLibrary.load(library);
        return new Blas(device);
    }

    /// The library's version, for example 130100 for 13.1.0.
    public int version() {
        return version;
    }

    /// What a product writes.
    public enum Result {
        /// fp32, replacing what was there.
        F32(CUDA_R_32F),
        /// fp32, added to what is there.
        ADDED_TO_F32(CUDA_R_32F),
        /// bf16, rounded once from the fp32 sum.
        BF16(CUDA_R_16BF);

        private final int type;

        Result(int type) {
            this.type = type;
        }
    }

    /// `y[m, n] = sum over k of x[m, k] w[n, k]`, sums in fp32.
    ///
    /// @param y `[rows, columns]`, of the type that `result` names
    /// @param x bf16 `[rows, inner]`
    /// @param w bf16 `[columns, inner]`
    public record Product(long y, Result result, long x, long w, int rows, int columns, int inner) {

        public Product {
            if (rows < 1 || columns < 1 || inner < 1 || y == 0 || x == 0 || w == 0) {
                throw new IllegalArgumentException(
                        "a product of %d x %d by %d x %d; sizes are at least 1, and no address is 0 (y 0x%x, x 0x%x, w 0x%x)"
                                .formatted(rows, inner, columns, inner, y, x, w));
            }
        }
    }

    /// Gives a product to the stream. Buffers stay alive until the stream has passed.
    public void multiply(Stream stream, Product product) {
        device.enter();
        if (closed) {
            throw new IllegalStateException("cuBLAS is closed");
        }
        // Both calls set fields of the handle. The stream first: setting it takes the workspace back to the library's own.
        check("cublasSetStream", JCublas2.cublasSetStream(handle, new cudaStream_t(stream.handle())));
        check("cublasSetWorkspace",
                JCublas2.cublasSetWorkspace(handle, Handles.pointer(workspace.address()), WORKSPACE_BYTES));
        // cuBLAS is column-major, so it computes the transpose of y: w as it lies is w transposed. The call by the name of
        // `_new` takes the compute type as it is; the other one takes a data type, and for the compute type 32F it returns
        // "not supported" and says nothing.
        int code = JCublas2.cublasGemmEx_new(handle, cublasOperation.CUBLAS_OP_T, cublasOperation.CUBLAS_OP_N,
                product.columns, product.rows, product.inner,
                one, Handles.pointer(product.w), CUDA_R_16BF, product.inner,
                Handles.pointer(product.x), CUDA_R_16BF, product.inner,
                product.result == Result.ADDED_TO_F32 ? one : zero,
                Handles.pointer(product.y), product.result.type, product.columns,
                cublasComputeType.CUBLAS_COMPUTE_32F, cublasGemmAlgo.CUBLAS_GEMM_DEFAULT);
        if (code != 0) {
            check("cublasGemmEx of " + product, code);
        }
    }

    private Pointer scalar(float value) {
        return Pointer.to(arena.allocateFrom(ValueLayout.JAVA_FLOAT, value).asByteBuffer());
    }

    private static void check(String call, int code) {
        if (code != 0) {
            throw new CudaException(call, code, name(code) + " (" + code + ")");
        }
    }

    /// Source: CUDA 12.4, `cublas_api.h`, `cublasStatus_t`.
    private static String name(int code) {
        return switch (code) {
            case 1 -> "CUBLAS_STATUS_NOT_INITIALIZED";
            case 3 -> "CUBLAS_STATUS_ALLOC_FAILED";
            case 7 -> "CUBLAS_STATUS_INVALID_VALUE";
            case 8 -> "CUBLAS_STATUS_ARCH_MISMATCH";
            case 11 -> "CUBLAS_STATUS_MAPPING_ERROR";
            case 13 -> "CUBLAS_STATUS_EXECUTION_FAILED";
            case 14 -> "CUBLAS_STATUS_INTERNAL_ERROR";
            case 15 -> "CUBLAS_STATUS_NOT_SUPPORTED";
            case 16 -> "CUBLAS_STATUS_LICENSE_ERROR";
            default -> "an unknown status of cuBLAS";
        };
    }

    /// A second call does nothing, nor does one after the device was closed.
    @Override
    public void close() {
        device.close(this);
        workspace.close();
    }

    private void release() {
        closed = true;
        int code = JCublas2.cublasDestroy(handle);
        arena.close();
        if (!device.hasFailed()) {
            check("cublasDestroy", code);
        }
    }

    @Override
    public String toString() {
        return "cuBLAS";
    }
}
