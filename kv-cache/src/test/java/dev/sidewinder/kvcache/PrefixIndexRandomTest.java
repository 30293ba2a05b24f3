package dev.sidewinder.kvcache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.random.RandomGenerator;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The prefix tree against maps from whole prefixes to what is known of them. A prefix is a text, each letter of it a block
/// of 128 tokens; blocks of different letters differ in one token only.
class PrefixIndexRandomTest {

    private static final int LETTERS = 3;
    private static final ReuseEstimate ESTIMATE = new ReuseEstimate(7, 1000);

    /// What the reference knows of a prefix.
    private static final class Known {
        int block;
        int locks;
        int slot = PrefixNodes.NONE;
        CheckpointPoint point;
        double count;
        long tick;
    }

    private record Path(int partition, String letters) {
        Path parent() {
            return new Path(partition, letters.substring(0, letters.length() - 1));
        }

        int depth() {
            return letters.length();
        }
    }

    /// A sequence: where it stands, and its own blocks.
    private static final class Walker {
        Path path;
        int node;
        List<Integer> names = new ArrayList<>();
    }

    private Random random;
    private FramePool pool;
    private PrefixIndex index;
    private final Map<Path, Known> known = new HashMap<>();
    private final List<Walker> walkers = new ArrayList<>();
    private int[][] letterTokens;
    /// Where the letters' tokens differ.
    private int letterPlace;
    private long tick;

    static long[] seeds() {
        return RandomTests.seeds();
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void knowsWhatAMapOfAllPrefixesKnows(long seed) {
        System.out.println("PrefixIndexRandomTest seed " + seed);
        random = new Random(seed);
        letterTokens = letters();
        pool = new FramePool(new FrameShape(6 + random.nextInt(10), 8), new StepFence());
        // With every second seed all hashes are equal, so that only the comparison of tokens tells blocks apart.
        RandomGenerator keys = seed % 2 == 0 ? () -> 0 : random;
        index = new PrefixIndex(pool, ESTIMATE, keys);

        for (int i = 0; i < RandomTests.operations(); i++) {
            switch (random.nextInt(12)) {
                case 0 -> begin();
                case 1 -> beginAtAState();
                case 2, 3, 4 -> extend();
                case 5, 6 -> attach();
                case 7 -> leave();
                case 8 -> evictDead();
                case 9 -> evictLeastWorthy();
                default -> lookup();
            }
            index.checkInvariants();
            checkCounts();
        }
        while (!walkers.isEmpty()) {
            leave();
        }
        while (evictLeastWorthy() || evictDead()) {
            index.checkInvariants();
        }
        assertThat(pool.freeFrames()).as("nothing is left behind").isEqualTo(pool.shape().frames());
        assertThat(index.blocks()).isZero();
    }

    private int[][] letters() {
        var tokens = new int[LETTERS][CacheShape.BLOCK_TOKENS];
        letterPlace = List.of(0, 63, 127).get(random.nextInt(3));
        for (int letter = 0; letter < LETTERS; letter++) {
            tokens[letter][letterPlace] = letter;
        }
        return tokens;
    }

    private int[] tokens(String letters) {
        int[] tokens = new int[letters.length() * CacheShape.BLOCK_TOKENS];
        for (int i = 0; i < letters.length(); i++) {
            System.arraycopy(letterTokens[letters.charAt(i) - 'a'], 0, tokens, i * CacheShape.BLOCK_TOKENS, CacheShape.BLOCK_TOKENS);
        }
        return tokens;
    }

    private static Partition partition(int number) {
        return new Partition(number, -number);
    }

    private String randomLetters(int length) {
        var letters = new StringBuilder();
        for (int i = 0; i < length; i++) {
            letters.append((char) ('a' + random.nextInt(LETTERS)));
        }
        return letters.toString();
    }

    private void begin() {
        if (walkers.size() < 6) {
            var walker = new Walker();
            walker.path = new Path(random.nextInt(2), "");
            walker.node = index.enter(partition(walker.path.partition()));
            walkers.add(walker);
        }
    }

    private void beginAtAState() {
        Path wanted = new Path(random.nextInt(2), randomLetters(6));
        PrefixMatch match = index.lookup(partition(wanted.partition()), tokens(wanted.letters()), wanted.depth() * 128);
        tick++;
        index.states().countLookup(match);
        if (!match.hasState()) {
            return;
        }
        Path path = new Path(wanted.partition(), wanted.letters().substring(0, match.stateTokens() / 128));
        Known state = known.get(path);
        state.count = chance(state) + 1;
        state.tick = tick;
        if (walkers.size() < 6) {
            var walker = new Walker();
            walker.path = path;
            walker.node = index.enterAt(match.slot());
            int[] names = new int[path.depth()];
            index.path(walker.node, names);
            lockPath(path, 1);
            for (int i = 0; i < names.length; i++) {
                assertThat(names[i]).isEqualTo(known.get(new Path(path.partition(), path.letters().substring(0, i + 1))).block);
                pool.hold(names[i]);
                walker.names.add(names[i]);
            }
            walkers.add(walker);
        }
    }

    private void extend() {
        if (walkers.isEmpty()) {
            return;
        }
        Walker walker = walkers.get(random.nextInt(walkers.size()));
        int more = 1 + random.nextInt(3);
        if (walker.path.depth() + more > 8 || pool.freeBlocks() < more) {
            return;
        }
        String letters = walker.path.letters() + randomLetters(more);
        for (int i = 0; i < more; i++) {
            walker.names.add(pool.takeBlock());
        }
        int[] names = walker.names.stream().mapToInt(Integer::intValue).toArray();
        walker.node = index.extend(walker.node, tokens(letters), letters.length(), names);
        for (int depth = walker.path.depth() + 1; depth <= letters.length(); depth++) {
            Known there = known.computeIfAbsent(new Path(walker.path.partition(), letters.substring(0, depth)), path -> new Known());
            if (there.locks++ == 0) {
                there.block = names[depth - 1];
            }
        }
        walker.path = new Path(walker.path.partition(), letters);
    }

    private void attach() {
        if (walkers.isEmpty() || pool.freeFrames() == 0) {
            return;
        }
        Walker walker = walkers.get(random.nextInt(walkers.size()));
        if (walker.path.depth() == 0) {
            return;
        }
        Known there = known.get(walker.path);
        CheckpointPoint point = CheckpointPoint.values()[random.nextInt(CheckpointPoint.values().length)];
        int slot = pool.takeSlot();
        boolean attached = index.attach(walker.node, slot, point);
        assertThat(attached).isEqualTo(there.slot == PrefixNodes.NONE);
        if (attached) {
            there.slot = slot;
            there.count = ReuseEstimate.firstChance(point);
            there.tick = tick;
            there.point = point;
            if (random.nextBoolean()) {
                supersede(walker);
            }
        } else {
            pool.giveBackSlot(slot);
        }
    }

    /// By its definition: the turn before is one of the same conversation alone, and not the beginning of a tool loop.
    private void supersede(Walker walker) {
        index.supersedeBefore(walker.node);
        Path base = base(walker.path);
        if (base.depth() == 0) {
            return;
        }
        Known before = known.get(base);
        Path further = base(base);
        boolean loop = further.depth() > 0 && known.get(further).point == CheckpointPoint.TURN_END;
        CheckpointPoint point = known.get(walker.path).point;
        boolean superseded = switch (before.point) {
            case TURN_START -> point == CheckpointPoint.TURN_START || point == CheckpointPoint.TURN_END && loop;
            case TURN_END -> point == CheckpointPoint.TURN_START || point == CheckpointPoint.TURN_END;
            case SYSTEM, BRANCH, INTERVAL -> false;
        };
        long children = known.keySet().stream().filter(each -> each.depth() == base.depth() + 1 && each.parent().equals(base)).count();
        if (superseded && children == 1 && before.locks == 1) {
            before.count *= ReuseEstimate.SUPERSEDED;
        }
    }

    private void leave() {
        if (!walkers.isEmpty()) {
            Walker walker = walkers.remove(random.nextInt(walkers.size()));
            walker.names.forEach(pool::letGo);
            index.leave(walker.node);
            lockPath(walker.path, -1);
        }
    }

    private void lockPath(Path path, int by) {
        for (Path each = path; each.depth() > 0; each = each.parent()) {
            known.get(each).locks += by;
        }
    }

    private boolean evictDead() {
        List<Path> dead = known.keySet().stream().filter(this::isDead).toList();
        boolean evicted = index.evictDead();
        assertThat(evicted).isEqualTo(!dead.isEmpty());
        List<Path> gone = dead.stream().filter(path -> depthOf(path) < path.depth()).toList();
        assertThat(gone).hasSize(evicted ? 1 : 0);
        gone.forEach(known::remove);
        return evicted;
    }

    private boolean isDead(Path path) {
        Known there = known.get(path);
        return there.locks == 0 && there.slot == PrefixNodes.NONE && isLeaf(path);
    }

    private boolean isLeaf(Path path) {
        return known.keySet().stream().noneMatch(each -> each.depth() == path.depth() + 1 && each.parent().equals(path));
    }

    private int depthOf(Path path) {
        return index.lookup(partition(path.partition()), tokens(path.letters()), path.depth() * 128).kvTokens() / 128;
    }

    private boolean evictLeastWorthy() {
        List<Path> states = known.keySet().stream().filter(path -> known.get(path).slot != PrefixNodes.NONE).toList();
        for (Path path : states) {
            assertThat(index.states().worth(known.get(path).slot).value()).as("worth of %s", path).isCloseTo(worth(path), within(1e-9 * worth(path)));
        }
        int kept = states.isEmpty() || random.nextBoolean() ? PrefixNodes.NONE : known.get(states.get(random.nextInt(states.size()))).slot;
        double least = states.stream().filter(path -> known.get(path).slot != kept).mapToDouble(this::worth).min().orElse(-1);
        int slot = index.states().leastWorthy(kept);
        if (slot == PrefixNodes.NONE) {
            assertThat(least).isEqualTo(-1);
            return !states.isEmpty();
        }
        assertThat(slot).isNotEqualTo(kept);
        Path path = states.stream().filter(each -> known.get(each).slot == slot).findFirst().orElseThrow();
        assertThat(worth(path)).isCloseTo(least, within(1e-9 * least));
        Path base = base(path);
        if (base.depth() > 0) {
            Known heir = known.get(base);
            heir.count = chance(heir) + chance(known.get(path));
            heir.tick = tick;
        }
        known.get(path).slot = PrefixNodes.NONE;
        index.evictState(slot);
        return true;
    }

    /// By its definition: chance of use x work / blocks.
    private double worth(Path path) {
        double base = base(path).depth() * 128;
        double end = path.depth() * 128;
        double work = 0;
        for (double token = base; token < end; token++) {
            // A token costs 1 at the start and 2 at the position where its work has doubled.
            work += 1 + (token + 0.5) / ESTIMATE.doubleWorkTokens();
        }
        double blocks = pool.shape().blocksPerFrame() + (isLeaf(path) ? (end - base) / 128 : 0);
        return chance(known.get(path)) * work / blocks;
    }

    private double chance(Known state) {
        return state.count * Math.pow(0.5, (tick - state.tick) / ESTIMATE.halfLifeLookups());
    }

    private Path base(Path path) {
        Path each = path.parent();
        while (each.depth() > 0 && known.get(each).slot == PrefixNodes.NONE) {
            each = each.parent();
        }
        return each;
    }

    private void lookup() {
        Path wanted = new Path(random.nextInt(2), randomLetters(1 + random.nextInt(8)));
        int most = random.nextInt(wanted.depth() * 128 + 1);
        PrefixMatch match = index.lookup(partition(wanted.partition()), tokens(wanted.letters()), most);
        int kv = 0;
        int state = 0;
        int slot = PrefixNodes.NONE;
        for (int depth = 1; depth <= most / 128; depth++) {
            Known there = known.get(new Path(wanted.partition(), wanted.letters().substring(0, depth)));
            if (there == null) {
                break;
            }
            kv = depth * 128;
            if (there.slot != PrefixNodes.NONE) {
                state = kv;
                slot = there.slot;
            }
        }
        assertThat(match).isEqualTo(new PrefixMatch(kv, state, slot));
        checkExplanation(wanted, most, match);
    }

    private void checkExplanation(Path wanted, int most, PrefixMatch match) {
        CacheExplanation explanation = index.explain(partition(wanted.partition()), tokens(wanted.letters()), most);
        assertThat(explanation.kvTokens()).isEqualTo(match.kvTokens());
        assertThat(explanation.reusedTokens()).isEqualTo(match.stateTokens());
        assertThat(explanation.point().isPresent()).isEqualTo(match.hasState());
        assertThat(explanation.reason() == MissReason.NONE).isEqualTo(most >= 128 && match.stateTokens() + 128 > most);
        int kv = match.kvTokens() / 128;
        boolean others = known.keySet().stream().anyMatch(path -> path.partition() == wanted.partition() && path.depth() == kv + 1
                && path.letters().startsWith(wanted.letters().substring(0, kv)));
        explanation.divergedAt().ifPresent(at -> assertThat(at).isEqualTo(match.kvTokens() + (others ? letterPlace : 0)));
    }

    private void checkCounts() {
        assertThat(index.blocks()).isEqualTo(known.size());
        assertThat(index.unlockedBlocks()).isEqualTo((int) known.values().stream().filter(each -> each.locks == 0).count());
        assertThat(index.states().size()).isEqualTo((int) known.values().stream().filter(each -> each.slot != PrefixNodes.NONE).count());
    }
}
