package dev.sidewinder.model.chat.template;

/// What Python's `str` knows about characters, where Java's `String` sees them differently.
final class PythonText {
    private PythonText() {}

    /// `str.isspace` of one character.
    static boolean isSpace(int c) {
        return c >= 9 && c <= 13 || c >= 28 && c <= 32 || c == 0x85 || c == 0xa0 || c == 0x1680
                || c >= 0x2000 && c <= 0x200a || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
    }

    static boolean isBlank(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (!isSpace(text.charAt(i))) {
                return false;
            }
        }
        return true;
    }

    static String stripRight(String text) {
        int end = text.length();
        while (end > 0 && isSpace(text.charAt(end - 1))) {
            end--;
        }
        return text.substring(0, end);
    }

    /// The length in code points, as Python counts.
    static int length(String text) {
        return text.codePointCount(0, text.length());
    }

    /// The offset of the code point with this index, `[0, length]`.
    static int offset(String text, int codePointIndex) {
        return text.codePointCount(0, text.length()) == text.length()
                ? codePointIndex : text.offsetByCodePoints(0, codePointIndex);
    }

    /// Compares by code points, as Python does; Java compares UTF-16 units.
    static int compare(String a, String b) {
        int shorter = Math.min(a.length(), b.length());
        for (int i = 0; i < shorter; i++) {
            char x = a.charAt(i);
            char y = b.charAt(i);
            if (x != y) {
                boolean bothSurrogates = Character.isSurrogate(x) == Character.isSurrogate(y);
                return bothSurrogates ? Character.compare(x, y) : Character.isSurrogate(x) ? 1 : -1;
            }
        }
        return Integer.compare(a.length(), b.length());
    }

    /// `str.splitlines` ends a line at this character (and takes `\r\n` for one end).
    static boolean isLineEnd(char c) {
        return c >= 10 && c <= 13 || c >= 28 && c <= 30 || c == 0x85 || c == 0x2028 || c == 0x2029;
    }

    /// A character as the first of a word.
    static String titleCase(int c) {
        String upper = upper(Character.toString(c));
        int title = Character.toTitleCase(c);
        // letters with a special upper case of several characters: only the first of them stays a capital
        return upper.codePointCount(0, upper.length()) == 1 ? Character.toString(title)
                : upper.substring(0, upper.offsetByCodePoints(0, 1)) + lower(upper.substring(upper.offsetByCodePoints(0, 1)));
    }

    static String lower(String text) {
        return text.toLowerCase(java.util.Locale.ROOT);
    }

    static String upper(String text) {
        return text.toUpperCase(java.util.Locale.ROOT);
    }
}
