package dev.sidewinder.model.tokenizer;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/// One tokenizer inside the native library. Safe for use by many threads; closing waits for calls under way, because the
/// library would read freed memory otherwise.
final class NativeTokenizer implements AutoCloseable {
    private final TokenizersLibrary library;
    private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();
    private long handle;

    /// @throws RuntimeException whatever the library says about a file it cannot use
    NativeTokenizer(String json) {
        library = NativeLibrary.get();
        handle = library.createTokenizerFromString(json);
        // a file may ask for both; a server must see the whole prompt and nothing else
        library.disableTruncation(handle);
        library.disablePadding(handle);
    }

    /// @param text well-formed UTF-16: the border to the library garbles lone surrogates
    int[] encode(String text, boolean addSpecialTokens) {
        lock.readLock().lock();
        try {
            long encoding = library.encode(open(), text, addSpecialTokens);
            try {
                long[] wide = library.getTokenIds(encoding);
                int[] ids = new int[wide.length];
                for (int i = 0; i < ids.length; i++) {
                    ids[i] = (int) wide[i];
                }
                return ids;
            } finally {
                library.deleteEncoding(encoding);
            }
        } finally {
            lock.readLock().unlock();
        }
    }

    /// What the library makes of one id.
    String decode(int id) {
        lock.readLock().lock();
        try {
            return library.decode(open(), new long[] {id}, false);
        } finally {
            lock.readLock().unlock();
        }
    }

    private long open() {
        if (handle == 0) {
            throw new IllegalStateException("the tokenizer is closed");
        }
        return handle;
    }

    @Override
    public void close() {
        lock.writeLock().lock();
        try {
            if (handle != 0) {
                library.deleteTokenizer(handle);
                handle = 0;
            }
        } finally {
            lock.writeLock().unlock();
        }
    }
}
