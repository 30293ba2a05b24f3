package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.Growth;
import dev.sidewinder.kvcache.Partition;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/// Work that nobody waits for yet: the beginnings of prompts to come, so that these find their state when they do. Only what saves
/// enough, the latest first, and one piece at a time: a step takes one where nobody waits, nobody is in the midst of a
/// prompt, and the time between two tokens of an answer allows it ([StepBudget#spare]).
///
/// **It holds nothing between steps.** A piece is a sequence of its own that takes over the state which the piece before left, and
/// leaves it at its end when its step has completed. So nobody ever has to wait for memory that a preparation has
/// for longer than the step that is under way, nobody is suspended for it, and it evicts only what is worth less.
///
/// @param <O> what owns a sequence; those of preparations are nobody's
final class Preparations<O> {

    /// In a step: whoever comes while it runs waits for as long.
    static final int PIECE_TOKENS = 512;
    /// Preparations that wait; the oldest goes when another one comes.
    static final int MOST = 64;
    /// Frames that are left to those who come while a piece is under way.
    private static final int SPARE_FRAMES = 2;

    private static final class Job {
        private final Preparation what;
        private final int goal;
        /// What there was of it when it came, and what there is now.
        private final int start;
        private int reached;

        Job(Preparation what, int goal, int start) {
            this.what = what;
            this.goal = goal;
            this.start = start;
            this.reached = start;
        }
    }

    private final SequenceMemories memories;
    /// The latest last.
    private final ArrayDeque<Job> jobs = new ArrayDeque<>();
    /// The piece under way and what it is of; null when there is none.
    private Sequence<O> piece;
    private Job pieceOf;
    /// Of the piece under way: what it leaves is not wanted any more.
    private boolean forgotten;
    private long nextId = Long.MIN_VALUE;

    private long begun;
    private long done;
    private long overtaken;
    private long dropped;
    private long tokens;

    Preparations(SequenceMemories memories) {
        this.memories = memories;
    }

    /// Takes one in if it saves enough.
    ///
    /// @param mostTokens that a sequence can have
    void offer(Preparation what, int mostTokens) {
        int length = Math.min(what.tokens().length, mostTokens);
        int goal = length - length % CacheShape.BLOCK_TOKENS;
        // A lookup leaves out the last token, which the prompt to come will have behind it.
        int start = goal < what.leastTokens() ? 0 : memories.cache().reusableTokens(what.partition(), what.tokens(), goal);
        if (goal - start < what.leastTokens()) {
            return;
        }
        dropIf(job -> isSame(job, what));
        if (jobs.size() == MOST) {
            jobs.removeFirst();
            dropped++;
        }
        jobs.addLast(new Job(what, goal, start));
        begun++;
    }

    private static boolean isSame(Job job, Preparation what) {
        return job.what.partition().equals(what.partition()) && Arrays.equals(job.what.tokens(), what.tokens());
    }

    /// A prompt has come: what was to be prepared for it, or for another one that would have gone on from the same place, is of no use.
    void arrived(Sequence<O> sequence) {
        Optional<Partition> partition = sequence.prefixes().partition();
        if (jobs.isEmpty() || partition.isEmpty()) {
            return;
        }
        int before = jobs.size();
        jobs.removeIf(job -> job.what.partition().equals(partition.get()) && common(job, sequence) > job.start);
        overtaken += before - jobs.size();
    }

    /// Whether a prompt can go on from what the piece under way leaves: it gains more by waiting for that step than by beginning beside it,
    /// since the state before is the piece's own now.
    boolean isBeingPrepared(Sequence<O> sequence) {
        return piece != null && !forgotten && sequence.prefixes().partition().filter(pieceOf.what.partition()::equals).isPresent()
                && sequence.promptTokens() > piece.promptTokens() && common(pieceOf, sequence) >= piece.promptTokens();
    }

    private static int common(Job job, Sequence<?> sequence) {
        int most = Math.min(job.goal, sequence.promptTokens());
        int place = Arrays.mismatch(job.what.tokens(), 0, most, sequence.tokens(), 0, most);
        return place < 0 ? most : place;
    }

    /// Nothing of some partitions is wanted any more; what a piece under way leaves is not kept.
    void forget(Predicate<Partition> which) {
        dropIf(job -> which.test(job.what.partition()));
        forgotten |= pieceOf != null && which.test(pieceOf.what.partition());
    }

    private void dropIf(Predicate<Job> which) {
        int before = jobs.size();
        jobs.removeIf(which);
        dropped += before - jobs.size();
    }

    /// Whether there is a piece that may be taken: none is under way.
    boolean isReady() {
        return piece == null && !jobs.isEmpty();
    }

    boolean isUnderWay() {
        return piece != null;
    }

    /// Whether this is the piece under way.
    boolean isPiece(Sequence<?> sequence) {
        return sequence == piece;
    }

    /// Gives the next piece its memory, as many tokens as there is time for.
    ///
    /// @param running sequences that may want a block while it is under way
    /// @return null when there is none now
    Sequence<O> begin(StepBudget budget, int running) {
        while (isReady()) {
            Job job = jobs.getLast();
            int count = budget.spare(job.reached, Math.min(job.goal - job.reached, PIECE_TOKENS));
            if (count == 0 || !begin(job, count, running)) {
                return null;
            }
        }
        return piece;
    }

    /// @return false where there is no room now; where all that is kept is worth more, the whole is given up
    private boolean begin(Job job, int count, int running) {
        var next = new Sequence<O>(nextId++, Arrays.copyOf(job.what.tokens(), job.reached + count), 0, false, Claim.ORDINARY,
                new Prefixes(Optional.of(job.what.partition()), List.of(), false, false), null);
        int spare = SPARE_FRAMES * memories.cache().pool().shape().blocksPerFrame() + 2 * running;
        switch (memories.admitTowards(next, job.goal, job.reached > job.start ? job.reached : 0, spare)) {
            case BEGUN -> {
            }
            case NOT_NOW -> {
                return false;
            }
            case NOT_WORTH_IT -> {
                giveUp(job);
                return true;
            }
        }
        boolean covered = memories.cover(next, next.promptTokensLeft()) == Growth.GRANTED;
        // What it had reached may have been evicted meanwhile, for what is worth more.
        if (!covered || next.launched < job.reached) {
            if (covered) {
                giveUp(job);
            }
            release(next);
            return covered;
        }
        piece = next;
        pieceOf = job;
        return true;
    }

    private void giveUp(Job job) {
        dropped += jobs.remove(job) ? 1 : 0;
    }

    /// The step of the piece has completed.
    ///
    /// @param spoiled whether there was NaN or infinity
    /// @return what is to be erased then
    Optional<Allocation> completed(boolean spoiled) {
        Sequence<O> ended = piece;
        Job job = pieceOf;
        boolean wanted = !forgotten;
        piece = null;
        pieceOf = null;
        forgotten = false;
        tokens += ended.promptTokens() - ended.reusedTokens();
        ended.state = Sequence.State.ENDED;
        if (spoiled) {
            giveUp(job);
            return Optional.of(memories.discard(ended));
        }
        if (!wanted) {
            memories.release(ended);
            return Optional.empty();
        }
        memories.leaveState(ended);
        job.reached = ended.promptTokens();
        if (job.reached == job.goal && jobs.remove(job)) {
            done++;
        }
        return Optional.empty();
    }

    private void release(Sequence<O> sequence) {
        memories.release(sequence);
        sequence.state = Sequence.State.ENDED;
    }

    PreparationCounts counts() {
        return new PreparationCounts(jobs.size(), begun, done, overtaken, dropped, tokens);
    }

    /// Sequences of its own that hold memory.
    int holding() {
        return piece == null ? 0 : 1;
    }

    /// @throws IllegalStateException when the books do not balance
    void checkInvariants() {
        if (jobs.size() > MOST || (piece == null) != (pieceOf == null) || forgotten && piece == null) {
            throw new IllegalStateException(jobs.size() + " preparations wait, the piece under way is " + piece + ", forgotten: " + forgotten);
        }
        for (Job job : jobs) {
            if (job.reached < job.start || job.reached >= job.goal || job.reached % CacheShape.BLOCK_TOKENS != 0) {
                throw new IllegalStateException("a preparation of " + job.goal + " tokens from " + job.start + " on has reached " + job.reached);
            }
        }
    }
}
