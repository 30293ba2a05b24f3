package dev.sidewinder.server.api.answer;

import dev.sidewinder.server.api.ApiError;

/// An answer as a stream: hand events to [#assembler], and take the bytes of whole server-sent events from `out` after
/// each call. For one thread.
///
///     stream.assembler().accept(prompt, event);
///     socket.write(out.array(), 0, out.length());
///     out.reset();
public final class AnswerStream implements AutoCloseable {

    private final AnswerPlan plan;
    private final EventWriter events;
    private final AnswerAssembler assembler;

    /// @param out takes the bytes; belongs to the caller, who empties it
    public AnswerStream(AnswerPlan plan, CallIds ids, AnswerAssembler.Canceller canceller, WireBuffer out) {
        this.plan = plan;
        this.events = new EventWriter(out);
        AnswerSink sink = switch (plan.form()) {
            case CHAT -> new ChatChunks(plan, events, ids, this::usage);
            case TEXT -> new TextChunks(plan, events, this::usage);
            case GENERATE -> new GenerateEvents(events);
        };
        this.assembler = new AnswerAssembler(plan, sink, canceller);
    }

    public AnswerAssembler assembler() {
        return assembler;
    }

    private Usage usage() {
        return assembler.usage();
    }

    /// Ends the stream with an error event; no `[DONE]` follows, so the text never passes for complete.
    public void writeError(ApiError error) {
        events.error(error, plan.identity().requestId());
    }

    @Override
    public void close() {
        events.close();
    }
}
