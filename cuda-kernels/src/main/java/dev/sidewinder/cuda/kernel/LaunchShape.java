package dev.sidewinder.cuda.kernel;

/// The grid of a launch, the threads of a block, and its dynamic shared memory in bytes. Blocks are one-dimensional.
public record LaunchShape(int gridX, int gridY, int gridZ, int blockX, int sharedBytes) {

    /// The bound of CUDA on the second and third dimension of a grid.
    private static final int LARGEST_GRID_YZ = 65_535;
    private static final int LARGEST_BLOCK = 1_024;

    public LaunchShape {
        if (gridX < 1 || gridY < 1 || gridZ < 1 || gridY > LARGEST_GRID_YZ || gridZ > LARGEST_GRID_YZ) {
            throw new IllegalArgumentException("a grid of %d x %d x %d blocks; each is at least 1, y and z at most %d"
                    .formatted(gridX, gridY, gridZ, LARGEST_GRID_YZ));
        }
        if (blockX < 1 || blockX > LARGEST_BLOCK || sharedBytes < 0) {
            throw new IllegalArgumentException("a block of %d threads with %d bytes of shared memory; it has 1 to %d threads"
                    .formatted(blockX, sharedBytes, LARGEST_BLOCK));
        }
    }

    /// A row of blocks without dynamic shared memory.
    public static LaunchShape of(int gridX, int blockX) {
        return new LaunchShape(gridX, 1, 1, blockX, 0);
    }

    public LaunchShape withShared(int bytes) {
        return new LaunchShape(gridX, gridY, gridZ, blockX, bytes);
    }
}
