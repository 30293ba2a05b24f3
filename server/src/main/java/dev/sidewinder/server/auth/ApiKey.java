package dev.sidewinder.server.auth;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;

/// A key as the server knows it: by its digest only. The key itself is never kept, written or logged.
public final class ApiKey {

    static final int DIGEST_BYTES = 32;

    private final Caller owner;
    private final byte[] digest;

    /// @param digest SHA-256 of the key
    ApiKey(Caller owner, byte[] digest) {
        if (digest.length != DIGEST_BYTES) {
            throw new IllegalArgumentException("a digest of " + digest.length + " bytes; SHA-256 has " + DIGEST_BYTES);
        }
        this.owner = owner;
        this.digest = digest.clone();
    }

    /// The digest that the file has for a key: of its bytes as they stand in a header.
    public static byte[] digestOf(String key) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(key.getBytes(StandardCharsets.ISO_8859_1));
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException("every Java platform has SHA-256", impossible);
        }
    }

    Caller owner() {
        return owner;
    }

    /// Takes the same time whatever the digest.
    boolean fits(byte[] presented) {
        return MessageDigest.isEqual(digest, presented);
    }

    boolean hasDigestOf(ApiKey other) {
        return Arrays.equals(digest, other.digest);
    }

    @Override
    public String toString() {
        return "key of " + owner.tenant().name();
    }
}
