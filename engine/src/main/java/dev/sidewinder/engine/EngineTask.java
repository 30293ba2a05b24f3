package dev.sidewinder.engine;

import dev.sidewinder.kvcache.FrameCache;

/// Something short that the engine thread does for another one, between two steps.
interface EngineTask {

    /// @return whether it is done; if not, it is asked again after the next step
    boolean run(FrameCache cache, Backend backend);

    /// The engine has ended before it was done. Any thread.
    void failed(EngineException cause);
}
