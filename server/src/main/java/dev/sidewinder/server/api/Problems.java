package dev.sidewinder.server.api;

import java.util.ArrayList;
import java.util.List;

/// Collects the mistakes of one request: the first one is the answer, a few more are listed with it.
final class Problems {

    private ApiError first;
    private final List<ApiError.Detail> more = new ArrayList<>();

    void add(String code, String param, String message) {
        if (first == null) {
            first = ApiErrors.invalid(code, param, message).error();
        } else if (more.size() < ApiError.MAX_DETAILS) {
            more.add(new ApiError.Detail(param, code));
        }
    }

    void wrongType(String param, String expected) {
        add("invalid_type", param, "'" + param + "' must be " + expected + ".");
    }

    void missing(String param) {
        add("missing_required_parameter", param, "'" + param + "' is missing.");
    }

    /// The client asks for something that this build does not do yet: never ignored where the answer would be wrong.
    void notYet(String code, String param, String feature) {
        add(code, param, "This build does not support " + feature + " yet.");
    }

    boolean any() {
        return first != null;
    }

    /// @throws ApiException the first mistake, with up to 8 more
    void throwIfAny() {
        if (first != null) {
            throw new ApiException(new ApiError(first.status(), first.type(), first.code(), first.message(),
                    first.param(), more, first.retry()));
        }
    }
}
