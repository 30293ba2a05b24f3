package dev.sidewinder.cuda.kernel;

/// Shapes that the Mamba kernels are tried on.
final class MambaShapes {

    /// `models/tiny`.
    static final MambaShape TINY = new MambaShape(8, 64, 2, 64, 4);
    /// Half a group of it, for tests with very many tokens.
    static final MambaShape SMALL = new MambaShape(2, 16, 1, 64, 4);
    /// Nano 30B.
    static final MambaShape NANO = new MambaShape(64, 64, 8, 128, 4);
    /// A quarter of Nano's heads, with its head and state sizes.
    static final MambaShape QUARTER_NANO = new MambaShape(16, 64, 2, 128, 4);
    /// Head size of the dense family members.
    static final MambaShape DENSE = new MambaShape(4, 80, 2, 128, 4);
    /// Small and odd, as recorded models have them: the plain path.
    static final MambaShape GOLDEN = new MambaShape(8, 8, 2, 16, 4);
    static final MambaShape ODD = new MambaShape(3, 13, 3, 21, 4);
    static final MambaShape TWO_TAPS = new MambaShape(4, 16, 1, 64, 2);
    static final MambaShape MANY_TAPS = new MambaShape(2, 8, 2, 16, 64);

    private MambaShapes() {}
}
