package dev.sidewinder.engine.cuda;

/// One layer of the model on the device.
interface CudaLayer {

    /// Adds the layer's result to the residual stream and moves states, keys and values on. Only launches: returns before
    /// anything has run, and may be captured.
    void launch(Pass pass);
}
