// driver_state.h: everything the emulated driver knows, behind one lock.

#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include "before_image.h"
#include "launch.h"
#include "memory.h"

#define DRIVER_CALL extern "C" __attribute__((visibility("default"))) int

namespace emulator {

// The driver API's codes that the emulator gives.
enum Result : int {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_OUT_OF_RESOURCES = 701,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    CAPTURE_UNMATCHED = 903,
    CAPTURE_UNJOINED = 904,
    CAPTURE_ISOLATION = 905,
    CAPTURE_IMPLICIT = 906,
};

struct Failure {
    int code = SUCCESS;
    std::string text;
};

struct Settings {
    uint64_t seed = 1;
    bool lazy = false;  // work waits for a synchronisation
    int workers = 2;
    size_t total_bytes = size_t{1} << 30;
    int multiprocessors = 8;
    double block_limit_seconds = 60;  // of processor time
    bool watching = false;  // every launch runs on one worker, under a Watch of all allocations and of its shared memory
    uint64_t last_blocks = ~uint64_t{0};  // of a launch that run, see sidewinder_emulator_last_blocks
    int compute_major = 9;
    int compute_minor = 0;
};

using Work = std::function<Failure()>;

// A launch that may overlap its predecessor can be begun before that runs. Whoever does so goes on to run the launch, or
// abandons it.
struct EarlyStart {
    std::function<void()> begin;
    std::function<void()> abandon;
};

struct Event {
    uint64_t recorded = 0;   // how often cuEventRecord was called
    uint64_t completed = 0;  // the newest record whose work has run
    double seconds = 0;
    struct Stream* stream = nullptr;     // of the newest record
    struct Capture* capture = nullptr;   // when the newest record was captured
    std::set<size_t> captured_nodes;
};

struct Operation {
    enum class Kind { WORK, RECORD, WAIT };

    Kind kind;
    Work work;
    Event* event = nullptr;
    uint64_t ticket = 0;  // which record of the event
    int type = 0;         // of work, as graphs have it
    std::shared_ptr<EarlyStart> early = nullptr;
};

struct GraphNode {
    Work work;
    std::set<size_t> dependencies;
    int type;
    std::shared_ptr<EarlyStart> early = nullptr;
};

constexpr int NODE_KERNEL = 0;

struct Graph {
    std::vector<GraphNode> nodes;
};

struct Capture {
    std::unique_ptr<Graph> graph = std::make_unique<Graph>();
    struct Stream* origin;
    int mode;
    std::thread::id thread;
    bool invalid = false;
};

struct Stream {
    bool blocking = true;  // waits for the legacy stream and the other way round
    unsigned flags = 0;
    int priority = 0;
    uint64_t number = 0;
    std::deque<Operation> queue;
    std::shared_ptr<Capture> capture;
    std::set<size_t> capture_tails;  // nodes that the next captured operation follows
};

struct Module;

struct Function {
    const KernelDescription* kernel;
    Module* module;
    int dynamic_shared_limit = 48 * 1024;
};

struct Module {
    void* library = nullptr;
    // Open while the library is: dlopen takes a second library of the same path for the first, and the path is this number.
    int file = -1;
    std::vector<const KernelDescription*> kernels;
    std::map<std::string, std::unique_ptr<Function>> functions;
    size_t static_shared_module = 0;
    size_t static_shared_bytes = 0;
    const void* code_begin = nullptr;
    const void* code_end = nullptr;

    ~Module() {
        if (file >= 0) {
            close(file);
        }
    }
};

struct Context {
    unsigned flags = 0;
};

class Driver {
public:
    static Driver& instance();

    std::recursive_mutex lock;
    Settings settings;
    bool initialized = false;
    std::unique_ptr<Memory> memory;
    BlockRunner runner;
    BeforeImage before;  // of the launch that runs
    Failure sticky;
    Failure last;

    std::set<Context*> contexts;
    Context* primary = nullptr;
    int primary_uses = 0;
    std::set<Module*> modules;
    std::set<Stream*> streams;
    Stream legacy;
    std::set<Event*> events;
    std::set<Graph*> graphs;
    std::set<Graph*> executables;
    std::set<std::shared_ptr<Capture>> captures;

    // Forgets everything and begins anew with these settings.
    void reset(const Settings& settings);

    // Notes what went wrong, for cuGetErrorString, and returns the code.
    int refuse(int code, const std::string& text);

    // 0 when a call may go on: initialised, no earlier fault, and a context current on this thread.
    int enter(const char* call, bool needs_context = true);

    uint64_t next_seed();

    // ---- streams ----
    Stream* stream_of(void* handle);  // null when there is none
    // Hands work to a stream: captures, queues, or runs it.
    int submit(const char* call, Stream& stream, int node_type, Work work, std::shared_ptr<EarlyStart> early = nullptr);
    int record(Stream& stream, Event& event);
    int wait(Stream& stream, Event& event);
    int drain(Stream& stream);
    int drain_until(Event& event, uint64_t ticket);
    int drain_all();
    // A call that synchronises, or is unsafe in a capture; refused while one is going on that forbids it.
    int refuse_in_capture(const char* call);
    void invalidate(Capture& capture) { capture.invalid = true; }
    Random random{1};

    // What was launched since it was asked for, a line each; see sidewinder_emulator_record.
    bool recording = false;
    std::string recorded;

private:
    int run(const Work& work, EarlyStart* next);
    int drain_others_for(Stream& stream);
};

// The context that is current on the calling thread; null when there is none.
Context*& current_context();

std::string hex_of(const void* pointer);

}  // namespace emulator
