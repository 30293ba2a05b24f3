package dev.sidewinder.kvcache;

import static dev.sidewinder.kvcache.CacheShape.BLOCK_TOKENS;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.MemoryAdmission.Granted;
import dev.sidewinder.kvcache.MemoryAdmission.NeverFits;
import dev.sidewinder.kvcache.MemoryAdmission.WaitForOthers;
import dev.sidewinder.kvcache.MemoryAdmission.WaitForSteps;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;

/// Plays random conversations on a [FrameCache] whose steps run on a [FakeMemory]: prompts that go on from earlier ones, at
/// the grid and beside it, forks, cancels, checkpoints, up to two steps under way.
final class FrameCacheTrace {

    private static final int LONGEST = 9 * BLOCK_TOKENS;

    /// What a step under way has computed.
    private record Ran(Live sequence, int end) {}

    private record Suspended(SuspendedMemory memory, Live sequence) {}

    private static final class Live {
        final SequenceMemory memory;
        final int partition;
        final boolean shares;
        int[] tokens;
        final int promptTokens;
        /// Tokens of launched steps, and of completed ones.
        int launched;
        int completed;

        Live(SequenceMemory memory, int partition, boolean shares, int[] tokens, int promptTokens) {
            this.memory = memory;
            this.partition = partition;
            this.shares = shares;
            this.tokens = tokens;
            this.promptTokens = promptTokens;
            launched = memory.reusedTokens();
            completed = launched;
        }
    }

    private final Random random;
    private final FrameShape shape;
    private final FrameCache cache;
    private final FakeMemory memory;
    private final List<Suspended> suspended = new ArrayList<>();
    private final FakeMemory.Fault fault;
    /// Tells the cache that steps have completed one step before they have: a planted fault.
    private final boolean completesEarly;
    private final int mostLive;
    private final List<Live> live = new ArrayList<>();
    private final List<int[]> history = new ArrayList<>();
    private final List<List<Ran>> underWay = new ArrayList<>();
    private long step;
    private long toldCompleted;
    int forks;
    int reuses;
    int resumed;
    /// States that steps were to write before their end.
    long statesOnTheWay;

    FrameCacheTrace(long seed, FakeMemory.Fault fault, boolean completesEarly) {
        // Neighbouring seeds of Random begin alike.
        this.random = new Random(seed * 0x9E3779B97F4A7C15L);
        this.fault = fault;
        this.completesEarly = completesEarly;
        mostLive = 1 + random.nextInt(8);
        shape = new FrameShape(3 + random.nextInt(random.nextBoolean() ? 4 : 40), 1 + random.nextInt(8));
        int stepBlocks = random.nextBoolean() ? Integer.MAX_VALUE : 1 + random.nextInt(10);
        var host = new HostShape(random.nextInt(3), random.nextInt(24), stepBlocks);
        cache = new FrameCache(shape, host, new ReuseEstimate(20, 1000), random);
        memory = new FakeMemory(shape, host, fault);
    }

    FrameCache cache() {
        return cache;
    }

    void play(int operations) {
        for (int i = 0; i < operations; i++) {
            switch (random.nextInt(18)) {
                case 0, 1 -> admit();
                case 2 -> fork();
                case 3 -> cancel();
                case 4, 5, 6, 7, 8, 9 -> launch();
                case 10 -> suspend();
                case 11 -> resume();
                default -> complete();
            }
            cache.checkInvariants();
            assertThat(cache.sequences()).isEqualTo(live.size());
        }
        finish();
    }

    private void finish() {
        live.forEach(each -> each.memory.close());
        live.clear();
        suspended.forEach(each -> each.memory().close());
        drain();
        assertThat(cache.suspendedSequences()).isZero();
        assertThat(cache.suspendedBlocks()).isZero();
        cache.evictAll();
        cache.checkInvariants();
        assertThat(cache.pool().freeFrames()).as("frames free when all has ended").isEqualTo(shape.frames());
        assertThat(cache.committedBlocks()).isZero();
    }

    private void drain() {
        while (cache.hasWork()) {
            launchNow(List.of(), List.of(), List.of());
            while (memory.stepsUnderWay() > 1) {
                complete();
            }
        }
        while (memory.stepsUnderWay() > 0) {
            complete();
        }
    }

    private void admit() {
        if (live.size() >= mostLive) {
            return;
        }
        int[] prompt = prompt();
        int promise = prompt.length + random.nextInt(200);
        int partition = random.nextInt(5) == 0 ? 1 : 0;
        boolean shares = random.nextInt(10) > 0;
        Partition key = new Partition(partition, 7);
        int reusable = shares ? cache.reusableTokens(key, prompt, prompt.length) : 0;
        int committed = cache.committedBlocks();
        var wish = new MemoryWish(shares ? Optional.of(key) : Optional.empty(), prompt, prompt.length, promise);
        switch (cache.admit(wish)) {
            case Granted granted -> {
                assertThat(granted.memory().reusedTokens()).isEqualTo(reusable).isLessThan(prompt.length);
                reuses += reusable > 0 ? 1 : 0;
                memory.giveOutSlot(granted.memory().slot());
                live.add(new Live(granted.memory(), partition, shares, prompt, prompt.length));
            }
            case WaitForOthers _ -> {
                assertThat(live).as("somebody to wait for").isNotEmpty();
                assertThat(cache.committedBlocks()).as("a refusal changes nothing").isEqualTo(committed);
            }
            case WaitForSteps _ ->
                assertThat(memory.stepsUnderWay() > 0 || cache.hasWork()).as("a step to wait for").isTrue();
            case NeverFits never -> assertThat(never.numbers()).isEqualTo(new FrameShape.NeverFits(promise, shape.mostTokens()));
        }
    }

    /// A prompt that has its beginning from an earlier sequence: cut at the grid, one beside it, or anywhere.
    private int[] prompt() {
        int[] earlier = history.isEmpty() ? new int[0] : history.get(random.nextInt(history.size()));
        int cut = switch (random.nextInt(4)) {
            case 0 -> random.nextInt(earlier.length + 1);
            case 1 -> earlier.length;
            default -> random.nextInt(earlier.length / BLOCK_TOKENS + 1) * BLOCK_TOKENS + random.nextInt(3) - 1;
        };
        cut = Math.clamp(cut, 0, earlier.length);
        int length = Math.min(LONGEST, Math.max(1, cut + (random.nextInt(3) == 0 ? random.nextInt(3) : random.nextInt(300))));
        int[] tokens = new int[length];
        for (int i = 0; i < length; i++) {
            tokens[i] = i < cut ? earlier[i] : random.nextInt(2);
        }
        return tokens;
    }

    private void fork() {
        if (live.isEmpty()) {
            return;
        }
        Live parent = live.get(random.nextInt(live.size()));
        if (random.nextBoolean() || parent.launched <= parent.memory.reusedTokens()) {
            return;
        }
        if (parent.memory.fork(parent.tokens, parent.launched, parent.launched + random.nextInt(200) + 1) instanceof Granted granted) {
            memory.giveOutSlot(granted.memory().slot());
            for (int i = parent.launched / BLOCK_TOKENS; i < granted.memory().blockCount(); i++) {
                memory.giveOutBlock(granted.memory().block(i));
            }
            Live child = new Live(granted.memory(), parent.partition, parent.shares, Arrays.copyOf(parent.tokens, parent.launched),
                    Math.min(parent.promptTokens, parent.launched));
            live.add(child);
            forks++;
        }
    }

    private void cancel() {
        if (!live.isEmpty()) {
            Live ended = live.get(random.nextInt(live.size()));
            if (ended.completed < ended.promptTokens && random.nextInt(4) > 0) {
                return;
            }
            live.remove(ended);
            history.add(Arrays.copyOf(ended.tokens, Math.max(1, ended.launched)));
            if (history.size() > 8) {
                history.remove(random.nextInt(history.size()));
            }
            ended.memory.close();
        }
    }

    private void suspend() {
        if (live.isEmpty() || random.nextBoolean()) {
            return;
        }
        Live sequence = live.get(random.nextInt(live.size()));
        sequence.memory.suspend().ifPresent(held -> {
            assertThat(sequence.memory.isClosed()).isTrue();
            live.remove(sequence);
            suspended.add(new Suspended(held, sequence));
        });
    }

    private void resume() {
        if (suspended.isEmpty()) {
            return;
        }
        Suspended chosen = suspended.get(random.nextInt(suspended.size()));
        Live before = chosen.sequence();
        if (random.nextInt(8) == 0) {
            chosen.memory().close();
            suspended.remove(chosen);
            return;
        }
        switch (chosen.memory().resume(before.launched + random.nextInt(200) + 1)) {
            case Granted granted -> {
                suspended.remove(chosen);
                memory.giveOutSlot(granted.memory().slot());
                for (int i = 0; i < granted.memory().blockCount(); i++) {
                    memory.giveOutBlock(granted.memory().block(i));
                }
                Live again = new Live(granted.memory(), before.partition, before.shares, before.tokens, before.promptTokens);
                again.launched = before.launched;
                again.completed = before.launched;
                live.add(again);
                resumed++;
            }
            case WaitForOthers _ -> assertThat(live).as("somebody to wait for").isNotEmpty();
            case WaitForSteps _ -> assertThat(memory.stepsUnderWay() > 0 || cache.hasWork()).as("a step to wait for").isTrue();
            case NeverFits _ -> assertThat(before.launched + 200L).isGreaterThan(shape.mostTokens());
        }
    }

    private void launch() {
        if (memory.stepsUnderWay() == 2) {
            return;
        }
        List<Live> chosen = new ArrayList<>();
        List<Integer> counts = new ArrayList<>();
        List<List<StateWrite>> writes = new ArrayList<>();
        for (Live sequence : live) {
            int count = random.nextInt(3) == 0 ? 0 : nextCount(sequence);
            if (count > 0 && reserve(sequence, sequence.launched, sequence.launched + count)) {
                chosen.add(sequence);
                counts.add(count);
                writes.add(keepStates(sequence, sequence.launched + count));
            }
        }
        if (!chosen.isEmpty() || cache.hasWork()) {
            launchNow(chosen, counts, writes);
        }
    }

    /// The next piece of a prompt, cut on the grid, or one more token after it.
    private int nextCount(Live sequence) {
        int rest = sequence.promptTokens - sequence.launched;
        if (rest > 0) {
            int pieces = random.nextInt(3) + 1;
            int toGrid = pieces * BLOCK_TOKENS - sequence.launched % BLOCK_TOKENS;
            return Math.min(rest, toGrid);
        }
        if (sequence.launched >= LONGEST) {
            return 0;
        }
        if (sequence.tokens.length == sequence.launched) {
            sequence.tokens = Arrays.copyOf(sequence.tokens, sequence.launched + 1);
            sequence.tokens[sequence.launched] = random.nextInt(2);
        }
        return 1;
    }

    private boolean reserve(Live sequence, int from, int to) {
        int before = sequence.memory.blockCount();
        boolean within = CacheShape.blocksFor(to) - before <= sequence.memory.promisedBlocks();
        switch (sequence.memory.reserve(from, to)) {
            case GRANTED -> {
                assertThat(sequence.memory.blockCount()).isGreaterThanOrEqualTo(CacheShape.blocksFor(to));
                for (int i = before; i < sequence.memory.blockCount(); i++) {
                    memory.giveOutBlock(sequence.memory.block(i));
                }
                return true;
            }
            case AFTER_STEPS -> assertThat(memory.stepsUnderWay() > 0 || cache.hasWork()).as("a step to wait for").isTrue();
            case NO_ROOM -> assertThat(within).as("a promise that was not kept").isFalse();
        }
        assertThat(sequence.memory.blockCount()).isEqualTo(before);
        return false;
    }

    /// Has some of the states kept that the next step passes, and that at its end, which may also be copied behind it.
    private List<StateWrite> keepStates(Live sequence, int end) {
        List<StateWrite> writes = new ArrayList<>();
        int first = Math.max(sequence.launched, sequence.memory.reusedTokens()) / BLOCK_TOKENS + 1;
        // In few steps, or there would always be another state to evict.
        boolean keepsOnTheWay = random.nextInt(4) == 0;
        for (int position = first * BLOCK_TOKENS; position <= end; position += BLOCK_TOKENS) {
            CheckpointPoint point = CheckpointPoint.values()[random.nextInt(CheckpointPoint.values().length)];
            boolean kept = false;
            if (random.nextInt(3) == 0 || position < end && !keepsOnTheWay) {
                continue;
            } else if (position == end && point == CheckpointPoint.TURN_END) {
                kept = sequence.memory.checkpointLatest(end, point);
            } else {
                Optional<StateWrite> write = sequence.memory.checkpoint(position, point);
                write.ifPresent(each -> memory.giveOutSlot(each.slot()));
                write.ifPresent(writes::add);
                kept = write.isPresent();
            }
            assertThat(sequence.shares || !kept).as("nothing is kept of who shares nothing").isTrue();
        }
        statesOnTheWay += writes.stream().filter(write -> write.position() < end).count();
        return writes;
    }

    private void launchNow(List<Live> chosen, List<Integer> counts, List<List<StateWrite>> writes) {
        MemoryWork work = cache.launch(++step);
        if (fault == FakeMemory.Fault.FORK_WITHOUT_COPY) {
            work = new MemoryWork(work.ins(), List.of(), work.restores(), work.outs(), work.stores());
        }
        List<FakeMemory.Run> runs = new ArrayList<>();
        List<Ran> ran = new ArrayList<>();
        for (int i = 0; i < chosen.size(); i++) {
            Live sequence = chosen.get(i);
            int count = counts.get(i);
            int[] blocks = new int[sequence.memory.blockCount()];
            for (int b = 0; b < blocks.length; b++) {
                blocks[b] = sequence.memory.block(b);
            }
            runs.add(new FakeMemory.Run(1000L * sequence.partition, sequence.tokens.clone(), sequence.launched, count, sequence.memory.slot(), blocks,
                    writes.get(i)));
            sequence.launched += count;
            ran.add(new Ran(sequence, sequence.launched));
        }
        memory.launch(step, work, runs);
        underWay.add(ran);
        if (completesEarly) {
            toldCompleted = step;
            cache.stepCompleted(step);
        }
    }

    private void complete() {
        if (memory.stepsUnderWay() == 0) {
            return;
        }
        long completed = memory.complete();
        if (completed > toldCompleted) {
            toldCompleted = completed;
            cache.stepCompleted(completed);
        }
        for (Ran ran : underWay.removeFirst()) {
            if (!ran.sequence().memory.isClosed()) {
                ran.sequence().completed = ran.end();
                ran.sequence().memory.computed(ran.sequence().tokens, ran.end());
            }
        }
    }
}
