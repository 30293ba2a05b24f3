package dev.sidewinder.cuda.device;

import jcuda.driver.JCudaDriver;

/// Work that was recorded once and runs with one call. Made by [Stream#capture]; it holds addresses, so the memory it
/// names must outlive it.
public final class CudaGraph implements AutoCloseable {

    private final Device device;
    private Handles.ExecutableHandle executable;
    private boolean closed;

    private CudaGraph(Device device, Handles.ExecutableHandle executable) {
        this.device = device;
        this.executable = executable;
    }

    /// Takes over `graph` and destroys it.
    static CudaGraph instantiate(Device device, Handles.GraphHandle graph) {
        try {
            CudaGraph result = new CudaGraph(device, executable(device, graph));
            device.things().add(result, result::release);
            return result;
        } finally {
            device.release("cuGraphDestroy", JCudaDriver.cuGraphDestroy(graph));
        }
    }

    private static Handles.ExecutableHandle executable(Device device, Handles.GraphHandle graph) {
        Handles.ExecutableHandle executable = new Handles.ExecutableHandle();
        device.check("cuGraphInstantiate", JCudaDriver.cuGraphInstantiate(executable, graph, 0L));
        return executable;
    }

    public void launch(Stream stream) {
        enter();
        device.check("cuGraphLaunch", JCudaDriver.cuGraphLaunch(executable, stream.handle()));
    }

    /// Brings the graph to the device ahead of its first launch, which is then as quick as the others.
    public void upload(Stream stream) {
        enter();
        device.check("cuGraphUpload", JCudaDriver.cuGraphUpload(executable, stream.handle()));
    }

    /// Records `work` again and takes over its arguments. Where it has the form that was recorded before this is cheap;
    /// otherwise the graph is made anew. No launch may be under way.
    public void update(Stream stream, Runnable work) {
        enter();
        Handles.GraphHandle graph = stream.recordGraph(work);
        try {
            if (!device.calls().update(executable.address(), graph.address())) {
                Handles.ExecutableHandle before = executable;
                executable = executable(device, graph);
                device.release("cuGraphExecDestroy", JCudaDriver.cuGraphExecDestroy(before));
            }
        } finally {
            device.release("cuGraphDestroy", JCudaDriver.cuGraphDestroy(graph));
        }
    }

    private void enter() {
        device.enter();
        if (closed) {
            throw new IllegalStateException(this + " is closed");
        }
    }

    /// A second call does nothing, nor does one after the device was closed.
    @Override
    public void close() {
        device.close(this);
    }

    private void release() {
        closed = true;
        device.release("cuGraphExecDestroy", JCudaDriver.cuGraphExecDestroy(executable));
    }

    @Override
    public String toString() {
        return "graph";
    }
}
