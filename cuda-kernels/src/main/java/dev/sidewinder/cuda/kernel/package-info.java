/// Kernels and their launchers, one class per `.cu` file. Read `Kernels` first, then `RmsNorm`.
package dev.sidewinder.cuda.kernel;
