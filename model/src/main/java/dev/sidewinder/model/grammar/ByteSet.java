package dev.sidewinder.model.grammar;

/// A set of byte values, 0 to 255.
///
/// @param first  members 0 to 63, one bit each
/// @param second members 64 to 127
/// @param third  members 128 to 191
/// @param fourth members 192 to 255
public record ByteSet(long first, long second, long third, long fourth) {

    static final ByteSet NONE = new ByteSet(0, 0, 0, 0);
    static final ByteSet ALL = new ByteSet(-1, -1, -1, -1);

    /// A value alone.
    public static ByteSet of(int value) {
        return range(value, value);
    }

    /// The ASCII characters of a text.
    public static ByteSet of(String characters) {
        ByteSet set = NONE;
        for (int i = 0; i < characters.length(); i++) {
            set = set.or(of(characters.charAt(i)));
        }
        return set;
    }

    /// All values from one to another, both included.
    public static ByteSet range(int from, int to) {
        if (from < 0 || to > 255 || from > to) {
            throw new IllegalArgumentException("no range of bytes: " + from + " to " + to);
        }
        long[] words = new long[4];
        for (int value = from; value <= to; value++) {
            words[value >> 6] |= 1L << value;
        }
        return new ByteSet(words[0], words[1], words[2], words[3]);
    }

    public ByteSet or(ByteSet other) {
        return new ByteSet(first | other.first, second | other.second, third | other.third, fourth | other.fourth);
    }

    public ByteSet without(ByteSet other) {
        return new ByteSet(first & ~other.first, second & ~other.second, third & ~other.third, fourth & ~other.fourth);
    }

    public boolean contains(int value) {
        long word = switch (value >> 6) {
            case 0 -> first;
            case 1 -> second;
            case 2 -> third;
            default -> fourth;
        };
        return (word >>> value & 1) != 0;
    }

    public boolean isEmpty() {
        return (first | second | third | fourth) == 0;
    }
}
