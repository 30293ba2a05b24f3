package dev.sidewinder.scheduler;

/// Sequences in the order of their arrival. Linked through the sequences themselves, so that a cancelled one leaves from
/// the middle of thousands without a search.
final class WaitingQueue<O> {

    private Sequence<O> first;
    private Sequence<O> last;
    private int size;
    private long promptTokens;

    int size() {
        return size;
    }

    /// Prompt tokens over all of them.
    long promptTokens() {
        return promptTokens;
    }

    /// The next in turn, null when nobody waits.
    Sequence<O> first() {
        return first;
    }

    void add(Sequence<O> sequence) {
        sequence.previous = last;
        sequence.next = null;
        if (last == null) {
            first = sequence;
        } else {
            last.next = sequence;
        }
        last = sequence;
        size++;
        promptTokens += sequence.promptTokens();
    }

    void remove(Sequence<O> sequence) {
        if (sequence.previous == null) {
            first = sequence.next;
        } else {
            sequence.previous.next = sequence.next;
        }
        if (sequence.next == null) {
            last = sequence.previous;
        } else {
            sequence.next.previous = sequence.previous;
        }
        sequence.previous = null;
        sequence.next = null;
        size--;
        promptTokens -= sequence.promptTokens();
    }

    void checkInvariants() {
        int count = 0;
        long tokens = 0;
        Sequence<O> before = null;
        for (Sequence<O> sequence = first; sequence != null; sequence = sequence.next) {
            if (sequence.previous != before || sequence.state != Sequence.State.WAITING || sequence.memory != null) {
                throw new IllegalStateException("waiting queue is broken at place " + count + ": " + sequence);
            }
            count++;
            tokens += sequence.promptTokens();
            before = sequence;
        }
        if (before != last || count != size || tokens != promptTokens) {
            throw new IllegalStateException("waiting queue counts " + size + " sequences and " + promptTokens
                    + " tokens, holds " + count + " and " + tokens);
        }
    }
}
