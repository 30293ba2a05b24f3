package dev.sidewinder.engine.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;

/// A few threads that share the units of one piece of work, and a barrier at its end.
///
/// The caller is worker 0; the others are daemon threads that live as long as the pool. Units are claimed one by one, so
/// which worker computes a unit is open: what a unit computes must not depend on it. Between two pieces of work a worker
/// spins briefly (the next piece of a forward pass is microseconds away) and then sleeps. The caller waits for units, not
/// for workers: one that sleeps too long finds nothing left to do.
final class WorkerPool implements AutoCloseable {

    /// A piece of work, cut into units.
    @FunctionalInterface
    interface Work {
        void run(int unit, int worker);
    }

    /// Some tens of microseconds: longer than the serial parts between two pieces of work, shorter than what another
    /// program on the machine would notice.
    private static final int SPINS_BEFORE_SLEEP = 2_000;

    private final Thread[] threads;
    private final AtomicIntegerArray asleep;
    private volatile Round current;
    private volatile boolean closed;

    WorkerPool(int workers) {
        threads = new Thread[workers - 1];
        asleep = new AtomicIntegerArray(workers);
        for (int i = 0; i < threads.length; i++) {
            int worker = i + 1;
            threads[i] = Thread.ofPlatform().daemon().name("sidewinder-cpu-" + worker).start(() -> serve(worker));
        }
    }

    int workers() {
        return threads.length + 1;
    }

    /// Runs units `0 .. units - 1` and returns when all are done. Not reentrant; one caller at a time.
    ///
    /// @throws RuntimeException or Error: the first that a unit threw, after all units have ended
    void run(int units, Work work) {
        if (closed) {
            throw new IllegalStateException("the worker pool is closed");
        }
        if (units <= 1 || threads.length == 0) {
            for (int unit = 0; unit < units; unit++) {
                work.run(unit, 0);
            }
            return;
        }
        var round = new Round(units, work, Thread.currentThread());
        current = round;
        wakeSleepers();
        round.help(0);
        round.await();
        round.rethrow();
    }

    private void wakeSleepers() {
        for (int i = 0; i < threads.length; i++) {
            if (asleep.get(i + 1) != 0) {
                LockSupport.unpark(threads[i]);
            }
        }
    }

    private void serve(int worker) {
        Round seen = null;
        int spins = 0;
        while (!closed) {
            Round round = current;
            if (round != seen) {
                seen = round;
                spins = 0;
                round.help(worker);
            } else if (spins++ < SPINS_BEFORE_SLEEP) {
                Thread.onSpinWait();
            } else {
                // Announce first, look again, then sleep: whoever publishes after the look sees the announcement.
                asleep.set(worker, 1);
                if (current == seen && !closed) {
                    LockSupport.park(this);
                }
                asleep.set(worker, 0);
            }
        }
    }

    /// Ends the threads and waits for them.
    @Override
    public void close() {
        closed = true;
        for (Thread thread : threads) {
            LockSupport.unpark(thread);
        }
        boolean interrupted = false;
        for (Thread thread : threads) {
            interrupted |= joinWholly(thread);
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private static boolean joinWholly(Thread thread) {
        boolean interrupted = false;
        while (true) {
            try {
                thread.join();
                return interrupted;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
    }

    private static final class Round {
        private final int units;
        private final Work work;
        private final Thread caller;
        private final AtomicInteger next = new AtomicInteger();
        private final AtomicInteger done = new AtomicInteger();
        private final AtomicReference<Throwable> failure = new AtomicReference<>();
        private volatile boolean callerSleeps;

        Round(int units, Work work, Thread caller) {
            this.units = units;
            this.work = work;
            this.caller = caller;
        }

        void help(int worker) {
            for (int unit = next.getAndIncrement(); unit < units; unit = next.getAndIncrement()) {
                try {
                    if (failure.get() == null) {
                        work.run(unit, worker);
                    }
                } catch (RuntimeException | Error e) {
                    failure.compareAndSet(null, e);
                }
                if (done.incrementAndGet() == units && callerSleeps) {
                    LockSupport.unpark(caller);
                }
            }
        }

        void await() {
            int spins = 0;
            while (done.get() < units) {
                if (spins++ < SPINS_BEFORE_SLEEP) {
                    Thread.onSpinWait();
                } else {
                    callerSleeps = true;
                    if (done.get() < units) {
                        LockSupport.park(this);
                    }
                }
            }
        }

        void rethrow() {
            switch (failure.get()) {
                case null -> { }
                case RuntimeException e -> throw e;
                case Error e -> throw e;
                case Throwable e -> throw new IllegalStateException(e);
            }
        }
    }
}
