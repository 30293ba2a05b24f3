package dev.sidewinder.model.grammar;

/// Characters as expressions over the bytes of their UTF-8.
///
/// Source: Unicode 15, table 3-7 "Well-Formed UTF-8 Byte Sequences".
public final class Utf8 {

    private static final ByteSet NEXT = ByteSet.range(0x80, 0xBF);

    private Utf8() {}

    /// One character: an ASCII one of the set, or any other.
    public static Expression character(Expressions make, ByteSet ascii) {
        Expression next = make.oneOf(NEXT);
        return make.anyOf(
                make.oneOf(ascii),
                make.sequence(lead(make, 0xC2, 0xDF), next),
                make.sequence(lead(make, 0xE0, 0xE0), lead(make, 0xA0, 0xBF), next),
                make.sequence(lead(make, 0xE1, 0xEC), next, next),
                make.sequence(lead(make, 0xED, 0xED), lead(make, 0x80, 0x9F), next),
                make.sequence(lead(make, 0xEE, 0xEF), next, next),
                make.sequence(lead(make, 0xF0, 0xF0), lead(make, 0x90, 0xBF), next, next),
                make.sequence(lead(make, 0xF1, 0xF3), next, next, next),
                make.sequence(lead(make, 0xF4, 0xF4), lead(make, 0x80, 0x8F), next, next));
    }

    private static Expression lead(Expressions make, int from, int to) {
        return make.oneOf(ByteSet.range(from, to));
    }
}
