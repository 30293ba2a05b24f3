// driver_context.cpp: initialisation, devices, contexts, errors, and the emulator's own entry points.

#include <stdio.h>
#include <string.h>

#include <deque>

#include "driver_state.h"
#include "faults.h"
#include "planted_fault.h"

using namespace emulator;

namespace {

constexpr int DEVICE = 0;
constexpr int DRIVER_VERSION = 12060;
constexpr size_t SHARED_OPT_IN_BYTES = 227 * 1024;

struct Name {
    int code;
    const char* name;
    const char* meaning;
};

constexpr Name NAMES[] = {
    {SUCCESS, "CUDA_SUCCESS", "no error"},
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {214, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {220, "CUDA_ERROR_NVLINK_UNCORRECTABLE", "uncorrectable NVLink error detected during the execution"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
    {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {702, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {714, "CUDA_ERROR_HARDWARE_STACK_ERROR", "hardware stack error"},
    {715, "CUDA_ERROR_ILLEGAL_INSTRUCTION", "an illegal instruction was encountered"},
    {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"},
    {CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {CAPTURE_UNMATCHED, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not initiated in this stream"},
    {CAPTURE_UNJOINED, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"},
    {CAPTURE_ISOLATION, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"},
    {910, "CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE", "the graph update was not performed"},
    {CAPTURE_IMPLICIT, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT",
     "operation would make the legacy stream depend on a capturing blocking stream"},
};

const Name* name_of(int code) {
    for (const Name& name : NAMES) {
        if (name.code == code) {
            return &name;
        }
    }
    return nullptr;
}

// Callers keep what they are given for as long as they like.
const char* keep(const std::string& text) {
    static std::deque<std::string> kept;
    for (const std::string& old : kept) {
        if (old == text) {
            return old.c_str();
        }
    }
    kept.push_back(text);
    return kept.back().c_str();
}

std::lock_guard<std::recursive_mutex> locked() { return std::lock_guard(Driver::instance().lock); }

int attribute_of(int attribute, int* value) {
    const Settings& settings = Driver::instance().settings;
    switch (attribute) {
        case 1: *value = 1024; break;                         // threads per block
        case 2: case 3: *value = 1024; break;                 // block x, y
        case 4: *value = 64; break;                           // block z
        case 5: *value = 2147483647; break;                   // grid x
        case 6: case 7: *value = 65535; break;                // grid y, z
        case 8: *value = 48 * 1024; break;                    // shared memory per block
        case 9: *value = 64 * 1024; break;                    // constant memory
        case 10: *value = 32; break;                          // warp
        case 12: *value = 65536; break;                       // registers per block
        case 13: *value = 1980000; break;                     // clock in kHz
        case 16: *value = settings.multiprocessors; break;
        case 18: *value = 0; break;                           // integrated
        case 19: *value = 1; break;                           // can map host memory
        case 31: *value = 1; break;                           // concurrent kernels
        case 32: *value = 0; break;                           // ECC
        case 33: *value = 0; break;                           // PCI bus
        case 34: *value = 0; break;                           // PCI device
        case 36: *value = 2619000; break;                     // memory clock in kHz
        case 37: *value = 5120; break;                        // bus width in bits
        case 38: *value = 50 * 1024 * 1024; break;            // second-level cache
        case 39: *value = 2048; break;                        // threads per multiprocessor
        case 40: *value = 3; break;                           // copy engines
        case 41: *value = 1; break;                           // unified addressing
        case 75: *value = settings.compute_major; break;
        case 76: *value = settings.compute_minor; break;
        case 78: *value = 1; break;                           // stream priorities
        case 81: *value = 228 * 1024; break;                  // shared memory per multiprocessor
        case 82: *value = 65536; break;                       // registers per multiprocessor
        case 83: *value = 0; break;                           // managed memory
        case 95: *value = 0; break;                           // cooperative launch
        case 97: *value = SHARED_OPT_IN_BYTES; break;         // shared memory per block when asked for
        case 106: *value = 32; break;                         // blocks per multiprocessor
        case 111: *value = 1024; break;                       // reserved shared memory per block
        case 115: *value = 0; break;                          // memory pools
        case 120: *value = 0; break;                          // cluster launch
        default: return NOT_SUPPORTED;
    }
    return SUCCESS;
}

}  // namespace

// ---- the emulator's own -----------------------------------------------------------------------------------------------

// Forgets all memory, modules, streams and errors, and begins anew.
DRIVER_CALL sidewinder_emulator_reset(uint64_t seed, int lazy, int workers, uint64_t total_bytes, int multiprocessors,
                                      double block_limit_seconds, int watching) {
    auto guard = locked();
    Settings settings;
    settings.seed = seed;
    settings.lazy = lazy != 0;
    settings.workers = workers;
    settings.total_bytes = total_bytes;
    settings.multiprocessors = multiprocessors;
    settings.block_limit_seconds = block_limit_seconds;
    settings.watching = watching != 0;
    Driver::instance().reset(settings);
    return SUCCESS;
}

// From now on only so many blocks of a launch run, those with the highest numbers: for a matrix of billions of values, of which a test
// looks at the end. Until the next reset.
extern "C" __attribute__((visibility("default"))) int sidewinder_emulator_last_blocks(uint64_t count) {
    auto guard = locked();
    Driver::instance().settings.last_blocks = count;
    return SUCCESS;
}

// What the newest failing call had to say, "" when none has failed since the reset. The device layer puts it into the
// text of its exception.
extern "C" __attribute__((visibility("default"))) const char* sidewinder_emulator_report() {
    auto guard = locked();
    return keep(Driver::instance().last.text);
}

// Begins to record launches, captured ones too: a line each of kernel, grid, threads, dynamic shared memory, 1 where it may
// overlap its predecessor, and the arguments' bits.
extern "C" __attribute__((visibility("default"))) int sidewinder_emulator_record() {
    auto guard = locked();
    Driver::instance().recording = true;
    Driver::instance().recorded.clear();
    return SUCCESS;
}

// What was recorded, which ends the recording.
extern "C" __attribute__((visibility("default"))) const char* sidewinder_emulator_recorded() {
    auto guard = locked();
    Driver::instance().recording = false;
    return Driver::instance().recorded.c_str();
}

// Device allocations that nobody has freed.
extern "C" __attribute__((visibility("default"))) int64_t sidewinder_emulator_live_allocations() {
    auto guard = locked();
    return static_cast<int64_t>(Driver::instance().memory->live_allocations(Memory::Kind::DEVICE));
}

extern "C" __attribute__((visibility("default"))) int64_t sidewinder_emulator_live_pinned() {
    auto guard = locked();
    return static_cast<int64_t>(Driver::instance().memory->live_allocations(Memory::Kind::PINNED));
}

// For the generated entry points: counts as a failure of the call, not of the context.
extern "C" int sidewinder_emulator_not_supported(const char* call) {
    auto guard = locked();
    return Driver::instance().refuse(NOT_SUPPORTED, std::string(call) + " is not emulated");
}

// ---- errors ---------------------------------------------------------------------------------------------------------

DRIVER_CALL cuGetErrorName(int code, const char** text) {
    const Name* name = name_of(code);
    *text = name == nullptr ? nullptr : name->name;
    return name == nullptr ? INVALID_VALUE : SUCCESS;
}

DRIVER_CALL cuGetErrorString(int code, const char** text) {
    const Name* name = name_of(code);
    *text = name == nullptr ? nullptr : name->meaning;
    return name == nullptr ? INVALID_VALUE : SUCCESS;
}

// ---- initialisation and devices ---------------------------------------------------------------------------------------

DRIVER_CALL cuInit(unsigned flags) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (flags != 0) {
        return driver.refuse(INVALID_VALUE, "cuInit: flags must be 0");
    }
    if (int planted = planted_fault("cuInit")) {
        return driver.refuse(planted, "cuInit: a planted fault");
    }
    install_fault_handlers();
    driver.initialized = true;
    return SUCCESS;
}

DRIVER_CALL cuDriverGetVersion(int* version) {
    *version = DRIVER_VERSION;
    return SUCCESS;
}

DRIVER_CALL cuDeviceGetCount(int* count) {
    auto guard = locked();
    if (int code = Driver::instance().enter("cuDeviceGetCount", false)) {
        return code;
    }
    *count = 1;
    return SUCCESS;
}

DRIVER_CALL cuDeviceGet(int* device, int ordinal) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuDeviceGet", false)) {
        return code;
    }
    if (ordinal != 0) {
        return driver.refuse(INVALID_DEVICE, "cuDeviceGet: the emulator has device 0 only");
    }
    *device = DEVICE;
    return SUCCESS;
}

DRIVER_CALL cuDeviceGetName(char* name, int bytes, int) {
    snprintf(name, static_cast<size_t>(bytes), "Sidewinder emulator");
    return SUCCESS;
}

DRIVER_CALL cuDeviceGetUuid(void* uuid, int) {
    memset(uuid, 0x5e, 16);
    return SUCCESS;
}

DRIVER_CALL cuDeviceGetUuid_v2(void* uuid, int device) { return cuDeviceGetUuid(uuid, device); }

DRIVER_CALL cuDeviceGetPCIBusId(char* text, int bytes, int) {
    snprintf(text, static_cast<size_t>(bytes), "0000:00:00.0");
    return SUCCESS;
}

DRIVER_CALL cuDeviceGetAttribute(int* value, int attribute, int) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuDeviceGetAttribute", false)) {
        return code;
    }
    int code = attribute_of(attribute, value);
    return code == SUCCESS ? code : driver.refuse(code, "cuDeviceGetAttribute: attribute " + std::to_string(attribute) +
                                                            " is not emulated");
}

DRIVER_CALL cuDeviceComputeCapability(int* major, int* minor, int) {
    auto guard = locked();
    *major = Driver::instance().settings.compute_major;
    *minor = Driver::instance().settings.compute_minor;
    return SUCCESS;
}

DRIVER_CALL cuDeviceTotalMem_v2(size_t* bytes, int) {
    auto guard = locked();
    *bytes = Driver::instance().settings.total_bytes;
    return SUCCESS;
}

// ---- contexts -------------------------------------------------------------------------------------------------------

DRIVER_CALL cuCtxCreate_v2(Context** context, unsigned flags, int) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuCtxCreate", false)) {
        return code;
    }
    *context = new Context{flags};
    driver.contexts.insert(*context);
    current_context() = *context;
    return SUCCESS;
}

// After a fault the context can still be destroyed, as with the real driver.
DRIVER_CALL cuCtxDestroy_v2(Context* context) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (driver.contexts.erase(context) == 0) {
        return driver.refuse(INVALID_CONTEXT, "cuCtxDestroy: no such context");
    }
    if (current_context() == context) {
        current_context() = nullptr;
    }
    delete context;
    return SUCCESS;
}

DRIVER_CALL cuDevicePrimaryCtxRetain(Context** context, int) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuDevicePrimaryCtxRetain", false)) {
        return code;
    }
    if (driver.primary == nullptr) {
        driver.primary = new Context{};
        driver.contexts.insert(driver.primary);
    }
    driver.primary_uses++;
    *context = driver.primary;
    return SUCCESS;
}

DRIVER_CALL cuDevicePrimaryCtxRelease_v2(int) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (driver.primary_uses == 0) {
        return driver.refuse(INVALID_CONTEXT, "cuDevicePrimaryCtxRelease without cuDevicePrimaryCtxRetain");
    }
    if (--driver.primary_uses == 0) {
        driver.contexts.erase(driver.primary);
        delete driver.primary;
        driver.primary = nullptr;
    }
    return SUCCESS;
}

DRIVER_CALL cuCtxSetCurrent(Context* context) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (context != nullptr && driver.contexts.count(context) == 0) {
        return driver.refuse(INVALID_CONTEXT, "cuCtxSetCurrent: no such context");
    }
    current_context() = context;
    return SUCCESS;
}

DRIVER_CALL cuCtxPushCurrent_v2(Context* context) { return cuCtxSetCurrent(context); }

DRIVER_CALL cuCtxPopCurrent_v2(Context** context) {
    auto guard = locked();
    if (context != nullptr) {
        *context = current_context();
    }
    current_context() = nullptr;
    return SUCCESS;
}

DRIVER_CALL cuCtxGetCurrent(Context** context) {
    auto guard = locked();
    bool live = Driver::instance().contexts.count(current_context()) != 0;
    *context = live ? current_context() : nullptr;
    return SUCCESS;
}

DRIVER_CALL cuCtxGetDevice(int* device) {
    auto guard = locked();
    if (int code = Driver::instance().enter("cuCtxGetDevice")) {
        return code;
    }
    *device = DEVICE;
    return SUCCESS;
}

DRIVER_CALL cuCtxGetApiVersion(Context*, unsigned* version) {
    *version = 3020;
    return SUCCESS;
}

DRIVER_CALL cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    *least = 0;
    *greatest = -5;
    return SUCCESS;
}

DRIVER_CALL cuCtxSynchronize() {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuCtxSynchronize")) {
        return code;
    }
    if (!driver.captures.empty()) {
        for (const auto& capture : driver.captures) {
            driver.invalidate(*capture);
        }
        return driver.refuse(CAPTURE_UNSUPPORTED, "cuCtxSynchronize while a stream is captured");
    }
    return driver.drain_all();
}
