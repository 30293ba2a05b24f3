package dev.sidewinder.server.api;

/// Whether the model must call one of its tools.
public sealed interface ToolChoice {

    /// Where it wants to.
    record Auto() implements ToolChoice {}

    /// At least one call, and nothing but calls.
    record Required() implements ToolChoice {}

    /// One call, of this function.
    record Named(String name) implements ToolChoice {}

    ToolChoice AUTO = new Auto();
    ToolChoice REQUIRED = new Required();

    /// Whether the answer is to be a call.
    default boolean forced() {
        return !(this instanceof Auto);
    }
}
