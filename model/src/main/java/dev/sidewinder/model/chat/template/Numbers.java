package dev.sidewinder.model.chat.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;

/// Arithmetic of Python's integers and floats.
final class Numbers {
    /// beyond this a power cannot fit an integer we allow, whatever its base
    private static final int MAX_EXPONENT = Budget.MAX_INTEGER_BITS;

    /// More than twice the digits of a double: rounding twice then gives what rounding once does.
    private static final MathContext QUOTIENT_DIGITS = new MathContext(40);

    private Numbers() {}

    static boolean isNumber(Value value) {
        return value instanceof Value.Int || value instanceof Value.Real || value instanceof Value.Bool;
    }

    static double real(Value value) {
        if (value instanceof Value.Real number) {
            return number.value();
        }
        double real = Values.integer(value).doubleValue();
        if (Double.isInfinite(real)) {
            throw new RenderException("an integer is too large for a float");
        }
        return real;
    }

    static Value add(Value a, Value b) {
        return bothIntegers(a, b) ? integer(Values.integer(a).add(Values.integer(b))) : new Value.Real(real(a) + real(b));
    }

    static Value subtract(Value a, Value b) {
        return bothIntegers(a, b)
                ? integer(Values.integer(a).subtract(Values.integer(b))) : new Value.Real(real(a) - real(b));
    }

    static Value multiply(Value a, Value b) {
        return bothIntegers(a, b)
                ? integer(Values.integer(a).multiply(Values.integer(b))) : new Value.Real(real(a) * real(b));
    }

    static Value divide(Value a, Value b) {
        checkNotZero(b);
        if (bothIntegers(a, b)) {
            // the quotient of big integers may be a small float
            BigDecimal dividend = new BigDecimal(Values.integer(a));
            double quotient = dividend.divide(new BigDecimal(Values.integer(b)), QUOTIENT_DIGITS).doubleValue();
            if (Double.isInfinite(quotient)) {
                throw new RenderException("the quotient of integers is too large for a float");
            }
            return new Value.Real(quotient);
        }
        return new Value.Real(real(a) / real(b));
    }

    static Value floorDivide(Value a, Value b) {
        checkNotZero(b);
        if (bothIntegers(a, b)) {
            BigInteger[] parts = Values.integer(a).divideAndRemainder(Values.integer(b));
            boolean roundDown = parts[1].signum() != 0 && parts[1].signum() != Values.integer(b).signum();
            return integer(roundDown ? parts[0].subtract(BigInteger.ONE) : parts[0]);
        }
        double dividend = real(a);
        double divisor = real(b);
        return new Value.Real(Math.rint((dividend - floorRemainder(dividend, divisor)) / divisor));
    }

    static Value remainder(Value a, Value b) {
        checkNotZero(b);
        if (bothIntegers(a, b)) {
            BigInteger remainder = Values.integer(a).remainder(Values.integer(b));
            boolean otherSign = remainder.signum() != 0 && remainder.signum() != Values.integer(b).signum();
            return integer(otherSign ? remainder.add(Values.integer(b)) : remainder);
        }
        return new Value.Real(floorRemainder(real(a), real(b)));
    }

    /// The remainder with the sign of the divisor.
    private static double floorRemainder(double dividend, double divisor) {
        double remainder = dividend % divisor;
        if (remainder == 0) {
            return Math.copySign(0.0, divisor);
        }
        return remainder < 0 != divisor < 0 ? remainder + divisor : remainder;
    }

    static Value power(Value a, Value b) {
        if (bothIntegers(a, b) && Values.integer(b).signum() >= 0) {
            return integerPower(Values.integer(a), Values.integer(b));
        }
        double base = real(a);
        double exponent = real(b);
        if (base == 0 && exponent < 0) {
            throw new RenderException("0 cannot be raised to a negative power");
        }
        double power = Math.pow(base, exponent);
        if (Double.isInfinite(power) && !Double.isInfinite(base) && !Double.isInfinite(exponent)) {
            throw new RenderException("the result of a power is too large");
        }
        if (Double.isNaN(power) && !Double.isNaN(base) && !Double.isNaN(exponent)) {
            throw new RenderException("a power of a negative number with a fraction is not real");
        }
        return new Value.Real(power);
    }

    private static Value integerPower(BigInteger base, BigInteger exponent) {
        boolean trivial = base.bitLength() <= 1 && base.abs().compareTo(BigInteger.ONE) <= 0;
        if (trivial) {
            boolean even = !exponent.testBit(0);
            BigInteger power = exponent.signum() == 0 || base.signum() < 0 && even ? BigInteger.ONE : base;
            return integer(power);
        }
        if (exponent.bitLength() > 31 || (long) (base.abs().bitLength() - 1) * exponent.intValue() > MAX_EXPONENT) {
            throw new RenderException("an integer of more than " + Budget.MAX_INTEGER_BITS + " bits");
        }
        return integer(base.pow(exponent.intValue()));
    }

    static Value negate(Value a) {
        return a instanceof Value.Real number ? new Value.Real(-number.value()) : integer(Values.integer(a).negate());
    }

    static Value integer(BigInteger value) {
        if (value.bitLength() > Budget.MAX_INTEGER_BITS) {
            throw new RenderException("an integer of more than " + Budget.MAX_INTEGER_BITS + " bits");
        }
        return new Value.Int(value);
    }

    /// Compares exactly, an integer with a float too. Both are numbers and neither is NaN.
    static int compare(Value a, Value b) {
        if (a instanceof Value.Real x && b instanceof Value.Real y) {
            return x.value() < y.value() ? -1 : x.value() > y.value() ? 1 : 0;
        }
        if (a instanceof Value.Real x && Double.isInfinite(x.value())) {
            return x.value() > 0 ? 1 : -1;
        }
        if (b instanceof Value.Real y && Double.isInfinite(y.value())) {
            return y.value() > 0 ? -1 : 1;
        }
        return exact(a).compareTo(exact(b));
    }

    private static BigDecimal exact(Value value) {
        return value instanceof Value.Real number ? new BigDecimal(number.value()) : new BigDecimal(Values.integer(value));
    }

    static boolean isNaN(Value value) {
        return value instanceof Value.Real number && Double.isNaN(number.value());
    }

    private static boolean bothIntegers(Value a, Value b) {
        return !(a instanceof Value.Real) && !(b instanceof Value.Real);
    }

    private static void checkNotZero(Value divisor) {
        if (!Values.truth(divisor)) {
            throw new RenderException("division by zero");
        }
    }
}
