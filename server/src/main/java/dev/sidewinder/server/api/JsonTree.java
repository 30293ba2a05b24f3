package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.ObjectMapper;

/// Writes trees of JSON. Requests are read by [StrictJson], never by this mapper.
final class JsonTree {

    static final ObjectMapper MAPPER = new ObjectMapper(StrictJson.FACTORY.copy());

    private JsonTree() {}
}
