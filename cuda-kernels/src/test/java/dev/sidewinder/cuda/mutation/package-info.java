/// What `tools/mutate-kernels` runs: test classes without Maven, up to the first failure.
package dev.sidewinder.cuda.mutation;
