package dev.sidewinder.server.api;

/// What the generating routes have in common.
public record GenerationOptions(LengthOptions length, SamplingOptions sampling, StopOptions stops, StreamOptions stream,
        OutputOptions output, RequestHints hints) {}
