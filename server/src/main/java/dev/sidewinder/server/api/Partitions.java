package dev.sidewinder.server.api;

import dev.sidewinder.kvcache.Partition;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Optional;
import java.util.function.Predicate;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/// Says whose prefixes a request may use: those computed for the same tenant with the same `cache_salt`. Safe for use by many
/// threads.
///
/// A partition is two digests under a key that only this process knows, so that nobody can aim at the partition of somebody else, and
/// neither tenant nor salt can be read off it.
public final class Partitions {

    private static final String ALGORITHM = "HmacSHA256";
    public static final int KEY_BYTES = 32;

    private final SecretKeySpec key;

    /// @param key [#KEY_BYTES] unpredictable bytes
    public Partitions(byte[] key) {
        if (key.length != KEY_BYTES) {
            throw new IllegalArgumentException("a key of " + key.length + " bytes; it has " + KEY_BYTES);
        }
        this.key = new SecretKeySpec(key, ALGORITHM);
    }

    /// @param salt further divides what a tenant has; none is not the same as any
    public Partition of(Tenant tenant, Optional<String> salt) {
        byte[] name = tenant.name().getBytes(StandardCharsets.UTF_8);
        byte[] salted = salt.orElse("").getBytes(StandardCharsets.UTF_8);
        // the length of the first keeps the two apart
        ByteBuffer text = ByteBuffer.allocate(Integer.BYTES + name.length + 1 + salted.length);
        text.putInt(name.length).put(name).put((byte) (salt.isPresent() ? 1 : 0)).put(salted);
        return new Partition(owner(tenant), digest(text.array()));
    }

    /// All that a tenant has, whatever the salt.
    public Predicate<Partition> allOf(Tenant tenant) {
        long owner = owner(tenant);
        return partition -> partition.high() == owner;
    }

    private long owner(Tenant tenant) {
        byte[] name = tenant.name().getBytes(StandardCharsets.UTF_8);
        // no other text begins with this length and has nothing behind the name
        return digest(ByteBuffer.allocate(Integer.BYTES + name.length).putInt(name.length).put(name).array());
    }

    private long digest(byte[] text) {
        try {
            Mac mac = Mac.getInstance(ALGORITHM);
            mac.init(key);
            return ByteBuffer.wrap(mac.doFinal(text)).getLong();
        } catch (GeneralSecurityException missing) {
            throw new IllegalStateException("every Java runtime has " + ALGORITHM, missing);
        }
    }
}
