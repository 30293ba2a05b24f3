package dev.sidewinder.engine.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class WorkerPoolTest {

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 5})
    void runsEveryUnitOnceAndReturnsWhenAllAreDone(int workers) {
        try (var pool = new WorkerPool(workers)) {
            for (int round = 0; round < 3000; round++) {
                int units = round % 17;
                var ran = new AtomicIntegerArray(17);
                pool.run(units, (unit, worker) -> {
                    assertThat(worker).isBetween(0, workers - 1);
                    ran.incrementAndGet(unit);
                });
                for (int unit = 0; unit < 17; unit++) {
                    assertThat(ran.get(unit)).isEqualTo(unit < units ? 1 : 0);
                }
            }
        }
    }

    @Test
    void wakesWorkersThatFellAsleep() {
        try (var pool = new WorkerPool(2)) {
            for (int round = 0; round < 20; round++) {
                LockSupport.parkNanos(5_000_000);
                var threads = ConcurrentHashMap.<Thread>newKeySet();
                pool.run(2, (unit, worker) -> {
                    threads.add(Thread.currentThread());
                    while (threads.size() < 2) {
                        Thread.onSpinWait();
                    }
                });
                assertThat(threads).hasSize(2);
            }
        }
    }

    @Test
    void passesOnWhatAUnitThrewAndStaysUsable() {
        try (var pool = new WorkerPool(3)) {
            for (int bad = 0; bad < 10; bad++) {
                int failing = bad;
                assertThatThrownBy(() -> pool.run(10, (unit, worker) -> {
                    if (unit == failing) {
                        throw new IllegalArgumentException("unit " + unit);
                    }
                })).isInstanceOf(IllegalArgumentException.class).hasMessage("unit " + bad);
            }
            var ran = new AtomicIntegerArray(10);
            pool.run(10, (unit, worker) -> ran.incrementAndGet(unit));
            assertThat(ran.toString()).isEqualTo("[1, 1, 1, 1, 1, 1, 1, 1, 1, 1]");
        }
    }

    @Test
    void leavesNoThreadBehindAndRefusesWorkWhenClosed() {
        var pool = new WorkerPool(4);
        var seen = ConcurrentHashMap.<Thread>newKeySet();
        pool.run(100, (unit, worker) -> {
            seen.add(Thread.currentThread());
            LockSupport.parkNanos(100_000);
        });
        seen.remove(Thread.currentThread());
        assertThat(seen).allSatisfy(thread -> {
            assertThat(thread.getName()).startsWith("sidewinder-cpu-");
            assertThat(thread.isDaemon()).isTrue();
        });

        pool.close();

        assertThat(seen).noneMatch(Thread::isAlive);
        assertThatThrownBy(() -> pool.run(1, (unit, worker) -> { })).isInstanceOf(IllegalStateException.class);
    }
}
