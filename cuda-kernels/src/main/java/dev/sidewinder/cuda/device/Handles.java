package dev.sidewinder.cuda.device;

import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUstream;

/// JCuda's opaque objects with the numbers inside them readable: our own bindings speak in numbers.
final class Handles {

    private static final CUdeviceptr ZERO = new CUdeviceptr();

    private Handles() {
    }

    /// A device address as JCuda wants it.
    static CUdeviceptr pointer(long address) {
        return ZERO.withByteOffset(address);
    }

    static final class DeviceHandle extends CUdevice {
        int number() {
            return (int) getNativePointer();
        }
    }

    static final class DevicePointer extends CUdeviceptr {
        long address() {
            return getNativePointer();
        }
    }

    static final class StreamHandle extends CUstream {
        long address() {
            return getNativePointer();
        }
    }

    static final class FunctionHandle extends CUfunction {
        long address() {
            return getNativePointer();
        }
    }

    static final class GraphHandle extends CUgraph {
        long address() {
            return getNativePointer();
        }
    }

    static final class ExecutableHandle extends CUgraphExec {
        long address() {
            return getNativePointer();
        }
    }
}
