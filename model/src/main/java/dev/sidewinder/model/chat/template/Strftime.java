package dev.sidewinder.model.chat.template;

import java.time.ZonedDateTime;
import java.time.format.TextStyle;
import java.util.Locale;

/// `strftime_now`: the date and time in the form of C's `strftime`, English names.
final class Strftime {
    private Strftime() {}

    static Text format(Render render, Text format) {
        ZonedDateTime now = ZonedDateTime.now(render.clock());
        String pattern = render.read(format);
        TextBuilder formatted = new TextBuilder(pattern.length() + 16);
        for (int i = 0; i < pattern.length(); i++) {
            if (pattern.charAt(i) != '%' || i + 1 == pattern.length()) {
                formatted.append(pattern, i, i + 1, format.fromTemplate(i));
                continue;
            }
            boolean unpadded = pattern.charAt(i + 1) == '-' && i + 2 < pattern.length();
            char directive = pattern.charAt(unpadded ? i + 2 : i + 1);
            String field = field(now, directive);
            formatted.append(unpadded ? withoutPadding(field) : field);
            i += unpadded ? 2 : 1;
        }
        return formatted.text();
    }

    private static String withoutPadding(String field) {
        String stripped = field.replaceFirst("^[0 ]+", "");
        return stripped.isEmpty() ? "0" : stripped;
    }

    private static String field(ZonedDateTime now, char directive) {
        return switch (directive) {
            case 'Y' -> Integer.toString(now.getYear());
            case 'C' -> two(now.getYear() / 100);
            case 'y' -> two(now.getYear() % 100);
            case 'm' -> two(now.getMonthValue());
            case 'd' -> two(now.getDayOfMonth());
            case 'e' -> String.format("%2d", now.getDayOfMonth());
            case 'H' -> two(now.getHour());
            case 'I' -> two((now.getHour() + 11) % 12 + 1);
            case 'M' -> two(now.getMinute());
            case 'S' -> two(now.getSecond());
            case 'f' -> String.format("%06d", now.getNano() / 1000);
            case 'j' -> String.format("%03d", now.getDayOfYear());
            case 'p' -> now.getHour() < 12 ? "AM" : "PM";
            case 'A' -> now.getDayOfWeek().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
            case 'a' -> now.getDayOfWeek().getDisplayName(TextStyle.SHORT, Locale.ENGLISH);
            case 'B' -> now.getMonth().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
            // the short form of Java's English is "Sept"
            case 'b', 'h' -> now.getMonth().getDisplayName(TextStyle.FULL, Locale.ENGLISH).substring(0, 3);
            case 'u' -> Integer.toString(now.getDayOfWeek().getValue());
            case 'w' -> Integer.toString(now.getDayOfWeek().getValue() % 7);
            case 'U' -> two((now.getDayOfYear() + 6 - now.getDayOfWeek().getValue() % 7) / 7);
            case 'W' -> two((now.getDayOfYear() + 6 - (now.getDayOfWeek().getValue() + 6) % 7) / 7);
            case 'D' -> join(now, "m/d/y");
            case 'F' -> join(now, "Y-m-d");
            case 'T', 'X' -> join(now, "H:M:S");
            case 'R' -> join(now, "H:M");
            case 'x' -> join(now, "m/d/y");
            case 'c' -> join(now, "a b e H:M:S Y");
            case 's' -> Long.toString(now.toEpochSecond());
            case 'n' -> "\n";
            case 't' -> "\t";
            case '%' -> "%";
            // Python's datetime without a zone, which transformers uses, prints nothing for these
            case 'z', 'Z' -> "";
            default -> "%" + directive;
        };
    }

    /// Replaces each letter of `fields` by its field.
    private static String join(ZonedDateTime now, String fields) {
        StringBuilder joined = new StringBuilder();
        for (char c : fields.toCharArray()) {
            joined.append(Character.isLetter(c) ? field(now, c) : String.valueOf(c));
        }
        return joined.toString();
    }

    private static String two(int number) {
        return String.format("%02d", number);
    }
}
