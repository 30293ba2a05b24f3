package dev.sidewinder.model.chat.template;

/// What one rendering may spend. A template that loops, recurses or doubles strings ends with a clear error instead of
/// taking the server's time or memory. For one thread.
final class Budget {
    static final int MAX_STEPS = 1_000_000;

    /// Of one text, and of the output: 64 Mi characters.
    static final int MAX_TEXT_CHARS = 64 << 20;

    /// Characters read or written by text operations, all together. It bounds time and, as every live text was made by
    /// some operation, memory.
    static final long MAX_WORK_CHARS = 4L * MAX_TEXT_CHARS;

    /// Macros, recursive loops and call blocks inside each other.
    static final int MAX_CALL_DEPTH = 64;

    /// Evaluations inside each other, calls included. Each takes about three frames of the Java stack; 1024 of them stay
    /// well inside half a megabyte.
    static final int MAX_EVALUATION_DEPTH = 1024;

    /// Lists and dicts inside each other, when they are printed, compared or hashed.
    static final int MAX_VALUE_DEPTH = 256;

    /// Binary digits of an integer. Python refuses to print more than 4300 decimal digits, about as much.
    static final int MAX_INTEGER_BITS = 14_284;

    private int steps;
    private long workChars;
    private int callDepth;
    private int evaluationDepth;

    void step() {
        steps(1);
    }

    /// Charges for `count` elements about to be visited or made.
    void steps(long count) {
        if (count > MAX_STEPS - steps) {
            throw new RenderException("the template takes more than " + MAX_STEPS + " steps");
        }
        steps += (int) count;
    }

    /// Charges for reading or writing `chars` characters.
    void work(long chars) {
        workChars += chars;
        if (workChars > MAX_WORK_CHARS) {
            throw new RenderException("the template handles more than " + MAX_WORK_CHARS + " characters of text");
        }
    }

    /// Checks the length of a text before it is made.
    static void checkTextLength(long chars) {
        if (chars > MAX_TEXT_CHARS) {
            throw new RenderException("a text of " + chars + " characters; at most " + MAX_TEXT_CHARS + " are allowed");
        }
    }

    static void checkValueDepth(int depth) {
        if (depth > MAX_VALUE_DEPTH) {
            throw new RenderException("a value is nested deeper than " + MAX_VALUE_DEPTH + " levels");
        }
    }

    /// Every `enterCall` that returns is followed by one `leaveCall`; a rendering that fails is over, so neither needs a
    /// `finally`.
    void enterCall() {
        if (++callDepth > MAX_CALL_DEPTH) {
            throw new RenderException("macros or loops call each other deeper than " + MAX_CALL_DEPTH + " levels");
        }
    }

    void leaveCall() {
        callDepth--;
    }

    void enterEvaluation() {
        if (++evaluationDepth > MAX_EVALUATION_DEPTH) {
            throw new RenderException("expressions and blocks are nested deeper than " + MAX_EVALUATION_DEPTH + " levels");
        }
    }

    void leaveEvaluation() {
        evaluationDepth--;
    }
}
