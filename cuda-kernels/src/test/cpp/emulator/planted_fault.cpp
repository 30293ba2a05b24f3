// planted_fault.cpp: see planted_fault.h.

#include "planted_fault.h"

#include <stdlib.h>
#include <unistd.h>

#include <sstream>

namespace emulator {

namespace {

struct Fault {
    std::string call;
    int code = 0;
    std::string file;
};

Fault read_fault() {
    Fault fault;
    if (const char* text = getenv("EMULATED_CUDA_FAULT")) {
        std::istringstream(text) >> fault.call >> fault.code >> fault.file;
    }
    return fault;
}

}  // namespace

int planted_fault(const char* call) {
    static const Fault fault = read_fault();
    return fault.call == call && access(fault.file.c_str(), F_OK) == 0 ? fault.code : 0;
}

bool loses_context(int code) {
    switch (code) {
        case 214: case 220: case 700: case 702: case 709: case 710: case 714: case 715: case 716: case 717: case 718: case 719:
        case 999:
            return true;
        default:
            return false;
    }
}

}  // namespace emulator
