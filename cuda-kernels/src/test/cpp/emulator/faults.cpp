// faults.cpp: see faults.h.

#include "faults.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

#include <mutex>

#include "block.h"

namespace emulator {

namespace {

constexpr int SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
constexpr size_t SIGNAL_STACK_BYTES = 64 * 1024;
constexpr size_t EMERGENCY_STACK_BYTES = 256 * 1024;  // as mapped in block.cpp
constexpr int FAULT_BY_PROCESSOR = 128;                // SI_KERNEL: a general protection fault, without an address
constexpr unsigned long PAGE_FAULT_WRITE = 2;
constexpr greg_t TRAP_FLAG = 0x100;  // of the processor: the next instruction ends with a SIGTRAP

constexpr int CUDA_ERROR_ILLEGAL_ADDRESS = 700;
constexpr int CUDA_ERROR_LAUNCH_TIMEOUT = 702;
constexpr int CUDA_ERROR_ILLEGAL_INSTRUCTION = 715;
constexpr int CUDA_ERROR_MISALIGNED_ADDRESS = 716;
constexpr int CUDA_ERROR_LAUNCH_FAILED = 719;

struct sigaction previous[65];

void handle(int signal, siginfo_t* info, void* context) {
    Worker* worker = worker_of_this_thread;
    if (worker != nullptr && worker->is_interruption(signal, info) && !worker->can_be_ended_here(context)) {
        return;
    }
    if (worker != nullptr && worker->pass_watched_access(signal, info, context)) {
        return;
    }
    if (worker != nullptr && worker->in_kernel() && signal != SIGTRAP) {
        worker->redirect_fault(signal, info, context);
        return;
    }
    const struct sigaction& old = previous[signal];
    if ((old.sa_flags & SA_SIGINFO) != 0 && old.sa_sigaction != nullptr) {
        old.sa_sigaction(signal, info, context);
    } else if (old.sa_handler == SIG_DFL || old.sa_handler == SIG_IGN) {
        sigaction(signal, &old, nullptr);  // and the instruction faults again
        if (signal == SIGTRAP) {
            raise(signal);
        }
    } else {
        old.sa_handler(signal);
    }
}

void* signal_stack_of_this_thread() {
    static thread_local unsigned char* stack = nullptr;
    if (stack == nullptr) {
        void* memory = mmap(nullptr, SIGNAL_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        stack = memory == MAP_FAILED ? nullptr : static_cast<unsigned char*>(memory);
    }
    return stack;
}

}  // namespace

void install_fault_handlers() {
    static std::once_flag once;
    std::call_once(once, [] {
        struct sigaction action = {};
        action.sa_sigaction = handle;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
        sigfillset(&action.sa_mask);
        for (int signal : SIGNALS) {
            sigdelset(&action.sa_mask, signal);
        }
        for (int signal : SIGNALS) {
            sigaction(signal, &action, &previous[signal]);
        }
    });
}

SignalStack::SignalStack() {
    static_assert(sizeof(stack_t) <= sizeof(saved_));
    stack_t stack = {};
    stack.ss_sp = signal_stack_of_this_thread();
    stack.ss_size = SIGNAL_STACK_BYTES;
    stack.ss_flags = stack.ss_sp == nullptr ? SS_DISABLE : 0;
    sigaltstack(&stack, reinterpret_cast<stack_t*>(saved_));
}

SignalStack::~SignalStack() { sigaltstack(reinterpret_cast<stack_t*>(saved_), nullptr); }

void Worker::redirect_fault(int signal, void* info, void* context) {
    const siginfo_t* details = static_cast<const siginfo_t*>(info);
    ucontext_t* machine = static_cast<ucontext_t*>(context);
    fault_signal_ = signal;
    fault_code_ = details->si_code;
    fault_address_ = details->si_addr;
    fault_is_write_ = (static_cast<unsigned long>(machine->uc_mcontext.gregs[REG_ERR]) & PAGE_FAULT_WRITE) != 0;
    machine->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
    // At its first instruction a function expects rsp = 16 n + 8.
    auto top = reinterpret_cast<uintptr_t>(emergency_stack_ + EMERGENCY_STACK_BYTES) - 8;
    machine->uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(top);
    machine->uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(&Worker::land_after_fault);
}

bool Worker::pass_watched_access(int signal, void* info, void* context) {
    if (launch_ == nullptr || launch_->watch == nullptr) {
        return false;
    }
    Watch& watch = *launch_->watch;
    siginfo_t* details = static_cast<siginfo_t*>(info);
    ucontext_t* machine = static_cast<ucontext_t*>(context);
    if (signal == SIGTRAP && watch.is_open()) {
        machine->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
        unsigned char* damage = watch.close();
        if (damage != nullptr && current_ != nullptr) {
            details->si_code = SEGV_ACCERR;
            details->si_addr = damage;
            redirect_fault(SIGSEGV, info, context);
            fault_is_write_ = true;
        }
        return true;
    }
    const Border* border = signal == SIGSEGV && details->si_code == SEGV_ACCERR ? watch.find(details->si_addr) : nullptr;
    // Outside of a kernel's threads the emulator itself is at work, with ranges that were checked.
    if (border == nullptr || (current_ != nullptr && !border->allows(static_cast<unsigned char*>(details->si_addr)))) {
        return false;
    }
    watch.open(*border);
    machine->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
    return true;
}

void Worker::land_after_fault() {
    Worker& worker = *worker_of_this_thread;
    const void* address = worker.fault_address_;
    std::string text;
    int code = CUDA_ERROR_ILLEGAL_ADDRESS;
    if (worker.fault_signal_ == SIGSEGV && worker.fault_code_ == SI_TKILL) {
        text = "the block has run for " + std::to_string(static_cast<int>(worker.launch_->limit_seconds)) +
               " s of processor time; is this an endless loop?";
        code = CUDA_ERROR_LAUNCH_TIMEOUT;
    } else if (worker.fault_signal_ == SIGFPE) {
        text = "integer division by zero";
        code = CUDA_ERROR_LAUNCH_FAILED;
    } else if (worker.fault_signal_ == SIGILL) {
        text = "illegal instruction (a trap, or code the compiler holds for unreachable)";
        code = CUDA_ERROR_ILLEGAL_INSTRUCTION;
    } else if (worker.fault_code_ == FAULT_BY_PROCESSOR) {
        text = "access to a misaligned vector, or to an address that cannot exist";
        code = CUDA_ERROR_MISALIGNED_ADDRESS;
    } else if (worker.fibers_.is_guard(address)) {
        text = "stack overflow: the thread's local variables need more than " +
               std::to_string(FiberPool::STACK_BYTES / 1024) + " KiB";
        code = CUDA_ERROR_LAUNCH_FAILED;
    } else {
        char pointer[32];
        snprintf(pointer, sizeof(pointer), "%p", address);
        text = std::string(worker.fault_is_write_ ? "write to " : "read of ") + pointer + ", " +
               worker.describe_address(address);
        worker.launch_->out_of_bounds = true;
    }
    worker.launch_->fail(code, worker.where(*worker.current_) + ": " + text);
    worker.leave_for_home();
}

// ---- endless loops --------------------------------------------------------------------------------------------------

double Worker::processor_seconds() const {
    clockid_t clock;
    timespec time;
    if (pthread_getcpuclockid(thread_, &clock) != 0 || clock_gettime(clock, &time) != 0) {
        return 0;
    }
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

void Worker::set_deadline(double seconds) {
    std::lock_guard guard(limit_lock_);
    deadline_seconds_ = seconds;
    overdue_ = false;
}

// Again and again until the signal meets the kernel's own code; set_deadline(0) ends it, under the same lock.
void Worker::interrupt_if_overdue() {
    std::lock_guard guard(limit_lock_);
    if (deadline_seconds_ > 0 && processor_seconds() > deadline_seconds_) {
        overdue_ = true;
        pthread_kill(thread_, SIGSEGV);
    }
}

bool Worker::is_interruption(int signal, const void* info) const {
    return signal == SIGSEGV && static_cast<const siginfo_t*>(info)->si_code == SI_TKILL;
}

bool Worker::can_be_ended_here(const void* context) const {
    auto* machine = static_cast<const ucontext_t*>(context);
    auto* instruction = reinterpret_cast<const void*>(machine->uc_mcontext.gregs[REG_RIP]);
    return overdue_ && current_ != nullptr && instruction >= launch_->code_begin && instruction < launch_->code_end;
}

// Next to the block's shared memory or to an allocation.
std::string Worker::describe_address(const void* address) const {
    auto* byte = static_cast<const unsigned char*>(address);
    const unsigned char* end = dynamic_shared_ + launch_->shared_bytes;
    constexpr ptrdiff_t NEAR_BYTES = 64 * 1024;
    if (byte >= end && byte - end < NEAR_BYTES) {
        return std::to_string(byte - end) + " bytes past the end of the dynamic shared memory of " +
               std::to_string(launch_->shared_bytes) + " bytes";
    }
    if (byte >= shared_pages_ && byte < dynamic_shared_) {
        return std::to_string(dynamic_shared_ - byte) + " bytes before the begin of the dynamic shared memory of " +
               std::to_string(launch_->shared_bytes) + " bytes";
    }
    return launch_->memory->describe(address);
}

}  // namespace emulator
