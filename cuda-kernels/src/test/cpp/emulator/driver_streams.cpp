// driver_streams.cpp: streams, events, capture and graphs.

#include "driver_state.h"

using namespace emulator;

namespace {

constexpr int NODE_HOST = 3;
constexpr int NODE_GRAPH = 4;
constexpr unsigned STREAM_NON_BLOCKING = 1;
constexpr int CAPTURE_STATUS_NONE = 0;
constexpr int CAPTURE_STATUS_ACTIVE = 1;
constexpr int CAPTURE_STATUS_INVALIDATED = 2;
constexpr int GRAPH_UPDATE_FAILED = 910;

uint64_t stream_count = 0;

std::lock_guard<std::recursive_mutex> locked() { return std::lock_guard(Driver::instance().lock); }

// Enters a call about a stream; null with the code in *result when it is refused.
Stream* enter_stream(const char* call, void* handle, int* result) {
    Driver& driver = Driver::instance();
    *result = driver.enter(call);
    if (*result != SUCCESS) {
        return nullptr;
    }
    Stream* stream = driver.stream_of(handle);
    if (stream == nullptr) {
        *result = driver.refuse(INVALID_HANDLE, std::string(call) + ": no such stream");
    }
    return stream;
}

bool enter_event(const char* call, Event* event, int* result) {
    Driver& driver = Driver::instance();
    *result = driver.enter(call);
    if (*result == SUCCESS && driver.events.count(event) == 0) {
        *result = driver.refuse(INVALID_HANDLE, std::string(call) + ": no such event");
    }
    return *result == SUCCESS;
}

int refuse_capturing(const char* call, Stream& stream) {
    Driver& driver = Driver::instance();
    if (stream.capture == nullptr) {
        return SUCCESS;
    }
    driver.invalidate(*stream.capture);
    return driver.refuse(CAPTURE_UNSUPPORTED, std::string(call) + " of a stream that is being captured");
}

int refuse_captured(const char* call, const Event& event) {
    Driver& driver = Driver::instance();
    if (event.capture == nullptr) {
        return SUCCESS;
    }
    for (const auto& capture : driver.captures) {
        if (capture.get() == event.capture) {
            driver.invalidate(*capture);
        }
    }
    return driver.refuse(CAPTURE_UNSUPPORTED, std::string(call) + " of an event that was recorded in a capture");
}

int add_stream(Stream** result, unsigned flags, int priority) {
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuStreamCreate")) {
        return code;
    }
    auto* stream = new Stream;
    stream->blocking = (flags & STREAM_NON_BLOCKING) == 0;
    stream->flags = flags;
    stream->priority = priority;
    stream->number = ++stream_count;
    driver.streams.insert(stream);
    *result = stream;
    return SUCCESS;
}

// ---- graphs ---------------------------------------------------------------------------------------------------------

// Nodes that follow from `tails` backwards.
std::set<size_t> ancestors(const Graph& graph, const std::set<size_t>& tails) {
    std::set<size_t> seen;
    std::vector<size_t> open(tails.begin(), tails.end());
    while (!open.empty()) {
        size_t node = open.back();
        open.pop_back();
        if (seen.insert(node).second) {
            const auto& before = graph.nodes[node].dependencies;
            open.insert(open.end(), before.begin(), before.end());
        }
    }
    return seen;
}

// The node that may begin while this one runs; it is the only one behind it.
EarlyStart* overlapping_successor(const Graph& graph, size_t node) {
    EarlyStart* successor = nullptr;
    int behind = 0;
    for (const GraphNode& other : graph.nodes) {
        if (other.dependencies.count(node) != 0) {
            behind++;
            successor = other.dependencies.size() == 1 ? other.early.get() : nullptr;
        }
    }
    return behind == 1 && graph.nodes[node].type == NODE_KERNEL ? successor : nullptr;
}

// Runs the nodes in an order drawn from the seed among those that the dependencies allow: one too few shows.
Failure run_graph(const Graph& graph, Random random) {
    std::vector<bool> done(graph.nodes.size(), false);
    for (size_t count = 0; count < graph.nodes.size(); count++) {
        std::vector<size_t> ready;
        for (size_t i = 0; i < graph.nodes.size(); i++) {
            bool free = !done[i];
            for (size_t before : graph.nodes[i].dependencies) {
                free = free && done[before];
            }
            if (free) {
                ready.push_back(i);
            }
        }
        size_t choice = ready[random.below(static_cast<uint32_t>(ready.size()))];
        done[choice] = true;
        EarlyStart* next = overlapping_successor(graph, choice);
        if (next != nullptr) {
            next->begin();
        }
        Failure failure = graph.nodes[choice].work();
        if (failure.code != SUCCESS) {
            if (next != nullptr) {
                next->abandon();
            }
            failure.text = "node " + std::to_string(choice) + " of a graph: " + failure.text;
            return failure;
        }
    }
    return {};
}

int instantiate(Graph** executable, Graph* graph) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuGraphInstantiate")) {
        return code;
    }
    if (driver.graphs.count(graph) == 0) {
        return driver.refuse(INVALID_HANDLE, "cuGraphInstantiate: no such graph");
    }
    *executable = new Graph(*graph);
    driver.executables.insert(*executable);
    return SUCCESS;
}

}  // namespace

// ---- streams --------------------------------------------------------------------------------------------------------

DRIVER_CALL cuStreamCreate(Stream** stream, unsigned flags) {
    auto guard = locked();
    return add_stream(stream, flags, 0);
}

DRIVER_CALL cuStreamCreateWithPriority(Stream** stream, unsigned flags, int priority) {
    auto guard = locked();
    return add_stream(stream, flags, priority);
}

DRIVER_CALL cuStreamDestroy_v2(Stream* handle) {
    auto guard = locked();
    int code;
    Stream* stream = enter_stream("cuStreamDestroy", handle, &code);
    if (stream == nullptr) {
        return code;
    }
    Driver& driver = Driver::instance();
    if (stream == &driver.legacy) {
        return driver.refuse(INVALID_HANDLE, "cuStreamDestroy of the legacy stream");
    }
    if (int refused = refuse_capturing("cuStreamDestroy", *stream)) {
        return refused;
    }
    code = driver.drain(*stream);
    driver.streams.erase(stream);
    delete stream;
    return code;
}

DRIVER_CALL cuStreamSynchronize(void* handle) {
    auto guard = locked();
    int code;
    Stream* stream = enter_stream("cuStreamSynchronize", handle, &code);
    if (stream == nullptr) {
        return code;
    }
    if (int refused = refuse_capturing("cuStreamSynchronize", *stream)) {
        return refused;
    }
    return Driver::instance().drain(*stream);
}

DRIVER_CALL cuStreamQuery(void* handle) {
    auto guard = locked();
    int code;
    Stream* stream = enter_stream("cuStreamQuery", handle, &code);
    if (stream == nullptr) {
        return code;
    }
    if (int refused = refuse_capturing("cuStreamQuery", *stream)) {
        return refused;
    }
    // Not ready once, then done: a caller that asks again gets on.
    if (stream->queue.empty()) {
        return SUCCESS;
    }
    code = Driver::instance().drain(*stream);
    return code == SUCCESS ? static_cast<int>(NOT_READY) : code;
}

DRIVER_CALL cuStreamWaitEvent(void* handle, Event* event, unsigned) {
    auto guard = locked();
    int code;
    Stream* stream = enter_stream("cuStreamWaitEvent", handle, &code);
    if (stream == nullptr || !enter_event("cuStreamWaitEvent", event, &code)) {
        return code;
    }
    return Driver::instance().wait(*stream, *event);
}

DRIVER_CALL cuStreamGetFlags(void* handle, unsigned* flags) {
    auto guard = locked();
    int code;
    Stream* stream = enter_stream("cuStreamGetFlags", handle, &code);
    if (stream != nullptr) {
        *flags = stream->flags;
    }
    return code;
}

DRIVER_CALL cuStreamGetPriority(void* handle, int* priority) {
    auto guard = locked();
    int code;
    Stream* stream = enter_stream("cuStreamGetPriority", handle, &code);
    if (stream != nullptr) {
        *priority = stream->priority;
    }
    return code;
}

DRIVER_CALL cuLaunchHostFunc(void* handle, void (*function)(void*), void* data) {
    auto guard = locked();
    int code;
    Stream* stream = enter_stream("cuLaunchHostFunc", handle, &code);
    if (stream == nullptr) {
        return code;
    }
    return Driver::instance().submit("cuLaunchHostFunc", *stream, NODE_HOST, [=] {
        function(data);
        return Failure{};
    });
}

// ---- capture --------------------------------------------------------------------------------------------------------

DRIVER_CALL cuStreamBeginCapture_v2(void* handle, int mode) {
    auto guard = locked();
    int code;
    Stream* stream = enter_stream("cuStreamBeginCapture", handle, &code);
    if (stream == nullptr) {
        return code;
    }
    Driver& driver = Driver::instance();
    if (stream == &driver.legacy) {
        return driver.refuse(CAPTURE_UNSUPPORTED, "cuStreamBeginCapture of the legacy stream");
    }
    if (stream->capture != nullptr) {
        return driver.refuse(INVALID_VALUE, "cuStreamBeginCapture of a stream that is being captured");
    }
    stream->capture = std::make_shared<Capture>();
    stream->capture->origin = stream;
    stream->capture->mode = mode;
    stream->capture->thread = std::this_thread::get_id();
    stream->capture_tails.clear();
    driver.captures.insert(stream->capture);
    return SUCCESS;
}

DRIVER_CALL cuStreamEndCapture(void* handle, Graph** graph) {
    auto guard = locked();
    int code;
    Stream* stream = enter_stream("cuStreamEndCapture", handle, &code);
    if (stream == nullptr) {
        return code;
    }
    Driver& driver = Driver::instance();
    std::shared_ptr<Capture> capture = stream->capture;
    *graph = nullptr;
    if (capture == nullptr) {
        return driver.refuse(INVALID_VALUE, "cuStreamEndCapture of a stream that is not captured");
    }
    if (capture->origin != stream) {
        return driver.refuse(CAPTURE_UNMATCHED, "cuStreamEndCapture of a stream in which the capture did not begin");
    }
    std::set<size_t> joined = ancestors(*capture->graph, stream->capture_tails);
    bool unjoined = false;
    for (Stream* other : driver.streams) {
        if (other->capture == capture) {
            for (size_t tail : other->capture_tails) {
                unjoined = unjoined || joined.count(tail) == 0;
            }
            other->capture = nullptr;
            other->capture_tails.clear();
        }
    }
    driver.captures.erase(capture);
    if (capture->invalid) {
        return driver.refuse(CAPTURE_INVALIDATED, "cuStreamEndCapture: the capture was invalidated; the call that did so has failed before");
    }
    if (unjoined) {
        return driver.refuse(CAPTURE_UNJOINED, "cuStreamEndCapture: a stream that joined the capture has work that the first stream does not wait for");
    }
    *graph = capture->graph.release();
    driver.graphs.insert(*graph);
    return SUCCESS;
}

DRIVER_CALL cuStreamIsCapturing(void* handle, int* status) {
    auto guard = locked();
    int code;
    Stream* stream = enter_stream("cuStreamIsCapturing", handle, &code);
    if (stream != nullptr) {
        *status = stream->capture == nullptr ? CAPTURE_STATUS_NONE
                  : stream->capture->invalid ? CAPTURE_STATUS_INVALIDATED
                                             : CAPTURE_STATUS_ACTIVE;
    }
    return code;
}

// ---- events ---------------------------------------------------------------------------------------------------------

DRIVER_CALL cuEventCreate(Event** event, unsigned) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuEventCreate")) {
        return code;
    }
    *event = new Event;
    driver.events.insert(*event);
    return SUCCESS;
}

DRIVER_CALL cuEventDestroy_v2(Event* event) {
    auto guard = locked();
    int code;
    if (!enter_event("cuEventDestroy", event, &code)) {
        return code;
    }
    Driver& driver = Driver::instance();
    code = driver.drain_until(*event, event->recorded);
    driver.events.erase(event);
    delete event;
    return code;
}

DRIVER_CALL cuEventRecord(Event* event, void* handle) {
    auto guard = locked();
    int code;
    Stream* stream = enter_stream("cuEventRecord", handle, &code);
    if (stream == nullptr || !enter_event("cuEventRecord", event, &code)) {
        return code;
    }
    return Driver::instance().record(*stream, *event);
}

DRIVER_CALL cuEventRecordWithFlags(Event* event, void* handle, unsigned) { return cuEventRecord(event, handle); }

DRIVER_CALL cuEventSynchronize(Event* event) {
    auto guard = locked();
    int code;
    if (!enter_event("cuEventSynchronize", event, &code)) {
        return code;
    }
    if (int refused = refuse_captured("cuEventSynchronize", *event)) {
        return refused;
    }
    return Driver::instance().drain_until(*event, event->recorded);
}

DRIVER_CALL cuEventQuery(Event* event) {
    auto guard = locked();
    int code;
    if (!enter_event("cuEventQuery", event, &code)) {
        return code;
    }
    if (int refused = refuse_captured("cuEventQuery", *event)) {
        return refused;
    }
    if (event->completed >= event->recorded) {
        return SUCCESS;
    }
    code = Driver::instance().drain_until(*event, event->recorded);
    return code == SUCCESS ? static_cast<int>(NOT_READY) : code;
}

DRIVER_CALL cuEventElapsedTime(float* milliseconds, Event* begin, Event* end) {
    auto guard = locked();
    int code;
    if (!enter_event("cuEventElapsedTime", begin, &code) || !enter_event("cuEventElapsedTime", end, &code)) {
        return code;
    }
    Driver& driver = Driver::instance();
    if (begin->recorded == 0 || end->recorded == 0) {
        return driver.refuse(INVALID_HANDLE, "cuEventElapsedTime of an event that was never recorded");
    }
    if (begin->completed < begin->recorded || end->completed < end->recorded) {
        return driver.refuse(NOT_READY, "cuEventElapsedTime before both events have passed");
    }
    *milliseconds = static_cast<float>((end->seconds - begin->seconds) * 1e3);
    return SUCCESS;
}

// ---- graphs ---------------------------------------------------------------------------------------------------------

DRIVER_CALL cuGraphInstantiateWithFlags(Graph** executable, Graph* graph, unsigned long long) { return instantiate(executable, graph); }

DRIVER_CALL cuGraphInstantiate_v2(Graph** executable, Graph* graph, void**, char*, size_t) { return instantiate(executable, graph); }

DRIVER_CALL cuGraphUpload(Graph* executable, void* handle) {
    auto guard = locked();
    int code;
    Stream* stream = enter_stream("cuGraphUpload", handle, &code);
    if (stream == nullptr) {
        return code;
    }
    Driver& driver = Driver::instance();
    return driver.executables.count(executable) != 0
               ? static_cast<int>(SUCCESS)
               : driver.refuse(INVALID_HANDLE, "cuGraphUpload: no such executable graph");
}

DRIVER_CALL cuGraphLaunch(Graph* executable, void* handle) {
    auto guard = locked();
    int code;
    Stream* stream = enter_stream("cuGraphLaunch", handle, &code);
    if (stream == nullptr) {
        return code;
    }
    Driver& driver = Driver::instance();
    if (driver.executables.count(executable) == 0) {
        return driver.refuse(INVALID_HANDLE, "cuGraphLaunch: no such executable graph");
    }
    // A copy: the executable may be updated or destroyed before a lazy stream runs.
    auto nodes = std::make_shared<Graph>(*executable);
    Random random(driver.next_seed());
    return driver.submit("cuGraphLaunch", *stream, NODE_GRAPH, [=] { return run_graph(*nodes, random); });
}

// Takes over the work of a graph of the same form.
DRIVER_CALL cuGraphExecUpdate_v2(Graph* executable, Graph* graph, void*) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuGraphExecUpdate")) {
        return code;
    }
    if (driver.executables.count(executable) == 0 || driver.graphs.count(graph) == 0) {
        return driver.refuse(INVALID_HANDLE, "cuGraphExecUpdate: no such graph");
    }
    bool same = executable->nodes.size() == graph->nodes.size();
    for (size_t i = 0; same && i < graph->nodes.size(); i++) {
        same = executable->nodes[i].type == graph->nodes[i].type &&
               executable->nodes[i].dependencies == graph->nodes[i].dependencies;
    }
    if (!same) {
        return driver.refuse(GRAPH_UPDATE_FAILED, "cuGraphExecUpdate: the graphs differ in form");
    }
    *executable = *graph;
    return SUCCESS;
}

DRIVER_CALL cuGraphExecDestroy(Graph* executable) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (driver.executables.erase(executable) == 0) {
        return driver.refuse(INVALID_HANDLE, "cuGraphExecDestroy: no such executable graph");
    }
    delete executable;
    return SUCCESS;
}

DRIVER_CALL cuGraphDestroy(Graph* graph) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (driver.graphs.erase(graph) == 0) {
        return driver.refuse(INVALID_HANDLE, "cuGraphDestroy: no such graph");
    }
    delete graph;
    return SUCCESS;
}

DRIVER_CALL cuGraphGetNodes(Graph* graph, void** nodes, size_t* count) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (driver.graphs.count(graph) == 0) {
        return driver.refuse(INVALID_HANDLE, "cuGraphGetNodes: no such graph");
    }
    for (size_t i = 0; nodes != nullptr && i < *count && i < graph->nodes.size(); i++) {
        nodes[i] = &graph->nodes[i];
    }
    *count = graph->nodes.size();
    return SUCCESS;
}

DRIVER_CALL cuGraphNodeGetType(GraphNode* node, int* type) {
    *type = node->type;
    return SUCCESS;
}
