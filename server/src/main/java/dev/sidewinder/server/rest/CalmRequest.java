package dev.sidewinder.server.rest;

import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.impl.HttpServerRequestInternal;
import io.vertx.core.http.impl.HttpServerRequestWrapper;

/// A request whose body may have been read already. Quarkus REST pauses every request it gets, and an HTTP/2 request that
/// has ended answers that with an exception; here it is simply done.
final class CalmRequest extends HttpServerRequestWrapper {

    CalmRequest(HttpServerRequest request) {
        super((HttpServerRequestInternal) request);
    }

    @Override
    public HttpServerRequest pause() {
        if (!delegate.isEnded()) {
            delegate.pause();
        }
        return this;
    }

    @Override
    public HttpServerRequest resume() {
        if (!delegate.isEnded()) {
            delegate.resume();
        }
        return this;
    }

    @Override
    public HttpServerRequest fetch(long amount) {
        if (!delegate.isEnded()) {
            delegate.fetch(amount);
        }
        return this;
    }
}
