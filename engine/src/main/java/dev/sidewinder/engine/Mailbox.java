package dev.sidewinder.engine;

import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;

/// Commands on their way to the engine thread. Bounded by what may be sent: a request is submitted once, on a place of
/// the bounded queue; it and each of its choices is cancelled once; and it is resumed once per pause. Who sends a
/// task waits for it, but for those that give memory of sessions back, and of these there are no more than sessions.
final class Mailbox {

    private final ConcurrentLinkedQueue<Command> commands = new ConcurrentLinkedQueue<>();
    private volatile Thread sleeper;

    /// Any thread.
    void put(Command command) {
        commands.add(command);
        wake();
    }

    /// Ends a sleep of the engine thread, if it sleeps. Any thread.
    void wake() {
        Thread thread = sleeper;
        if (thread != null) {
            LockSupport.unpark(thread);
        }
    }

    /// The oldest command, null when there is none.
    Command poll() {
        return commands.poll();
    }

    /// Sleeps until there is a command or somebody wakes the thread; may return early. Engine thread.
    ///
    /// @param nanos how long at most
    void sleep(long nanos) {
        sleeper = Thread.currentThread();
        // Whoever put a command before seeing the sleeper has put it before this look.
        if (commands.isEmpty()) {
            LockSupport.parkNanos(this, nanos);
        }
        sleeper = null;
    }
}
