package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.CacheExplanation;
import dev.sidewinder.kvcache.SequenceMemory;
import dev.sidewinder.kvcache.SuspendedMemory;
import java.util.Arrays;
import java.util.Optional;

/// A prompt and the tokens generated after it, and how far it has been computed. Changed by its [Scheduler] only.
///
/// @param <O> the owner's own object for this sequence
public final class Sequence<O> {

    /// Where a sequence is in its life.
    public enum State {
        /// made, not handed to a scheduler yet
        NEW,
        /// waits for memory or for its turn
        WAITING,
        /// has memory and takes part in steps
        RUNNING,
        /// has memory and stays out of steps until resumed
        PAUSED,
        /// had to give its memory on the device back, and gets some again
        SUSPENDED,
        /// has given its memory back
        ENDED
    }

    private final long id;
    private final O owner;
    private final int promptTokens;
    private final int maxTokens;
    private final boolean scoresPrompt;
    private final Claim claim;
    private final Prefixes prefixes;
    private int[] tokens;
    private int length;

    State state = State.NEW;
    private int computed;
    /// Tokens that steps were launched for: those computed, and those of the steps under way.
    int launched;
    /// Tokens that the steps under way will bring.
    private int pending;
    SequenceMemory memory;
    private SuspendedMemory start;
    private int startTokens;
    /// Tokens that are computed as a prompt is: the prompt, and what was generated before it had to be computed again.
    private int prefillTokens;
    /// What it comes back from; null where it is to be computed again.
    SuspendedMemory parked;
    /// It gets no steps any more and is suspended when those under way have completed.
    boolean leaving;
    /// It leaves for one that waits, not for one that runs.
    boolean leavesForWaiting;
    /// It stays suspended until its reader has caught up.
    boolean heldForReader;
    int timesSuspended;
    /// Where states of it are kept; null when none are.
    KeepingPlan keeping;
    private int reusedTokens;
    private Optional<CacheExplanation> explanation = Optional.empty();

    /// From its submission on.
    QueueTicket<Sequence<O>> ticket;

    /// As urgent as any other, and with no use for prefixes.
    public Sequence(long id, int[] prompt, int maxTokens, boolean scoresPrompt, O owner) {
        this(id, prompt, maxTokens, scoresPrompt, Claim.ORDINARY, owner);
    }

    /// With no use for prefixes.
    public Sequence(long id, int[] prompt, int maxTokens, boolean scoresPrompt, Claim claim, O owner) {
        this(id, prompt, maxTokens, scoresPrompt, claim, Prefixes.NONE, owner);
    }

    /// @param id           told to the backend, unique among live sequences
    /// @param prompt       token ids, at least one; copied
    /// @param maxTokens    tokens generated at most; 0 = the prompt is computed and nothing is generated
    /// @param scoresPrompt whether logits of every prompt token are wanted
    /// @param claim        what it has to say about its turn
    /// @param prefixes     whose it may use, and where its own are worth keeping; none for one that scores its prompt
    /// @param owner        comes back with the sequence, never looked at; null for one of a preparation
    public Sequence(long id, int[] prompt, int maxTokens, boolean scoresPrompt, Claim claim, Prefixes prefixes,
            O owner) {
        if (prompt.length == 0 || maxTokens < 0) {
            throw new IllegalArgumentException("a sequence needs a prompt and a token limit of at least 0, got "
                    + prompt.length + " tokens and " + maxTokens);
        }
        if (scoresPrompt && prefixes.partition().isPresent()) {
            throw new IllegalArgumentException("sequence " + id + " is to have its prompt scored, so all of it has to be computed");
        }
        this.id = id;
        this.prefixes = prefixes;
        this.owner = owner;
        this.promptTokens = prompt.length;
        this.prefillTokens = prompt.length;
        this.maxTokens = maxTokens;
        this.scoresPrompt = scoresPrompt;
        this.claim = claim;
        this.tokens = prompt.clone();
        this.length = prompt.length;
    }

    public long id() {
        return id;
    }

    public O owner() {
        return owner;
    }

    public State state() {
        return state;
    }

    public int promptTokens() {
        return promptTokens;
    }

    /// Tokens generated at most.
    public int maxTokens() {
        return maxTokens;
    }

    public boolean scoresPrompt() {
        return scoresPrompt;
    }

    public Claim claim() {
        return claim;
    }

    public Prefixes prefixes() {
        return prefixes;
    }

    /// Prompt tokens that were not computed for it. It has begun.
    public int reusedTokens() {
        return reusedTokens;
    }

    /// What there was of its prompt, if it wanted to know. It has begun.
    public Optional<CacheExplanation> explanation() {
        return explanation;
    }

    /// Prompt and generated tokens.
    public int length() {
        return length;
    }

    public int generatedTokens() {
        return length - promptTokens;
    }

    /// Tokens whose state and KV the sequence's memory holds.
    public int computed() {
        return computed;
    }

    public int token(int position) {
        return tokens[position];
    }

    /// The tokens themselves, [#length()] of them valid: to be read before the sequence changes, not to be written.
    public int[] tokens() {
        return tokens;
    }

    /// Tokens that pass through the backend if the answer gets as long as it may. The last token generated does not.
    int tokensToCompute() {
        return promptTokens + Math.max(maxTokens, 1) - 1;
    }

    /// Tokens of the prompt that no step was launched for; below zero when generated ones run.
    int promptTokensLeft() {
        return prefillTokens - launched;
    }

    /// Tokens that are computed as a prompt is.
    int prefillTokens() {
        return prefillTokens;
    }

    /// Whether the next run begins inside the prompt.
    boolean inPrompt() {
        return launched < prefillTokens;
    }

    /// Whether the prompt's scores are still to come.
    boolean awaitsScores() {
        return scoresPrompt && length == promptTokens;
    }

    /// Whether it is of a preparation: nobody has sent its prompt, and nothing is generated.
    public boolean isOfPreparation() {
        return owner == null;
    }

    /// Whether a step with tokens of it is under way.
    boolean isUnderWay() {
        return launched > computed;
    }

    /// It has given up its memory.
    ///
    /// @param to what it comes back from, or null: then everything is computed again, generated tokens as if they were its prompt
    void suspend(SuspendedMemory to) {
        parked = to;
        memory = null;
        leaving = false;
        state = State.SUSPENDED;
        if (to == null) {
            computed = 0;
            launched = 0;
            startTokens = 0;
            prefillTokens = length;
        }
    }

    /// It has memory again.
    void comeBack(SequenceMemory again) {
        memory = again;
        if (parked == null) {
            computed = again.reusedTokens();
            launched = computed;
        }
        parked = null;
        state = State.RUNNING;
    }

    /// Whether the next run is that of a generated token, which may be one that a step under way is to bring. The last
    /// token of the longest answer is never run.
    boolean awaitsDecode() {
        int expected = length + pending;
        return !inPrompt() && launched < expected && expected - promptTokens < maxTokens;
    }

    /// Where the tokens of the next run come from.
    TokenSource nextSource() {
        if (inPrompt()) {
            return TokenSource.PROMPT;
        }
        return launched < length ? TokenSource.GENERATED : TokenSource.UNREAD;
    }

    /// Has it go on from memory in the host area that is of its first tokens. It owns that memory from now on.
    ///
    /// @param tokens computed in that memory, less than the prompt's
    public void goOnFrom(SuspendedMemory memory, int tokens) {
        if (state != State.NEW || tokens < 1 || tokens >= promptTokens) {
            throw new IllegalArgumentException("to go on from memory of " + tokens + " tokens: " + this);
        }
        start = memory;
        startTokens = tokens;
        // Where its first piece begins.
        launched = tokens;
        computed = tokens;
    }

    /// The memory that it goes on from when it is admitted; null when it begins without.
    SuspendedMemory startsFrom() {
        return start;
    }

    /// What it went on from is not its own any more.
    void begun() {
        start = null;
    }

    /// Tokens that were computed before it was handed to a scheduler.
    int startTokens() {
        return startTokens;
    }

    /// It has memory, with what was reused in it.
    void begin(SequenceMemory memory, Optional<CacheExplanation> explanation) {
        this.memory = memory;
        this.explanation = explanation;
        computed = start == null ? memory.reusedTokens() : startTokens;
        reusedTokens = computed;
        launched = computed;
        state = State.RUNNING;
        begun();
    }

    /// A step with the next `count` tokens is under way.
    void launch(int count) {
        launched += count;
        if (launched >= prefillTokens && maxTokens > 0) {
            pending++;
        }
    }

    /// The earliest step under way, with `count` tokens of this sequence, has completed.
    void complete(int count) {
        computed += count;
        if (computed > length) {
            throw new IllegalStateException("a step ran a token that never came, and the sequence was not ended: " + this);
        }
        if (computed >= prefillTokens && maxTokens > 0) {
            pending--;
        }
    }

    void checkInvariants(int stepsUnderWay) {
        if (computed > launched || launched > length + pending || pending < 0 || pending > stepsUnderWay
                || stepsUnderWay == 0 && computed != launched) {
            throw new IllegalStateException("with " + stepsUnderWay + " steps under way, " + launched + " tokens launched and "
                    + pending + " to come: " + this);
        }
    }

    void append(int token) {
        if (computed != length || generatedTokens() == maxTokens) {
            throw new IllegalStateException("token for sequence " + id + " with " + computed + " of " + length
                    + " tokens computed and " + generatedTokens() + " of " + maxTokens + " generated");
        }
        if (length == tokens.length) {
            int most = promptTokens + maxTokens;
            tokens = Arrays.copyOf(tokens, (int) Math.min(most, 2L * length));
        }
        tokens[length++] = token;
    }

    @Override
    public String toString() {
        return "sequence " + id + " " + state + ", " + computed + " of " + length + " tokens computed, prompt "
                + promptTokens + ", at most " + maxTokens + " more";
    }
}
