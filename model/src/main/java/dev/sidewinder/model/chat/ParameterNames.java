package dev.sidewinder.model.chat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/// Follows the text of a call that keeps to the frame, and knows the names of its parameters: no name may come twice, and
/// which have come is more than an automaton can tell. One per call, one thread.
final class ParameterNames {
    private static final byte[] NAME_START = "\n<function=".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] KEY_START = CallText.PARAMETER.getBytes(StandardCharsets.US_ASCII);
    private static final byte[] VALUE_END = CallText.PARAMETER_END.getBytes(StandardCharsets.US_ASCII);

    private enum Part {
        BEFORE_NAME, NAME, BETWEEN, KEY, VALUE, END
    }

    private final Set<String> freeTools;
    private Part part = Part.BEFORE_NAME;
    /// Bytes of the part's fixed text that are there.
    private int progress;
    private byte[] name = new byte[64];
    private int nameLength;
    private boolean free;
    private boolean repeated;
    private final List<byte[]> keys = new ArrayList<>();

    /// @param freeTools names of the tools whose parameters may have any name
    ParameterNames(Set<String> freeTools) {
        this.freeTools = freeTools;
    }

    /// Begins another call.
    void restart() {
        part = Part.BEFORE_NAME;
        progress = 0;
        nameLength = 0;
        free = false;
        repeated = false;
        keys.clear();
    }

    /// Becomes the same as another, whose names it does not change.
    void copyOf(ParameterNames other) {
        part = other.part;
        progress = other.progress;
        if (name.length < other.nameLength) {
            name = new byte[other.name.length];
        }
        System.arraycopy(other.name, 0, name, 0, other.nameLength);
        nameLength = other.nameLength;
        free = other.free;
        repeated = other.repeated;
        keys.clear();
        keys.addAll(other.keys);
    }

    /// How many closing angle brackets a token needs for it to complete a name that must not come; 0 = none can.
    int bracketsToRepeat() {
        if (part == Part.END || part == Part.VALUE && !free) {
            return 0;
        }
        if (free && !keys.isEmpty()) {
            // out of a value, one bracket ends that
            return part == Part.VALUE ? 2 : 1;
        }
        // only a token that holds two whole names, and what stands between them
        return 3;
    }

    /// Whether a name came twice.
    boolean repeated() {
        return repeated;
    }

    /// Bytes of the name that is being written; 0 outside of one, and where names are given.
    int keyBytes() {
        return free && part == Part.KEY ? nameLength : 0;
    }

    void accept(byte[] bytes) {
        for (byte next : bytes) {
            accept(next);
        }
    }

    private void accept(byte next) {
        switch (part) {
            case BEFORE_NAME -> advance(NAME_START, Part.NAME);
            case NAME -> {
                if (next == '>') {
                    free = freeTools.contains(new String(name, 0, nameLength, StandardCharsets.UTF_8));
                    // the newline behind it counts as the one behind a parameter
                    begin(Part.BETWEEN, -1);
                } else {
                    append(next);
                }
            }
            case BETWEEN -> {
                if (progress == 1 && next == '/') {
                    begin(Part.END, 0);
                } else {
                    advance(KEY_START, Part.KEY);
                }
            }
            case KEY -> {
                if (next == '>') {
                    byte[] key = Arrays.copyOf(name, nameLength);
                    repeated |= keys.stream().anyMatch(known -> Arrays.equals(known, key));
                    keys.add(key);
                    begin(Part.VALUE, 0);
                } else {
                    append(next);
                }
            }
            case VALUE -> {
                progress = next == VALUE_END[progress] ? progress + 1 : next == VALUE_END[0] ? 1 : 0;
                if (progress == VALUE_END.length) {
                    begin(Part.BETWEEN, -1);
                }
            }
            case END -> { }
        }
    }

    private void advance(byte[] fixed, Part then) {
        if (++progress == fixed.length) {
            begin(then, 0);
        }
    }

    private void begin(Part next, int at) {
        part = next;
        progress = at;
        nameLength = 0;
    }

    private void append(byte next) {
        if (nameLength == name.length) {
            name = Arrays.copyOf(name, 2 * nameLength);
        }
        name[nameLength++] = next;
    }
}
