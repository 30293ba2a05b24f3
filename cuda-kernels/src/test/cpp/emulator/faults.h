// faults.h: turns SIGSEGV and its kin inside a kernel into a failed launch.

#pragma once

namespace emulator {

// Installs the handlers, once. Signals that do not come from a kernel go on to the handlers found here (the JVM's).
void install_fault_handlers();

// While one lives, this thread handles signals on a stack of its own, so that an overflowing fiber can be reported.
class SignalStack {
public:
    SignalStack();
    ~SignalStack();

    SignalStack(const SignalStack&) = delete;

private:
    alignas(16) unsigned char saved_[64];
};

}  // namespace emulator
