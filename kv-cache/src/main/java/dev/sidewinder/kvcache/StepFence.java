package dev.sidewinder.kvcache;

/// Which steps have been launched and which of them have completed. Steps complete in the order of their launch.
final class StepFence {

    private long launched;
    private long completed;

    long launched() {
        return launched;
    }

    long completed() {
        return completed;
    }

    /// Whether no launched step is still under way.
    boolean open() {
        return completed == launched;
    }

    void launch(long step) {
        if (step <= launched) {
            throw new IllegalStateException("launched step " + step + " after step " + launched);
        }
        launched = step;
    }

    void complete(long step) {
        if (step <= completed || step > launched) {
            throw new IllegalStateException("completed step " + step + " where " + completed + " is completed and "
                    + launched + " launched");
        }
        completed = step;
    }
}
