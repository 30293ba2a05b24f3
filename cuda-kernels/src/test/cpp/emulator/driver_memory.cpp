// driver_memory.cpp: allocation, copies and fills.

#include <string.h>

#include "driver_state.h"

using namespace emulator;

namespace {

using DevicePointer = unsigned long long;

constexpr int NODE_MEMCPY = 1;
constexpr int NODE_MEMSET = 2;

std::lock_guard<std::recursive_mutex> locked() { return std::lock_guard(Driver::instance().lock); }

unsigned char* bytes_at(DevicePointer pointer) { return reinterpret_cast<unsigned char*>(pointer); }

// One side of a copy that must be the device's, or memory it can reach.
int require_device(const char* call, const char* side, DevicePointer pointer, size_t bytes) {
    Driver& driver = Driver::instance();
    if (driver.memory->holds(bytes_at(pointer), bytes)) {
        return SUCCESS;
    }
    return driver.refuse(INVALID_VALUE, std::string(call) + ": the " + side + " of " + std::to_string(bytes) + " bytes at " +
                                            hex_of(bytes_at(pointer)) + " is not in one device allocation: it is " +
                                            driver.memory->describe(bytes_at(pointer)));
}

Stream* find_stream(const char* call, void* handle) {
    Driver& driver = Driver::instance();
    Stream* stream = driver.stream_of(handle);
    if (stream == nullptr) {
        driver.refuse(INVALID_HANDLE, std::string(call) + ": no such stream");
    }
    return stream;
}

// What is freed before the queued work has run is checked again when it runs.
Work copy_work(const char* call, void* target, const void* source, size_t bytes, bool target_on_device, bool source_on_device) {
    return [=] {
        const Memory& memory = *Driver::instance().memory;
        if ((target_on_device && !memory.holds(target, bytes)) || (source_on_device && !memory.holds(source, bytes))) {
            return Failure{ILLEGAL_ADDRESS, std::string(call) + " of " + std::to_string(bytes) + " bytes from " +
                                                hex_of(source) + " to " + hex_of(target) +
                                                ": memory was freed before the copy ran"};
        }
        memmove(target, source, bytes);
        return Failure{};
    };
}

bool is_pinned(const void* pointer, size_t bytes) {
    const Memory::Allocation* allocation = Driver::instance().memory->find(pointer);
    return allocation != nullptr && allocation->kind != Memory::Kind::DEVICE && Driver::instance().memory->holds(pointer, bytes);
}

int copy_async(const char* call, void* target, const void* source, size_t bytes, bool target_on_device, bool source_on_device,
               void* handle) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter(call)) {
        return code;
    }
    if (target_on_device) {
        if (int code = require_device(call, "target", reinterpret_cast<DevicePointer>(target), bytes)) {
            return code;
        }
    }
    if (source_on_device) {
        if (int code = require_device(call, "source", reinterpret_cast<DevicePointer>(source), bytes)) {
            return code;
        }
    }
    Stream* stream = find_stream(call, handle);
    if (stream == nullptr) {
        return INVALID_HANDLE;
    }
    if (bytes == 0) {
        return SUCCESS;
    }
    // Pageable memory is staged by the driver: read before the call returns, and written before it returns. While a
    // graph is captured the address is what counts.
    if (stream->capture == nullptr && target_on_device && !source_on_device && !is_pinned(source, bytes)) {
        auto* begin = static_cast<const unsigned char*>(source);
        auto staged = std::make_shared<std::vector<unsigned char>>(begin, begin + bytes);
        Work work = copy_work(call, target, staged->data(), bytes, true, false);
        return driver.submit(call, *stream, NODE_MEMCPY, [staged, work] { return work(); });
    }
    int code = driver.submit(call, *stream, NODE_MEMCPY,
                             copy_work(call, target, source, bytes, target_on_device, source_on_device));
    bool waits = stream->capture == nullptr && !target_on_device && !is_pinned(target, bytes);
    return code == SUCCESS && waits ? driver.drain(*stream) : code;
}

// The forms without a stream wait for everything before them and are done when they return.
int copy_now(const char* call, void* target, const void* source, size_t bytes, bool target_on_device, bool source_on_device) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter(call)) {
        return code;
    }
    if (int code = driver.refuse_in_capture(call)) {
        return code;
    }
    if (int code = copy_async(call, target, source, bytes, target_on_device, source_on_device, nullptr)) {
        return code;
    }
    return driver.drain(driver.legacy);
}

int fill(const char* call, DevicePointer target, unsigned value, size_t width, size_t count, void* handle, bool now) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter(call)) {
        return code;
    }
    if (now) {
        if (int code = driver.refuse_in_capture(call)) {
            return code;
        }
    }
    if (target % width != 0) {
        return driver.refuse(INVALID_VALUE, std::string(call) + ": the target is not a multiple of " + std::to_string(width));
    }
    if (int code = require_device(call, "target", target, width * count)) {
        return code;
    }
    Stream* stream = find_stream(call, handle);
    if (stream == nullptr) {
        return INVALID_HANDLE;
    }
    std::string name = call;
    int code = driver.submit(call, *stream, NODE_MEMSET, [=] {
        if (!Driver::instance().memory->holds(bytes_at(target), width * count)) {
            return Failure{ILLEGAL_ADDRESS, name + ": memory was freed before the fill ran"};
        }
        for (size_t i = 0; i < count; i++) {
            memcpy(bytes_at(target) + i * width, &value, width);
        }
        return Failure{};
    });
    return code == SUCCESS && now ? driver.drain(*stream) : code;
}

int allocate(const char* call, void** pointer, size_t bytes, Memory::Kind kind) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter(call)) {
        return code;
    }
    if (int code = driver.refuse_in_capture(call)) {
        return code;
    }
    if (bytes == 0) {
        return driver.refuse(INVALID_VALUE, std::string(call) + " of 0 bytes");
    }
    *pointer = driver.memory->allocate(bytes, kind);
    if (*pointer == nullptr) {
        return driver.refuse(OUT_OF_MEMORY, std::string(call) + " of " + std::to_string(bytes) + " bytes: " +
                                                std::to_string(driver.memory->used_bytes()) + " of " +
                                                std::to_string(driver.memory->total_bytes()) + " are in use");
    }
    return SUCCESS;
}

// Freeing waits for all work, as the driver does.
int release(const char* call, void* pointer, Memory::Kind kind) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter(call)) {
        return code;
    }
    if (int code = driver.refuse_in_capture(call)) {
        return code;
    }
    if (kind == Memory::Kind::DEVICE && pointer == nullptr) {
        return SUCCESS;
    }
    if (int code = driver.drain_all()) {
        return code;
    }
    if (!driver.memory->free(pointer, kind)) {
        return driver.refuse(INVALID_VALUE, std::string(call) + " of " + hex_of(pointer) +
                                                ", which is not the begin of a live allocation: it is " +
                                                driver.memory->describe(pointer));
    }
    return SUCCESS;
}

}  // namespace

// ---- allocation -----------------------------------------------------------------------------------------------------

DRIVER_CALL cuMemAlloc_v2(DevicePointer* pointer, size_t bytes) {
    return allocate("cuMemAlloc", reinterpret_cast<void**>(pointer), bytes, Memory::Kind::DEVICE);
}

DRIVER_CALL cuMemFree_v2(DevicePointer pointer) { return release("cuMemFree", bytes_at(pointer), Memory::Kind::DEVICE); }

DRIVER_CALL cuMemHostAlloc(void** pointer, size_t bytes, unsigned) {
    return allocate("cuMemHostAlloc", pointer, bytes, Memory::Kind::PINNED);
}

DRIVER_CALL cuMemAllocHost_v2(void** pointer, size_t bytes) {
    return allocate("cuMemAllocHost", pointer, bytes, Memory::Kind::PINNED);
}

DRIVER_CALL cuMemFreeHost(void* pointer) { return release("cuMemFreeHost", pointer, Memory::Kind::PINNED); }

DRIVER_CALL cuMemHostRegister_v2(void* pointer, size_t bytes, unsigned) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuMemHostRegister")) {
        return code;
    }
    driver.memory->register_host(pointer, bytes);
    return SUCCESS;
}

DRIVER_CALL cuMemHostUnregister(void* pointer) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuMemHostUnregister")) {
        return code;
    }
    return driver.memory->unregister_host(pointer) ? static_cast<int>(SUCCESS)
                                                   : driver.refuse(INVALID_VALUE, "cuMemHostUnregister: not registered");
}

DRIVER_CALL cuMemHostGetDevicePointer_v2(DevicePointer* device, void* host, unsigned) {
    *device = reinterpret_cast<DevicePointer>(host);
    return SUCCESS;
}

DRIVER_CALL cuMemGetInfo_v2(size_t* free_bytes, size_t* total_bytes) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuMemGetInfo")) {
        return code;
    }
    *total_bytes = driver.memory->total_bytes();
    *free_bytes = *total_bytes - driver.memory->used_bytes();
    return SUCCESS;
}

DRIVER_CALL cuMemGetAddressRange_v2(DevicePointer* begin, size_t* bytes, DevicePointer pointer) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    const Memory::Allocation* allocation = driver.memory->find(bytes_at(pointer));
    if (allocation == nullptr) {
        return driver.refuse(NOT_FOUND, "cuMemGetAddressRange: " + driver.memory->describe(bytes_at(pointer)));
    }
    if (begin != nullptr) {
        *begin = reinterpret_cast<DevicePointer>(allocation->user);
    }
    if (bytes != nullptr) {
        *bytes = allocation->bytes;
    }
    return SUCCESS;
}

// ---- copies ---------------------------------------------------------------------------------------------------------

DRIVER_CALL cuMemcpyHtoD_v2(DevicePointer target, const void* source, size_t bytes) {
    return copy_now("cuMemcpyHtoD", bytes_at(target), source, bytes, true, false);
}

DRIVER_CALL cuMemcpyDtoH_v2(void* target, DevicePointer source, size_t bytes) {
    return copy_now("cuMemcpyDtoH", target, bytes_at(source), bytes, false, true);
}

DRIVER_CALL cuMemcpyDtoD_v2(DevicePointer target, DevicePointer source, size_t bytes) {
    return copy_now("cuMemcpyDtoD", bytes_at(target), bytes_at(source), bytes, true, true);
}

DRIVER_CALL cuMemcpy(DevicePointer target, DevicePointer source, size_t bytes) {
    return copy_now("cuMemcpy", bytes_at(target), bytes_at(source), bytes, true, true);
}

DRIVER_CALL cuMemcpyHtoDAsync_v2(DevicePointer target, const void* source, size_t bytes, void* stream) {
    return copy_async("cuMemcpyHtoDAsync", bytes_at(target), source, bytes, true, false, stream);
}

DRIVER_CALL cuMemcpyDtoHAsync_v2(void* target, DevicePointer source, size_t bytes, void* stream) {
    return copy_async("cuMemcpyDtoHAsync", target, bytes_at(source), bytes, false, true, stream);
}

DRIVER_CALL cuMemcpyDtoDAsync_v2(DevicePointer target, DevicePointer source, size_t bytes, void* stream) {
    return copy_async("cuMemcpyDtoDAsync", bytes_at(target), bytes_at(source), bytes, true, true, stream);
}

DRIVER_CALL cuMemcpyAsync(DevicePointer target, DevicePointer source, size_t bytes, void* stream) {
    return copy_async("cuMemcpyAsync", bytes_at(target), bytes_at(source), bytes, true, true, stream);
}

// ---- fills ----------------------------------------------------------------------------------------------------------

DRIVER_CALL cuMemsetD8_v2(DevicePointer target, unsigned char value, size_t count) {
    return fill("cuMemsetD8", target, value, 1, count, nullptr, true);
}

DRIVER_CALL cuMemsetD16_v2(DevicePointer target, unsigned short value, size_t count) {
    return fill("cuMemsetD16", target, value, 2, count, nullptr, true);
}

DRIVER_CALL cuMemsetD32_v2(DevicePointer target, unsigned value, size_t count) {
    return fill("cuMemsetD32", target, value, 4, count, nullptr, true);
}

DRIVER_CALL cuMemsetD8Async(DevicePointer target, unsigned char value, size_t count, void* stream) {
    return fill("cuMemsetD8Async", target, value, 1, count, stream, false);
}

DRIVER_CALL cuMemsetD16Async(DevicePointer target, unsigned short value, size_t count, void* stream) {
    return fill("cuMemsetD16Async", target, value, 2, count, stream, false);
}

DRIVER_CALL cuMemsetD32Async(DevicePointer target, unsigned value, size_t count, void* stream) {
    return fill("cuMemsetD32Async", target, value, 4, count, stream, false);
}
