package dev.sidewinder.server.rest;

import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.EngineException;
import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.engine.session.SessionException;
import dev.sidewinder.engine.session.SessionTurn;
import dev.sidewinder.server.api.ApiErrors;
import dev.sidewinder.server.api.ApiException;
import dev.sidewinder.server.api.ChatCompletionRequest;
import dev.sidewinder.server.api.CompletionRequest;
import dev.sidewinder.server.api.GenerateRequest;
import dev.sidewinder.server.api.GenerationCall;
import dev.sidewinder.server.api.GenerationPlan;
import dev.sidewinder.server.api.NumericFailures;
import dev.sidewinder.server.api.RequestReader;
import dev.sidewinder.server.api.Tenant;
import dev.sidewinder.server.api.UnknownFields;
import dev.sidewinder.server.api.answer.AnswerAssembler;
import dev.sidewinder.server.api.answer.AnswerStream;
import dev.sidewinder.server.api.answer.CallIds;
import dev.sidewinder.server.api.answer.PlainAnswer;
import dev.sidewinder.server.api.answer.WireBuffer;
import dev.sidewinder.server.metrics.ServerMetrics.Abort;
import dev.sidewinder.server.ops.RunningModel;
import dev.sidewinder.server.ops.Serving;
import dev.sidewinder.server.settings.ServerConfig;
import io.quarkus.logging.Log;
import jakarta.inject.Singleton;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.function.BiFunction;

/// The life of a request to the model on its virtual thread: a place in the queue, then the request, then its events
/// until the answer is complete or nobody is left to read it.
@Singleton
public final class GenerationService {

    /// A token is about this long in the text of a request; the engine corrects the estimate.
    private static final int BYTES_PER_TOKEN = 3;
    /// Tokens that wait are written together up to this many bytes.
    private static final int GROUP_BYTES = 16 * 1024;
    private static final long MAX_TIMEOUT_MILLIS = 3_600_000;

    private final Serving serving;
    private final ServerConfig config;
    private final NextTurns nextTurns;
    private final CallIds callIds = new CallIds(new SecureRandom());
    private final NumericFailures numericFailures = new NumericFailures(InstantSource.system());

    public GenerationService(Serving serving, ServerConfig config) {
        this.serving = serving;
        this.config = config;
        this.nextTurns = new NextTurns(config);
    }

    /// Answers a request, whatever comes of it. To be called on a virtual thread; returns when the answer is out.
    void answer(Exchange exchange, BiFunction<RequestReader, byte[], ? extends GenerationCall> read) {
        try {
            RunningModel model = serving.model();
            try {
                run(exchange, model, read);
            } catch (EngineException e) {
                throw ApiErrors.of(e, model.metrics().queueDrain());
            } catch (SessionException e) {
                throw ApiErrors.of(e);
            }
        } catch (ApiException refusal) {
            exchange.fail(refusal);
        } catch (EventStream.GoneException e) {
            Log.debugf("request %s: %s", exchange.requestId(), e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            exchange.fail(ApiErrors.draining());
        } catch (RuntimeException bug) {
            exchange.fail(exchange.internal(bug));
        }
    }

    private void run(Exchange exchange, RunningModel model,
            BiFunction<RequestReader, byte[], ? extends GenerationCall> read) throws InterruptedException {
        Tenant tenant = exchange.caller().tenant();
        // a place first: a full queue must cost nothing but this
        Engine.Place place = model.engine().reserve(exchange.caller().share(), 1, estimate(exchange, model, 1));
        Generations generations;
        GenerationPlan plan;
        Optional<SessionTurn> session = Optional.empty();
        boolean submitted = false;
        GenerationCall call;
        try {
            Optional<String> named = SessionUse.named(exchange, model);
            RequestReader reader = named.isPresent() ? model.reader().goingOn() : model.reader();
            call = read.apply(reader, exchange.body());
            exchange.settle(call.options().hints().requestId());
            List<String> ignored = call.options().hints().ignored();
            if (!ignored.isEmpty()) {
                exchange.response().putHeader("x-sidewinder-ignored", UnknownFields.header(ignored));
                Log.debugf("request %s: ignored %s", exchange.requestId(), UnknownFields.header(ignored));
            }
            int sequences = sequences(call);
            if (sequences > 1) {
                place.close();
                place = model.engine().reserve(exchange.caller().share(), sequences, estimate(exchange, model, sequences));
            }
            session = SessionUse.begin(model, call, named, tenant);
            if (session.isPresent()) {
                plan = model.planner().plan(call, exchange.requestId(), tenant, session.get().tokens());
                generations = Generations.submit(place, session.get(), plan.requests().getFirst());
            } else {
                plan = model.planner().plan(call, exchange.requestId(), tenant);
                generations = Generations.submit(place, plan.requests());
            }
            submitted = true;
        } finally {
            place.close();
            if (!submitted) {
                session.ifPresent(SessionTurn::close);
            }
        }
        try (generations; SessionTurn turn = session.orElse(null)) {
            exchange.whenGone(generations::cancel);
            var work = new Work(exchange, model, plan, generations, session);
            if (plan.answer().stream().enabled()) {
                work.stream();
            } else {
                work.plain();
            }
            if (session.isEmpty() && call instanceof ChatCompletionRequest chat) {
                nextTurns.prepare(model, chat, plan, work.answered());
            }
        }
    }

    /// Prompt tokens of a body. No more than could be served: what is longer is refused for that, and not for now.
    private static long estimate(Exchange exchange, RunningModel model, int sequences) {
        return Math.min(exchange.body().length / BYTES_PER_TOKEN, (long) sequences * model.plan().maxModelTokens());
    }

    private static int sequences(GenerationCall call) {
        int prompts = switch (call) {
            case ChatCompletionRequest chat -> 1;
            case CompletionRequest completion -> completion.prompts().size();
            case GenerateRequest generate -> 1;
        };
        return prompts * call.options().length().choices();
    }

    /// A request that the engine has taken.
    private final class Work {
        private final Exchange exchange;
        private final RunningModel model;
        private final GenerationPlan plan;
        private final Generations generations;
        private final RequestTally tally;
        private final Optional<SessionTurn> session;
        private final long admitted = System.nanoTime();
        private final long deadline;
        private AnswerAssembler answered;

        Work(Exchange exchange, RunningModel model, GenerationPlan plan, Generations generations, Optional<SessionTurn> session) {
            this.session = session;
            this.exchange = exchange;
            this.model = model;
            this.plan = plan;
            this.generations = generations;
            this.tally = new RequestTally(model.metrics(), plan.answer(), exchange.arrivedNanos());
            this.deadline = exchange.arrivedNanos() + timeout(exchange).toNanos();
        }

        /// The answer that is out.
        AnswerAssembler answered() {
            return answered;
        }

        void plain() throws InterruptedException {
            var answer = new PlainAnswer(plan.answer(), callIds, generations::cancel);
            AnswerAssembler assembler = answer.assembler();
            while (!assembler.ended() && !exchange.isGone()) {
                takeGroup(assembler, deadline - System.nanoTime(), () -> true);
                checkDeadline(assembler);
            }
            settle(assembler);
            if (assembler.complete()) {
                exchange.answer(answer.toJson());
            }
            if (assembler.failure().isPresent()) {
                throw answerTo(assembler.failure().get());
            }
        }

        void stream() throws InterruptedException {
            var wire = new WireBuffer();
            EventStream out = exchange.stream();
            try (var answer = new AnswerStream(plan.answer(), callIds, generations::cancel, wire)) {
                AnswerAssembler assembler = answer.assembler();
                try {
                    pump(out, wire, assembler);
                } catch (EventStream.GoneException e) {
                    tally.aborted();
                    throw e;
                } catch (ApiException failure) {
                    if (!out.isOpen()) {
                        throw failure;
                    }
                    answer.writeError(failure.error());
                    out.end(wire);
                    return;
                }
                settle(assembler);
                if (assembler.failure().isPresent()) {
                    ApiException failure = answerTo(assembler.failure().get());
                    if (!out.isOpen()) {
                        throw failure;
                    }
                    exchange.note(failure.error());
                    answer.writeError(failure.error());
                }
                if (assembler.complete() || assembler.failure().isPresent()) {
                    out.end(wire);
                }
            }
        }

        /// Takes events and writes them, in groups, until the answer has ended.
        private void pump(EventStream out, WireBuffer wire, AnswerAssembler assembler) throws InterruptedException {
            while (!assembler.ended()) {
                boolean any = takeGroup(assembler, Math.min(wake(out), deadline) - System.nanoTime(),
                        () -> wire.length() < GROUP_BYTES);
                checkDeadline(assembler);
                if (exchange.isGone()) {
                    throw new EventStream.GoneException("the client has closed the connection");
                }
                if (assembler.ended()) {
                    // what is in the buffer goes out when everything is counted, or with a status of its own
                    return;
                }
                if (any) {
                    out.write(wire);
                } else if (!out.isOpen()) {
                    assembler.begin();
                    out.open(wire);
                } else {
                    out.ping();
                }
            }
        }

        /// When something must go out though there is no event.
        private long wake(EventStream out) {
            if (!out.isOpen()) {
                return admitted + config.http().streamCommitAfter().toNanos();
            }
            Duration heartbeat = config.http().heartbeat();
            return heartbeat.isZero() ? deadline : out.lastWriteNanos() + heartbeat.toNanos();
        }

        /// Waits for an event and takes those that wait behind it.
        ///
        /// @return whether there was one
        private boolean takeGroup(AnswerAssembler assembler, long nanos, java.util.function.BooleanSupplier room)
                throws InterruptedException {
            Generations.Event event = generations.next(nanos);
            if (event == null) {
                return false;
            }
            while (event != null) {
                tally.take(event);
                assembler.accept(event.prompt(), event.event());
                event = !assembler.ended() && room.getAsBoolean() ? generations.poll() : null;
            }
            tally.group(generations.times().firstToken(), assembler.usage());
            return true;
        }

        private void checkDeadline(AnswerAssembler assembler) {
            if (!assembler.ended() && System.nanoTime() >= deadline) {
                exchange.aborted(Abort.DEADLINE);
                tally.failed(false);
                throw ApiErrors.deadlineExceeded();
            }
        }

        /// The engine's part is over: counts how.
        private void settle(AnswerAssembler assembler) {
            answered = assembler;
            if (assembler.complete()) {
                // before the client hears of the end: its next request may come at once
                session.ifPresent(turn -> turn.keep(Math.toIntExact(assembler.usage().completionTokens())));
                tally.finished(generations, assembler.usage());
            } else if (assembler.failure().isPresent()) {
                count(assembler.failure().get().kind());
            } else {
                tally.aborted();
            }
            Log.debugf("request %s of %s: %s, %s", exchange.requestId(), exchange.caller().tenant().name(),
                    plan.answer().identity().model(), assembler.usage());
        }

        /// What the client is told when the engine ended its request.
        private ApiException answerTo(EngineException failure) {
            return switch (failure.kind()) {
                case NUMERIC -> {
                    ApiException answer = numericFailures.answer(plan.requests().stream().map(GenerationRequest::prompt).toList());
                    if (numericFailures.showDamage()) {
                        Log.error("different prompts came to NaN or infinity within a minute: weights or memory are damaged");
                        serving.fail();
                    }
                    yield answer;
                }
                // the end of a failed server stops the engine as that of a drained one does
                case DRAINING -> serving.hasFailed() ? ApiErrors.engineFailed() : ApiErrors.draining();
                case OVERLOADED, SHARE_USED_UP, QUEUE_TIMEOUT, DEADLINE_EXCEEDED, ENGINE_FAILED, SLOW_READER, TOO_LARGE ->
                    ApiErrors.of(failure, model.metrics().queueDrain());
            };
        }

        private void count(EngineException.Kind kind) {
            tally.failed(kind == EngineException.Kind.NUMERIC);
            switch (kind) {
                case DEADLINE_EXCEEDED -> exchange.aborted(Abort.DEADLINE);
                case SLOW_READER -> exchange.aborted(Abort.SLOW_READER);
                case DRAINING -> exchange.aborted(Abort.DRAIN);
                case ENGINE_FAILED -> exchange.aborted(Abort.ENGINE_FAULT);
                case OVERLOADED, SHARE_USED_UP, QUEUE_TIMEOUT, NUMERIC, TOO_LARGE -> { }
            }
        }

        private Duration timeout(Exchange exchange) {
            String asked = exchange.request().getHeader("x-request-timeout-ms");
            Duration most = config.work().totalTime();
            if (asked == null) {
                return most;
            }
            try {
                long millis = Long.parseLong(asked.strip());
                if (millis >= 1 && millis <= MAX_TIMEOUT_MILLIS) {
                    Duration wanted = Duration.ofMillis(millis);
                    return wanted.compareTo(most) < 0 ? wanted : most;
                }
            } catch (NumberFormatException e) {
                // refused below
            }
            throw ApiErrors.invalid("invalid_value", "x-request-timeout-ms",
                    "The header x-request-timeout-ms takes an integer from 1 to " + MAX_TIMEOUT_MILLIS + ".");
        }
    }
}
