// driver_state.cpp: errors, reset, and the work of streams.

#include "driver_state.h"

#include "planted_fault.h"

#include <dlfcn.h>
#include <stdio.h>
#include <time.h>

#include <algorithm>

namespace emulator {

namespace {

constexpr int CAPTURE_GLOBAL = 0;
constexpr int CAPTURE_THREAD_LOCAL = 1;

double now_seconds() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

Driver& Driver::instance() {
    static Driver* driver = new Driver;  // never destroyed: helpers of the runner may outlive main
    if (driver->memory == nullptr) {
        driver->reset(Settings{});
    }
    return *driver;
}

Context*& current_context() {
    static thread_local Context* context = nullptr;
    return context;
}

std::string hex_of(const void* pointer) {
    char text[32];
    snprintf(text, sizeof(text), "%p", pointer);
    return text;
}

void Driver::reset(const Settings& wanted) {
    settings = wanted;
    random = Random(wanted.seed);
    memory = std::make_unique<Memory>(random.next(), wanted.total_bytes);
    sticky = Failure{};
    last = Failure{};
    initialized = false;
    primary = nullptr;
    primary_uses = 0;
    legacy = Stream{};
    recording = false;
    recorded.clear();
    captures.clear();
    auto clear = [](auto& handles) {
        for (auto* handle : handles) {
            delete handle;
        }
        handles.clear();
    };
    for (Module* module : modules) {
        dlclose(module->library);
    }
    clear(contexts);
    clear(modules);
    clear(streams);
    clear(events);
    clear(graphs);
    clear(executables);
}

int Driver::refuse(int code, const std::string& text) {
    last = {code, text};
    return code;
}

int Driver::enter(const char* call, bool needs_context) {
    if (sticky.code != SUCCESS) {
        last = sticky;
        return sticky.code;
    }
    if (!initialized) {
        return refuse(NOT_INITIALIZED, std::string(call) + " before cuInit");
    }
    if (int planted = planted_fault(call)) {
        Failure failure{planted, std::string(call) + ": a planted fault"};
        if (loses_context(planted)) {
            sticky = failure;
        }
        return refuse(planted, failure.text);
    }
    if (needs_context && contexts.count(current_context()) == 0) {
        return refuse(INVALID_CONTEXT, std::string(call) + ": no context is current on this thread");
    }
    return SUCCESS;
}

uint64_t Driver::next_seed() { return random.next(); }

Stream* Driver::stream_of(void* handle) {
    constexpr uintptr_t PER_THREAD = 2;
    if (reinterpret_cast<uintptr_t>(handle) <= PER_THREAD) {
        return &legacy;
    }
    auto* stream = static_cast<Stream*>(handle);
    return streams.count(stream) != 0 ? stream : nullptr;
}

int Driver::run(const Work& work, EarlyStart* next) {
    if (next != nullptr) {
        next->begin();
    }
    Failure failure = work();
    if (failure.code != SUCCESS) {
        if (next != nullptr) {
            next->abandon();
        }
        sticky = failure;
        last = failure;
        legacy.queue.clear();
        for (Stream* stream : streams) {
            stream->queue.clear();
        }
    }
    return failure.code;
}

// The legacy stream begins after all blocking streams, and they begin after it.
int Driver::drain_others_for(Stream& stream) {
    if (&stream != &legacy) {
        return stream.blocking ? drain(legacy) : static_cast<int>(SUCCESS);
    }
    for (Stream* other : streams) {
        if (other->blocking) {
            if (int code = drain(*other)) {
                return code;
            }
        }
    }
    return SUCCESS;
}

int Driver::submit(const char* call, Stream& stream, int node_type, Work work, std::shared_ptr<EarlyStart> early) {
    if (stream.capture != nullptr) {
        Capture& capture = *stream.capture;
        if (capture.invalid) {
            return refuse(CAPTURE_INVALIDATED, std::string(call) + ": the capture was invalidated by an earlier error");
        }
        capture.graph->nodes.push_back({std::move(work), stream.capture_tails, node_type, std::move(early)});
        stream.capture_tails = {capture.graph->nodes.size() - 1};
        return SUCCESS;
    }
    if (&stream == &legacy) {
        for (const auto& capture : captures) {
            if (capture->origin->blocking) {
                invalidate(*capture);
                return refuse(CAPTURE_IMPLICIT, std::string(call) + " in the legacy stream while a blocking stream is captured");
            }
        }
    }
    if (int code = drain_others_for(stream)) {
        return code;
    }
    stream.queue.push_back({Operation::Kind::WORK, std::move(work), nullptr, 0, node_type, std::move(early)});
    return settings.lazy ? static_cast<int>(SUCCESS) : drain(stream);
}

int Driver::record(Stream& stream, Event& event) {
    if (stream.capture != nullptr) {
        event.capture = stream.capture.get();
        event.captured_nodes = stream.capture_tails;
        return SUCCESS;
    }
    event.capture = nullptr;
    event.recorded++;
    event.stream = &stream;
    if (int code = drain_others_for(stream)) {
        return code;
    }
    stream.queue.push_back({Operation::Kind::RECORD, nullptr, &event, event.recorded});
    return settings.lazy ? static_cast<int>(SUCCESS) : drain(stream);
}

int Driver::wait(Stream& stream, Event& event) {
    if (event.capture != nullptr) {
        std::shared_ptr<Capture> capture;
        for (const auto& candidate : captures) {
            if (candidate.get() == event.capture) {
                capture = candidate;
            }
        }
        if (capture == nullptr) {
            return refuse(CAPTURE_ISOLATION, "cuStreamWaitEvent: the event was last recorded in a capture that has ended");
        }
        if (stream.capture != nullptr && stream.capture != capture) {
            return refuse(CAPTURE_ISOLATION, "cuStreamWaitEvent: the event belongs to another capture");
        }
        stream.capture = capture;
        stream.capture_tails.insert(event.captured_nodes.begin(), event.captured_nodes.end());
        return SUCCESS;
    }
    if (stream.capture != nullptr) {
        invalidate(*stream.capture);
        return refuse(CAPTURE_ISOLATION, "cuStreamWaitEvent: a captured stream waits for an event recorded outside of the capture");
    }
    if (event.recorded == event.completed) {
        return SUCCESS;
    }
    stream.queue.push_back({Operation::Kind::WAIT, nullptr, &event, event.recorded});
    return settings.lazy ? static_cast<int>(SUCCESS) : drain(stream);
}

int Driver::drain(Stream& stream) {
    while (!stream.queue.empty()) {
        Operation operation = std::move(stream.queue.front());
        stream.queue.pop_front();
        switch (operation.kind) {
            case Operation::Kind::WORK: {
                const Operation* next = stream.queue.empty() ? nullptr : &stream.queue.front();
                bool overlaps = operation.type == NODE_KERNEL && next != nullptr && next->early != nullptr;
                if (int code = run(operation.work, overlaps ? next->early.get() : nullptr)) {
                    return code;
                }
                break;
            }
            case Operation::Kind::RECORD:
                if (events.count(operation.event) != 0) {
                    operation.event->completed = std::max(operation.event->completed, operation.ticket);
                    operation.event->seconds = now_seconds();
                }
                break;
            case Operation::Kind::WAIT:
                if (events.count(operation.event) != 0) {
                    if (int code = drain_until(*operation.event, operation.ticket)) {
                        return code;
                    }
                }
                break;
        }
    }
    return SUCCESS;
}

int Driver::drain_until(Event& event, uint64_t ticket) {
    if (event.completed >= ticket) {
        return SUCCESS;
    }
    if (event.stream != &legacy && streams.count(event.stream) == 0) {
        event.completed = ticket;  // its stream was destroyed, which drained it
        return SUCCESS;
    }
    return drain(*event.stream);
}

int Driver::drain_all() {
    // In an order drawn from the seed: streams without events between them are independent.
    std::vector<Stream*> order(streams.begin(), streams.end());
    std::sort(order.begin(), order.end(), [](const Stream* a, const Stream* b) { return a->number < b->number; });
    order.push_back(&legacy);
    for (size_t i = order.size(); i > 1; i--) {
        std::swap(order[i - 1], order[random.below(static_cast<uint32_t>(i))]);
    }
    for (Stream* stream : order) {
        if (int code = drain(*stream)) {
            return code;
        }
    }
    return SUCCESS;
}

int Driver::refuse_in_capture(const char* call) {
    for (const auto& capture : captures) {
        bool forbids = capture->mode == CAPTURE_GLOBAL ||
                       (capture->mode == CAPTURE_THREAD_LOCAL && capture->thread == std::this_thread::get_id());
        if (forbids) {
            invalidate(*capture);
            return refuse(CAPTURE_UNSUPPORTED, std::string(call) + " while a stream is captured");
        }
    }
    return SUCCESS;
}

}  // namespace emulator
