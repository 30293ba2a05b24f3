package dev.sidewinder.engine;

import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.TokenSource;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Random;

/// A [FakeBackend] that works like a device: what it is told to do stands in a queue and is done later, in order, how much
/// later is drawn from a seed. It chooses tokens and hands them to the next step by itself; nobody else has them yet. What
/// an entry says is copied when its step is launched, as into the tables of a device.
///
/// Memory that is given away while a step in the queue still touches it shows as a wrong token of its new owner.
final class AheadBackend implements Backend {

    private static final int NO_TOKEN = -1;

    private final FakeBackend fake;
    private final Random random;
    private final Deque<Runnable> queue = new ArrayDeque<>();
    /// The token that the latest step chose for the sequence of each slot.
    private final int[] tokenOfSlot;
    private final int hostShare;
    private Running latest;
    private boolean closed;
    /// Of what stands in the queue.
    private int erasures;
    private int launchedAhead;
    private int unreadRun;
    private int padded;

    /// @param hostShare of so many rows one must be sampled on the host; 0 = none
    AheadBackend(FakeBackend fake, long seed, int hostShare) {
        this.fake = fake;
        this.random = new Random(seed);
        this.hostShare = hostShare;
        this.tokenOfSlot = new int[fake.memory().frames().frames()];
        Arrays.fill(tokenOfSlot, NO_TOKEN);
    }

    /// Steps launched before the one in front was awaited.
    int launchedAhead() {
        return launchedAhead;
    }

    /// Entries that ran a token nobody else had.
    int unreadRun() {
        return unreadRun;
    }

    /// Entries that had no token to run.
    int padded() {
        return padded;
    }

    private record Memory(int slot, int[] blocks) implements Allocation {

        static Memory of(Allocation allocation) {
            int[] blocks = new int[allocation.blockCount()];
            Arrays.setAll(blocks, allocation::block);
            return new Memory(allocation.slot(), blocks);
        }

        @Override
        public int blockCount() {
            return blocks.length;
        }

        @Override
        public int block(int i) {
            return blocks[i];
        }
    }

    private final class Running implements LaunchedStep {

        private final long step;
        private final List<BatchEntry> entries = new ArrayList<>();
        private final MemoryWork memory;
        private final Sample[] samples;
        private boolean[] runs;
        private Logits logits;
        private boolean mayGoOn;
        private boolean sampled;
        private boolean awaited;

        Running(Batch batch) {
            step = batch.step();
            memory = batch.memory();
            samples = new Sample[batch.logitRows()];
            for (BatchEntry entry : batch.entries()) {
                int[] tokens = Arrays.copyOf(entry.tokens(), entry.from() + entry.count());
                if (entry.source() == TokenSource.UNREAD) {
                    tokens[entry.from()] = NO_TOKEN;
                }
                entries.add(new BatchEntry(entry.sequence(), tokens, entry.from(), entry.count(), entry.source(), entry.logits(),
                        Memory.of(entry.allocation()), entry.writes()));
            }
        }

        private void forward() {
            List<BatchEntry> present = new ArrayList<>();
            runs = new boolean[entries.size()];
            for (int i = 0; i < entries.size(); i++) {
                BatchEntry entry = entries.get(i);
                if (entry.source() == TokenSource.UNREAD) {
                    entry.tokens()[entry.from()] = tokenOfSlot[entry.allocation().slot()];
                    unreadRun++;
                }
                runs[i] = entry.tokens()[entry.from()] != NO_TOKEN;
                if (runs[i]) {
                    present.add(entry);
                } else {
                    padded++;
                }
            }
            logits = fake.forward(new Batch(step, present, memory));
        }

        @Override
        public boolean sample(RowSampler rows) {
            if (sampled || latest != this) {
                throw new IllegalStateException("step " + step + " sampled twice or too late");
            }
            sampled = true;
            mayGoOn = true;
            for (int row = 0; row < samples.length; row++) {
                mayGoOn &= hostShare == 0 || random.nextInt(hostShare) > 0;
            }
            queue.add(() -> choose(rows));
            work();
            return mayGoOn;
        }

        private void choose(RowSampler rows) {
            Arrays.fill(tokenOfSlot, NO_TOKEN);
            int row = 0;
            int computed = 0;
            for (int i = 0; i < entries.size(); i++) {
                for (int k = 0; k < entries.get(i).logitRows(); k++) {
                    samples[row] = runs[i] ? rows.sample(row, logits.values(), logits.offset(computed++)) : null;
                    tokenOfSlot[entries.get(i).allocation().slot()] = samples[row] instanceof Sample.Chosen chosen ? chosen.token() : NO_TOKEN;
                    row++;
                }
            }
        }

        @Override
        public Sample[] await() {
            if (!sampled || awaited) {
                throw new IllegalStateException("step " + step + " awaited twice or before it was sampled");
            }
            // The step behind may or may not have begun.
            int behind = latest == this ? 0 : 1;
            while (queue.size() > behind) {
                queue.remove().run();
            }
            awaited = true;
            return samples;
        }

        @Override
        public boolean isFinite(int entry) {
            if (!awaited) {
                throw new IllegalStateException("asked how step " + step + " went before it was awaited");
            }
            int present = 0;
            for (int i = 0; i < entry; i++) {
                present += runs[i] ? 1 : 0;
            }
            return !runs[entry] || !logits.spoiled().get(present);
        }
    }

    /// Does some of what stands in the queue.
    private void work() {
        for (int i = random.nextInt(queue.size() + 1); i > 0; i--) {
            queue.remove().run();
        }
    }

    @Override
    public LaunchedStep launch(Batch batch) {
        if (closed) {
            throw new IllegalStateException("launched after close");
        }
        if (latest != null && !latest.awaited) {
            if (!latest.sampled || !latest.mayGoOn) {
                throw new IllegalStateException("step " + batch.step() + " launched behind step " + latest.step + ", which does not allow it");
            }
            launchedAhead++;
        }
        latest = new Running(batch);
        queue.add(latest::forward);
        work();
        return latest;
    }

    @Override
    public Logits forward(Batch batch) {
        throw new UnsupportedOperationException("steps are launched here");
    }

    @Override
    public BackendMemory memory() {
        return fake.memory();
    }

    @Override
    public boolean decodeEqualsScan() {
        return fake.decodeEqualsScan();
    }

    @Override
    public void erase(Allocation memory) {
        Memory places = Memory.of(memory);
        erasures++;
        queue.add(() -> {
            erasures--;
            fake.erase(places);
        });
    }

    @Override
    public String cacheFormat() {
        return fake.cacheFormat();
    }

    @Override
    public MemorySegment hostState(int place) {
        return fake.hostState(place);
    }

    @Override
    public MemorySegment hostBlock(int place) {
        return fake.hostBlock(place);
    }

    @Override
    public void clearBehind(MemorySegment block, int tokens) {
        fake.clearBehind(block, tokens);
    }

    @Override
    public int vocabSize() {
        return fake.vocabSize();
    }

    @Override
    public String toString() {
        return "an AheadBackend over " + fake;
    }

    @Override
    public String description() {
        return "ahead: " + fake.description();
    }

    @Override
    public void close() {
        // Nobody awaits that something has been erased.
        if (latest != null && latest.awaited && queue.size() > erasures) {
            throw new IllegalStateException("closed with work in the queue");
        }
        while (erasures > 0 && latest.awaited) {
            queue.remove().run();
        }
        closed = true;
        fake.close();
    }
}
