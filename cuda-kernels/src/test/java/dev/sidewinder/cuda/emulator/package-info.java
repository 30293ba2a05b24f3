/// CUDA without a GPU: a stand-in for `libcuda.so.1` that runs the kernels, compiled by g++, on the CPU. Read [Emulator]
/// first, then `src/test/cpp/emulator` and the decision record on the emulator.
package dev.sidewinder.cuda.emulator;
