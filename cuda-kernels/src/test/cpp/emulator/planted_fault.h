// planted_fault.h: a failure that a test plants in a process of its own, which cannot call the emulator's entry points.
//
// The environment variable EMULATED_CUDA_FAULT holds "CALL CODE FILE": once the file is there, the driver call of that name
// fails with that code. With the codes after which a real context is lost, every call fails from then on.

#pragma once

#include <string>

namespace emulator {

// The code that this call fails with now; 0 when nothing is planted for it, or its time has not come.
int planted_fault(const char* call);

// Whether the context is lost after this code. Source: CUDA 12.4, cuda.h, CUresult.
bool loses_context(int code);

}  // namespace emulator
