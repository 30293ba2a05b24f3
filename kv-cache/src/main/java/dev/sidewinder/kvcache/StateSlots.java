package dev.sidewinder.kvcache;

/// The recurrent-state slots: one per sequence, of fixed size whatever the sequence's length.
public final class StateSlots {

    private final FencedIndices slots;

    StateSlots(int count) {
        this.slots = new FencedIndices("state slot", count);
    }

    /// Slots in all.
    public int size() {
        return slots.size();
    }

    /// Slots nobody holds.
    public int free() {
        return slots.free();
    }

    /// Slots given back that a launched step may still touch.
    public int fenced() {
        return slots.fenced();
    }

    int take() {
        return slots.take();
    }

    void giveBack(int slot, StepFence fence) {
        if (fence.open()) {
            slots.giveBack(slot);
        } else {
            slots.giveBackAfter(slot, fence.launched());
        }
    }

    void completed(long step) {
        slots.completed(step);
    }

    void checkInvariants() {
        slots.checkInvariants();
    }
}
