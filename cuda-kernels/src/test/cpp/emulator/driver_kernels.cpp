// driver_kernels.cpp: modules, functions and launches.

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver_state.h"

using namespace emulator;

namespace {

constexpr int SHARED_LIMIT_BYTES = 227 * 1024;
constexpr unsigned BLOCK_LIMIT_THREADS = 1024;

// Under a watch, when a launch is run again to find a thread: some seconds.
constexpr uint64_t REPEATED_ACCESSES = 200'000;

constexpr int ATTRIBUTE_MAX_THREADS = 0;
constexpr int ATTRIBUTE_SHARED_BYTES = 1;
constexpr int ATTRIBUTE_CONSTANT_BYTES = 2;
constexpr int ATTRIBUTE_LOCAL_BYTES = 3;
constexpr int ATTRIBUTE_REGISTERS = 4;
constexpr int ATTRIBUTE_PTX_VERSION = 5;
constexpr int ATTRIBUTE_BINARY_VERSION = 6;
constexpr int ATTRIBUTE_MAX_DYNAMIC_SHARED = 8;
constexpr int ATTRIBUTE_CARVEOUT = 9;

constexpr int LAUNCH_ATTRIBUTE_CLUSTER = 4;
constexpr int LAUNCH_ATTRIBUTE_PROGRAMMATIC = 6;

std::lock_guard<std::recursive_mutex> locked() { return std::lock_guard(Driver::instance().lock); }

// The module whose library is being loaded: its constructors register the kernels.
Module* loading = nullptr;

// ---- modules --------------------------------------------------------------------------------------------------------

// A kernel library tells its length by its section table, which the linker writes last.
size_t elf_bytes(const void* image) {
    auto* header = static_cast<const Elf64_Ehdr*>(image);
    bool usable = memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_ident[EI_CLASS] == ELFCLASS64 &&
                  header->e_machine == EM_X86_64 && header->e_type == ET_DYN;
    return usable ? header->e_shoff + static_cast<size_t>(header->e_shentsize) * header->e_shnum : 0;
}

int find_segments(dl_phdr_info* info, size_t, void* context) {
    Module& module = *static_cast<Module*>(context);
    auto* probe = reinterpret_cast<const char*>(module.kernels.front());
    bool ours = false;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr)& segment = info->dlpi_phdr[i];
        auto* begin = reinterpret_cast<const char*>(info->dlpi_addr + segment.p_vaddr);
        ours = ours || (segment.p_type == PT_LOAD && probe >= begin && probe < begin + segment.p_memsz);
    }
    for (int i = 0; ours && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr)& segment = info->dlpi_phdr[i];
        if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0) {
            module.code_begin = reinterpret_cast<const char*>(info->dlpi_addr + segment.p_vaddr);
            module.code_end = static_cast<const char*>(module.code_begin) + segment.p_memsz;
        }
        if (info->dlpi_phdr[i].p_type == PT_TLS) {
            module.static_shared_module = info->dlpi_tls_modid;
            module.static_shared_bytes = info->dlpi_phdr[i].p_memsz;
        }
    }
    return ours ? 1 : 0;
}

int load(Module** result, const void* image) {
    Driver& driver = Driver::instance();
    size_t bytes = elf_bytes(image);
    if (bytes == 0) {
        return driver.refuse(INVALID_IMAGE, "cuModuleLoadData: the image is no x86-64 shared library; the emulator takes kernels "
                                            "compiled by g++, not cubins");
    }
    auto module = std::make_unique<Module>();
    int file = module->file = memfd_create("sidewinder-kernels", MFD_CLOEXEC);
    if (file < 0 || write(file, image, bytes) != static_cast<ssize_t>(bytes)) {
        return driver.refuse(OUT_OF_MEMORY, std::string("cuModuleLoadData: ") + strerror(errno));
    }
    loading = module.get();
    // The dynamic linker takes a library of the same name for the same library, and numbers of closed files come again:
    // more slashes make another name.
    static size_t loads = 0;
    std::string path = "/proc/self/fd" + std::string(1 + loads++ % 1000, '/') + std::to_string(file);
    module->library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    loading = nullptr;
    if (module->library == nullptr) {
        return driver.refuse(INVALID_IMAGE, std::string("cuModuleLoadData: ") + dlerror());
    }
    if (module->kernels.empty()) {
        dlclose(module->library);
        return driver.refuse(INVALID_IMAGE, "cuModuleLoadData: the library registers no kernel; write KERNEL(name) after each");
    }
    for (const KernelDescription* kernel : module->kernels) {
        if (kernel->most_threads <= 0) {
            std::string name = kernel->name;
            dlclose(module->library);
            return driver.refuse(INVALID_IMAGE, "cuModuleLoadData: kernel " + name + " has no __launch_bounds__, or its KERNEL(" +
                                                    name + ") is not the first behind them");
        }
    }
    dl_iterate_phdr(find_segments, module.get());
    *result = module.get();
    driver.modules.insert(module.release());
    return SUCCESS;
}

// ---- launches -------------------------------------------------------------------------------------------------------

std::string title(const Function& function) { return std::string("kernel ") + function.kernel->name; }

bool known(const Function* function) {
    for (Module* module : Driver::instance().modules) {
        for (const auto& [name, candidate] : module->functions) {
            if (candidate.get() == function) {
                return true;
            }
        }
    }
    return false;
}

// The arguments of one launch, copied when the launch is made.
class ArgumentBlock {
public:
    ArgumentBlock(const KernelDescription& kernel, void** values) {
        for (int i = 0; i < kernel.parameter_count; i++) {
            const auto* begin = static_cast<const unsigned char*>(values[i]);
            storage_.emplace_back((kernel.parameters[i].bytes + sizeof(Line) - 1) / sizeof(Line));
            memcpy(storage_.back().data(), begin, kernel.parameters[i].bytes);
        }
        for (auto& value : storage_) {
            pointers_.push_back(value.data());
        }
    }

    void** pointers() { return pointers_.data(); }

private:
    // A tensor map begins at a multiple of 64, the largest alignment of a parameter.
    struct alignas(64) Line {
        unsigned char bytes[64];
    };

    std::vector<std::vector<Line>> storage_;
    std::vector<void*> pointers_;
};

size_t parameter_offset(const KernelDescription& kernel, int index) {
    size_t offset = 0;
    for (int i = 0; i <= index; i++) {
        size_t alignment = kernel.parameters[i].alignment;
        offset = (offset + alignment - 1) / alignment * alignment;
        if (i < index) {
            offset += kernel.parameters[i].bytes;
        }
    }
    return offset;
}

Failure check_pointers(const Function& function, void** arguments) {
    const KernelDescription& kernel = *function.kernel;
    const Memory& memory = *Driver::instance().memory;
    for (int i = 0; i < kernel.parameter_count; i++) {
        if (!kernel.parameters[i].pointer) {
            continue;
        }
        void* pointer;
        memcpy(&pointer, arguments[i], sizeof(pointer));
        if (pointer != nullptr && memory.find(pointer) == nullptr) {
            return {ILLEGAL_ADDRESS, title(function) + ", block (0, 0, 0), thread (0, 0, 0): parameter " + std::to_string(i) +
                                         " is the pointer " + hex_of(pointer) + ", which is no device memory (a host pointer?): " +
                                         memory.describe(pointer)};
        }
    }
    return {};
}

// A launch that was made, to run once or, in a graph, many times.
struct Prepared {
    const Function& function;
    Index grid;
    Index block;
    size_t shared_bytes;
    bool overlapping;
    ArgumentBlock arguments;
    std::unique_ptr<Launch> begun = nullptr;  // one block of it has begun
    uint64_t begun_block = BlockRunner::NO_BLOCK;

    std::unique_ptr<Launch> launch() {
        Driver& driver = Driver::instance();
        auto launch = std::make_unique<Launch>();
        launch->kernel = function.kernel;
        launch->grid = grid;
        launch->block = block;
        launch->shared_bytes = shared_bytes;
        launch->arguments = arguments.pointers();
        launch->static_shared_module = function.module->static_shared_module;
        launch->static_shared_bytes = function.module->static_shared_bytes;
        launch->code_begin = function.module->code_begin;
        launch->code_end = function.module->code_end;
        launch->limit_seconds = driver.settings.block_limit_seconds;
        launch->memory = driver.memory.get();
        launch->seed = driver.next_seed();
        launch->overlapping = overlapping;
        uint64_t blocks = static_cast<uint64_t>(grid.x) * grid.y * grid.z;
        launch->first_block = blocks - std::min(blocks, driver.settings.last_blocks);
        return launch;
    }

    void begin() {
        if (!known(&function) || check_pointers(function, arguments.pointers()).code != SUCCESS) {
            return;  // the launch itself will say so
        }
        begun = launch();
        uint64_t blocks = static_cast<uint64_t>(grid.x) * grid.y * grid.z;
        begun_block = begun->first_block + Random(begun->seed).next() % (blocks - begun->first_block);
        Driver::instance().runner.idle_early_block().begin(*begun, begun_block);
    }

    void abandon() {
        if (begun != nullptr) {
            begun->fail(LAUNCH_FAILED, "the kernel before it has failed");
            begun->early->release();
            begun->early->finish();
            begun = nullptr;
        }
    }

    Failure run() {
        Driver& driver = Driver::instance();
        Failure refused = check_pointers(function, arguments.pointers());
        if (refused.code != SUCCESS) {
            abandon();
            return refused;
        }
        std::unique_ptr<Launch> launch = begun != nullptr ? std::move(begun) : this->launch();
        Watch watch(0);
        if (driver.settings.watching) {
            launch->watch = &watch;
            launch->borders = driver.memory->borders();
            launch->watches_shared = true;
        } else {
            driver.before.take(*function.kernel, arguments.pointers(), *driver.memory);
        }
        uint64_t without = launch->early != nullptr ? begun_block : BlockRunner::NO_BLOCK;
        if (launch->early != nullptr) {
            launch->early->release();
        }
        driver.runner.run(*launch, driver.settings.watching ? 1 : driver.settings.workers, without);
        if (launch->early != nullptr) {
            launch->early->finish();
        }
        if (launch->failed) {
            Failure found{launch->failure_code, launch->failure_text};
            return launch->shared_damage ? run_again(*launch, found, {}) : found;
        }
        Memory::Damage damage = driver.memory->damage();
        if (!damage.text.empty()) {
            return run_again(*launch, {ILLEGAL_ADDRESS, title(function) + ", grid (" + std::to_string(grid.x) + ", " +
                                                            std::to_string(grid.y) + ", " + std::to_string(grid.z) + "), block of " +
                                                            std::to_string(block.x * block.y * block.z) + " threads, wrote " +
                                                            damage.text}, damage.borders);
        }
        return {};
    }

    // Names the thread of what was found behind a launch, or behind a block: the same launch with the same seed, on one worker, watches
    // the borders that were overrun. What its parameters point at is what it was before, see BeforeImage.
    Failure run_again(const Launch& first, Failure found, const std::vector<Border>& borders) {
        Driver& driver = Driver::instance();
        driver.before.put_back();
        Watch watch(REPEATED_ACCESSES);
        std::unique_ptr<Launch> again = launch();
        again->seed = first.seed;
        again->watch = &watch;
        again->borders = borders;
        again->watches_shared = first.shared_damage;
        driver.runner.run(*again, 1);
        if (again->out_of_bounds) {
            return {again->failure_code, again->failure_text};
        }
        found.text += watch.has_given_up() ? "; the launch was run again to find the thread, but touches those pages too often"
                                           : "; the launch was run again to find the thread, but did not repeat it";
        return found;
    }
};

int check_shape(const Function& function, Index grid, Index block, size_t shared_bytes) {
    Driver& driver = Driver::instance();
    auto text = [](Index i) { return "(" + std::to_string(i.x) + ", " + std::to_string(i.y) + ", " + std::to_string(i.z) + ")"; };
    uint64_t threads = static_cast<uint64_t>(block.x) * block.y * block.z;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) {
        return driver.refuse(INVALID_VALUE, title(function) + ": grid " + text(grid));
    }
    if (threads == 0 || threads > BLOCK_LIMIT_THREADS || block.z > 64) {
        return driver.refuse(INVALID_VALUE, title(function) + ": block " + text(block));
    }
    if (threads > static_cast<uint64_t>(function.kernel->most_threads)) {
        return driver.refuse(INVALID_VALUE, title(function) + ": a block of " + std::to_string(threads) +
                                                " threads; its __launch_bounds__ are " +
                                                std::to_string(function.kernel->most_threads));
    }
    if (shared_bytes > static_cast<size_t>(function.dynamic_shared_limit)) {
        return driver.refuse(INVALID_VALUE, title(function) + ": " + std::to_string(shared_bytes) +
                                                " bytes of dynamic shared memory; this function's limit is " +
                                                std::to_string(function.dynamic_shared_limit) +
                                                " (cuFuncSetAttribute raises it to at most " +
                                                std::to_string(SHARED_LIMIT_BYTES) + ")");
    }
    return SUCCESS;
}

// CU_LAUNCH_PARAM_BUFFER_POINTER (1) and _SIZE (2), ended by 0: one buffer with the arguments at their offsets.
int unpack_buffer(const Function& function, void** extra, std::vector<void*>& values) {
    const KernelDescription& kernel = *function.kernel;
    unsigned char* buffer = nullptr;
    size_t bytes = 0;
    for (void** entry = extra; *entry != nullptr; entry += 2) {
        if (reinterpret_cast<uintptr_t>(*entry) == 1) {
            buffer = static_cast<unsigned char*>(entry[1]);
        } else if (reinterpret_cast<uintptr_t>(*entry) == 2) {
            bytes = *static_cast<size_t*>(entry[1]);
        }
    }
    int count = kernel.parameter_count;
    size_t expected = count == 0 ? 0 : parameter_offset(kernel, count - 1) + kernel.parameters[count - 1].bytes;
    if (bytes != expected) {
        return Driver::instance().refuse(INVALID_VALUE, title(function) + ": a buffer of " + std::to_string(bytes) +
                                                            " bytes of arguments; its " + std::to_string(count) +
                                                            " parameters take " + std::to_string(expected));
    }
    for (int i = 0; i < count; i++) {
        values.push_back(buffer + parameter_offset(kernel, i));
    }
    return SUCCESS;
}

void record(const Function& function, Index grid, Index block, unsigned shared_bytes, bool overlapping, void** values) {
    Driver& driver = Driver::instance();
    if (driver.recording) {
        std::string arguments;
        for (int i = 0; i < function.kernel->parameter_count; i++) {
            int64_t value = 0;
            memcpy(&value, values[i], std::min<size_t>(sizeof(value), function.kernel->parameters[i].bytes));
            arguments += "," + std::to_string(value);
        }
        driver.recorded += std::string(function.kernel->name) + "," + std::to_string(grid.x) + "," + std::to_string(grid.y) + "," +
                           std::to_string(grid.z) + "," + std::to_string(block.x) + "," + std::to_string(shared_bytes) + "," +
                           (overlapping ? "1" : "0") + arguments + "\n";
    }
}

int launch(const char* call, Function* function, Index grid, Index block, unsigned shared_bytes, void* handle, void** values,
           void** extra, bool overlapping) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter(call)) {
        return code;
    }
    if (!known(function)) {
        return driver.refuse(INVALID_HANDLE, std::string(call) + ": no such function");
    }
    Stream* stream = driver.stream_of(handle);
    if (stream == nullptr) {
        return driver.refuse(INVALID_HANDLE, std::string(call) + " of " + title(*function) + ": no such stream");
    }
    if (int code = check_shape(*function, grid, block, shared_bytes)) {
        return code;
    }
    std::vector<void*> unpacked;
    if (values == nullptr && extra != nullptr) {
        if (int code = unpack_buffer(*function, extra, unpacked)) {
            return code;
        }
        values = unpacked.data();
    }
    if (values == nullptr && function->kernel->parameter_count > 0) {
        return driver.refuse(INVALID_VALUE, std::string(call) + " of " + title(*function) + " without arguments; it has " +
                                                std::to_string(function->kernel->parameter_count) + " parameters");
    }
    record(*function, grid, block, shared_bytes, overlapping, values);
    std::shared_ptr<Prepared> prepared(
        new Prepared{*function, grid, block, shared_bytes, overlapping, ArgumentBlock(*function->kernel, values)});
    std::shared_ptr<EarlyStart> early;
    if (overlapping && !driver.settings.watching) {  // one thread runs all that is watched
        early.reset(new EarlyStart{[=] { prepared->begin(); }, [=] { prepared->abandon(); }});
    }
    return driver.submit(call, *stream, NODE_KERNEL, [=] {
        if (!known(function)) {
            return Failure{INVALID_HANDLE, "a kernel's module was unloaded before the kernel ran"};
        }
        return prepared->run();
    }, early);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void emulator_register(const KernelDescription* kernel) {
    if (loading != nullptr) {
        loading->kernels.push_back(kernel);
    }
}

DRIVER_CALL cuModuleLoadData(Module** module, const void* image) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuModuleLoadData")) {
        return code;
    }
    return load(module, image);
}

DRIVER_CALL cuModuleLoadDataEx(Module** module, const void* image, unsigned, int*, void**) { return cuModuleLoadData(module, image); }

DRIVER_CALL cuModuleLoadFatBinary(Module** module, const void* image) { return cuModuleLoadData(module, image); }

DRIVER_CALL cuModuleUnload(Module* module) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuModuleUnload")) {
        return code;
    }
    if (driver.modules.count(module) == 0) {
        return driver.refuse(INVALID_HANDLE, "cuModuleUnload: no such module");
    }
    if (int code = driver.drain_all()) {
        return code;
    }
    driver.modules.erase(module);
    dlclose(module->library);
    delete module;
    return SUCCESS;
}

DRIVER_CALL cuModuleGetFunction(Function** function, Module* module, const char* name) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuModuleGetFunction")) {
        return code;
    }
    if (driver.modules.count(module) == 0) {
        return driver.refuse(INVALID_HANDLE, "cuModuleGetFunction: no such module");
    }
    for (const KernelDescription* kernel : module->kernels) {
        if (strcmp(kernel->name, name) == 0) {
            auto& slot = module->functions[name];
            if (slot == nullptr) {
                slot = std::make_unique<Function>(Function{kernel, module});
            }
            *function = slot.get();
            return SUCCESS;
        }
    }
    return driver.refuse(NOT_FOUND, std::string("cuModuleGetFunction: kernel ") + name +
                                        " is not registered; write KERNEL(" + name + ") behind it");
}

DRIVER_CALL cuModuleGetFunctionCount(unsigned* count, Module* module) {
    auto guard = locked();
    *count = static_cast<unsigned>(module->kernels.size());
    return SUCCESS;
}

DRIVER_CALL cuFuncGetParamInfo(Function* function, size_t index, size_t* offset, size_t* bytes) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (!known(function)) {
        return driver.refuse(INVALID_HANDLE, "cuFuncGetParamInfo: no such function");
    }
    if (index >= static_cast<size_t>(function->kernel->parameter_count)) {
        return driver.refuse(INVALID_VALUE, title(*function) + " has " + std::to_string(function->kernel->parameter_count) +
                                                " parameters, none of number " + std::to_string(index));
    }
    *offset = parameter_offset(*function->kernel, static_cast<int>(index));
    if (bytes != nullptr) {
        *bytes = function->kernel->parameters[index].bytes;
    }
    return SUCCESS;
}

DRIVER_CALL cuFuncGetName(const char** name, Function* function) {
    *name = function->kernel->name;
    return SUCCESS;
}

DRIVER_CALL cuFuncGetModule(Module** module, Function* function) {
    *module = function->module;
    return SUCCESS;
}

DRIVER_CALL cuFuncGetAttribute(int* value, int attribute, Function* function) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (!known(function)) {
        return driver.refuse(INVALID_HANDLE, "cuFuncGetAttribute: no such function");
    }
    switch (attribute) {
        case ATTRIBUTE_MAX_THREADS: *value = function->kernel->most_threads; break;
        case ATTRIBUTE_SHARED_BYTES: *value = 0; break;  // known for the whole family only; nvcc reports each kernel's
        case ATTRIBUTE_CONSTANT_BYTES: *value = 0; break;
        case ATTRIBUTE_LOCAL_BYTES: *value = 0; break;
        case ATTRIBUTE_REGISTERS: *value = 32; break;
        case ATTRIBUTE_PTX_VERSION:
        case ATTRIBUTE_BINARY_VERSION: *value = 10 * driver.settings.compute_major + driver.settings.compute_minor; break;
        case ATTRIBUTE_MAX_DYNAMIC_SHARED: *value = function->dynamic_shared_limit; break;
        case ATTRIBUTE_CARVEOUT: *value = -1; break;
        default:
            return driver.refuse(NOT_SUPPORTED, "cuFuncGetAttribute: attribute " + std::to_string(attribute) + " is not emulated");
    }
    return SUCCESS;
}

DRIVER_CALL cuFuncSetAttribute(Function* function, int attribute, int value) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (int code = driver.enter("cuFuncSetAttribute")) {
        return code;
    }
    if (!known(function)) {
        return driver.refuse(INVALID_HANDLE, "cuFuncSetAttribute: no such function");
    }
    if (attribute == ATTRIBUTE_CARVEOUT) {
        return SUCCESS;
    }
    if (attribute != ATTRIBUTE_MAX_DYNAMIC_SHARED || value < 0 || value > SHARED_LIMIT_BYTES) {
        return driver.refuse(INVALID_VALUE, title(*function) + ": attribute " + std::to_string(attribute) + " = " +
                                                std::to_string(value) + "; dynamic shared memory goes to " +
                                                std::to_string(SHARED_LIMIT_BYTES) + " bytes");
    }
    function->dynamic_shared_limit = value;
    return SUCCESS;
}

DRIVER_CALL cuFuncSetCacheConfig(Function*, int) { return SUCCESS; }

DRIVER_CALL cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Function* function, int block_threads, size_t shared_bytes) {
    auto guard = locked();
    Driver& driver = Driver::instance();
    if (!known(function) || block_threads <= 0) {
        return driver.refuse(INVALID_VALUE, "cuOccupancyMaxActiveBlocksPerMultiprocessor: function or block of " +
                                                std::to_string(block_threads) + " threads");
    }
    constexpr size_t SHARED_PER_MULTIPROCESSOR = 228 * 1024;
    constexpr size_t RESERVED_PER_BLOCK = 1024;
    int by_threads = 2048 / block_threads;
    int by_shared = static_cast<int>(SHARED_PER_MULTIPROCESSOR / (shared_bytes + RESERVED_PER_BLOCK));
    *blocks = std::min(32, std::min(by_threads, by_shared));
    return SUCCESS;
}

DRIVER_CALL cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, Function* function, int block_threads,
                                                                 size_t shared_bytes, unsigned) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, block_threads, shared_bytes);
}

DRIVER_CALL cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                           unsigned block_z, unsigned shared_bytes, void* stream, void** values, void** extra) {
    return launch("cuLaunchKernel", function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, stream, values,
                  extra, false);
}

// CUlaunchConfig and CUlaunchAttribute of CUDA 12.
struct LaunchAttribute {
    int id;
    char padding[4];
    union {
        char bytes[64];
        int integer;
        struct {
            unsigned x, y, z;
        } cluster;
    } value;
};

struct LaunchConfig {
    unsigned grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes;
    void* stream;
    LaunchAttribute* attributes;
    unsigned attribute_count;
};

DRIVER_CALL cuLaunchKernelEx(const LaunchConfig* config, Function* function, void** values, void** extra) {
    bool overlapping = false;
    for (unsigned i = 0; i < config->attribute_count; i++) {
        const LaunchAttribute& attribute = config->attributes[i];
        bool single = attribute.id == LAUNCH_ATTRIBUTE_CLUSTER && attribute.value.cluster.x * attribute.value.cluster.y *
                                                                           attribute.value.cluster.z == 1;
        if (attribute.id != LAUNCH_ATTRIBUTE_PROGRAMMATIC && !single) {
            auto guard = locked();
            return Driver::instance().refuse(NOT_SUPPORTED, "cuLaunchKernelEx: launch attribute " + std::to_string(attribute.id) +
                                                                " is not emulated (clusters are not)");
        }
        overlapping = overlapping || (attribute.id == LAUNCH_ATTRIBUTE_PROGRAMMATIC && attribute.value.integer != 0);
    }
    return launch("cuLaunchKernelEx", function, {config->grid_x, config->grid_y, config->grid_z},
                  {config->block_x, config->block_y, config->block_z}, config->shared_bytes, config->stream, values, extra,
                  overlapping);
}
