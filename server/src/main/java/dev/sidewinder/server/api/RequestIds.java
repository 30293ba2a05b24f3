package dev.sidewinder.server.api;

/// Ids that clients give their requests. They go into headers, logs and answer ids, so only plain ones are kept.
public final class RequestIds {

    private static final int MAX_CHARS = 128;

    private RequestIds() {}

    /// Whether it matches `[A-Za-z0-9._-]{1,128}`; another is replaced by one of ours.
    public static boolean isValid(String id) {
        return id.length() <= MAX_CHARS && ToolName.isValid(id);
    }
}
