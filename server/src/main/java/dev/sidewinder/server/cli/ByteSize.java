package dev.sidewinder.server.cli;

import java.math.BigDecimal;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/// A number of bytes as people write it: `5GB` is decimal, `80GiB` binary, a bare number is bytes.
record ByteSize(long bytes) {

    private static final Pattern FORM = Pattern.compile("(\\d{1,18}(?:\\.\\d{1,9})?)\\s*(?:([kmgt]?)(i?)b?)?");

    static ByteSize parse(String text) {
        Matcher matcher = FORM.matcher(text.strip().toLowerCase(Locale.ROOT));
        if (!matcher.matches()) {
            throw new IllegalArgumentException("\"" + text + "\" is no size; expected a number with a unit, as 500MB, "
                    + "5GB or 80GiB");
        }
        String unit = matcher.group(2) == null ? "" : matcher.group(2);
        int power = "kmgt".indexOf(unit) + 1;
        if (unit.isEmpty()) {
            power = 0;
        }
        long base = "i".equals(matcher.group(3)) ? 1024 : 1000;
        BigDecimal bytes = new BigDecimal(matcher.group(1)).multiply(BigDecimal.valueOf(base).pow(power));
        if (bytes.signum() == 0 || bytes.compareTo(BigDecimal.valueOf(Long.MAX_VALUE)) > 0) {
            throw new IllegalArgumentException("\"" + text + "\" is not between 1 byte and 2^63");
        }
        return new ByteSize(bytes.longValue());
    }

    /// For options.
    static final class Converter implements ITypeConverter<ByteSize> {
        @Override
        public ByteSize convert(String text) {
            try {
                return parse(text);
            } catch (IllegalArgumentException mistake) {
                throw new TypeConversionException(mistake.getMessage());
            }
        }
    }
}
