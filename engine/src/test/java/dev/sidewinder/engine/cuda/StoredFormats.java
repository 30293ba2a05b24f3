package dev.sidewinder.engine.cuda;

import dev.sidewinder.model.checkpoint.Bf16;
import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.E4m3;
import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.checkpoint.Nvfp4;
import dev.sidewinder.model.checkpoint.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Stores the matrices of a BF16 model in other formats, chosen for each by its name, as publishers mix them in a checkpoint.
final class StoredFormats {

    /// What a matrix is stored in. Those without an input scale take activations as bf16.
    enum Stored {
        BF16, FP8, FP8_WITHOUT_INPUT_SCALE, NVFP4
    }

    /// Chooses by names like `layers.3.experts.0.up_proj`, `layers.3.shared_experts.down_proj`, `layers.0.in_proj`, `lm_head`.
    @FunctionalInterface
    interface Choice {
        Stored of(String matrix);
    }

    /// Activations stay below this, those behind a squared ReLU too; larger ones would saturate. Small ones lose nothing by
    /// it, since codes are floats themselves.
    private static final float LARGEST_ACTIVATION = 128;

    private final Arena arena;
    private final Choice choice;

    private StoredFormats(Arena arena, Choice choice) {
        this.arena = arena;
        this.choice = choice;
    }

    /// The same model with its matrices in the chosen formats.
    ///
    /// @param arena has the new matrices
    /// @param model with BF16 matrices
    static ModelWeights of(ModelWeights model, Arena arena, Choice choice) {
        var formats = new StoredFormats(arena, choice);
        List<LayerWeights> layers = new ArrayList<>();
        for (int i = 0; i < model.layers().size(); i++) {
            layers.add(formats.layer("layers." + i + ".", model.layers().get(i)));
        }
        return new ModelWeights(model.embeddings(), layers, model.finalNorm(), formats.stored("lm_head", model.head()));
    }

    private LayerWeights layer(String at, LayerWeights layer) {
        return switch (layer) {
            case LayerWeights.Mamba mamba -> new LayerWeights.Mamba(mamba.norm(), stored(at + "in_proj", mamba.inProjection()),
                    mamba.convWeight(), mamba.convBias(), mamba.aLog(), mamba.skip(), mamba.timeStepBias(), mamba.gateNorm(),
                    stored(at + "out_proj", mamba.outProjection()));
            case LayerWeights.Attention attention -> new LayerWeights.Attention(attention.norm(),
                    stored(at + "q_proj", attention.query()), stored(at + "k_proj", attention.key()),
                    stored(at + "v_proj", attention.value()), stored(at + "o_proj", attention.output()), attention.keyScale(),
                    attention.valueScale());
            case LayerWeights.Experts experts -> new LayerWeights.Experts(experts.norm(), experts.gate(), experts.correctionBias(),
                    each(at, "up_proj", experts.up()), each(at, "down_proj", experts.down()),
                    stored(at + "shared_experts.up_proj", experts.sharedUp()),
                    stored(at + "shared_experts.down_proj", experts.sharedDown()),
                    stored(at + "fc1_latent_proj", experts.latentIn()), stored(at + "fc2_latent_proj", experts.latentOut()));
            case LayerWeights.Mlp mlp -> new LayerWeights.Mlp(mlp.norm(), stored(at + "up_proj", mlp.up()),
                    stored(at + "down_proj", mlp.down()));
        };
    }

    private List<LinearWeight> each(String at, String projection, List<LinearWeight> matrices) {
        List<LinearWeight> result = new ArrayList<>();
        for (int expert = 0; expert < matrices.size(); expert++) {
            result.add(stored(at + "experts." + expert + "." + projection, matrices.get(expert)));
        }
        return result;
    }

    private Optional<LinearWeight> stored(String name, Optional<LinearWeight> matrix) {
        return matrix.map(present -> stored(name, present));
    }

    private LinearWeight stored(String name, LinearWeight matrix) {
        return switch (choice.of(name)) {
            case BF16 -> matrix;
            case FP8 -> fp8(name, (LinearWeight.Plain) matrix, LARGEST_ACTIVATION / E4m3.MAX);
            case FP8_WITHOUT_INPUT_SCALE -> fp8(name, (LinearWeight.Plain) matrix, Float.NaN);
            case NVFP4 -> nvfp4(name, (LinearWeight.Plain) matrix);
        };
    }

    private LinearWeight fp8(String name, LinearWeight.Plain matrix, float inputScale) {
        float[] values = values(matrix);
        float scale = largest(values) / E4m3.MAX;
        MemorySegment codes = arena.allocate(values.length, 64);
        for (int i = 0; i < values.length; i++) {
            codes.set(ValueLayout.JAVA_BYTE, i, E4m3.encode(values[i] / scale));
        }
        return new LinearWeight.Fp8(view(name, DType.F8_E4M3, matrix, matrix.inputs(), codes), 0, matrix.outputs(), matrix.inputs(),
                scale, inputScale);
    }

    private LinearWeight nvfp4(String name, LinearWeight.Plain matrix) {
        float[] values = values(matrix);
        float global = Nvfp4.globalScale(largest(values));
        byte[] codes = new byte[values.length / 2];
        byte[] scales = new byte[values.length / Nvfp4.BLOCK];
        for (int block = 0; block < scales.length; block++) {
            scales[block] = Nvfp4.encodeScale(values, block * Nvfp4.BLOCK, global);
            Nvfp4.encodeBlock(values, block * Nvfp4.BLOCK, scales[block], global, codes, block * Nvfp4.BLOCK / 2);
        }
        return new LinearWeight.Nvfp4(view(name, DType.U8, matrix, matrix.inputs() / 2, copy(codes)),
                view(name + "_scale", DType.F8_E4M3, matrix, matrix.inputs() / Nvfp4.BLOCK, copy(scales)), matrix.outputs(),
                matrix.inputs(), global, Float.NaN);
    }

    private MemorySegment copy(byte[] bytes) {
        return arena.allocate(bytes.length, 64).copyFrom(MemorySegment.ofArray(bytes));
    }

    private static TensorView view(String name, DType type, LinearWeight matrix, long columns, MemorySegment data) {
        return new TensorView(name, type, List.of((long) matrix.outputs(), columns), data);
    }

    private static float[] values(LinearWeight.Plain matrix) {
        if (matrix.tensor().type() != DType.BF16) {
            throw new IllegalArgumentException(matrix.tensor().name() + " is " + matrix.tensor().type() + ", not BF16");
        }
        float[] values = new float[matrix.outputs() * matrix.inputs()];
        for (int i = 0; i < values.length; i++) {
            values[i] = Bf16.decode(matrix.tensor().data().get(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * (matrix.offset() + i)));
        }
        return values;
    }

    private static float largest(float[] values) {
        float largest = 0;
        for (float value : values) {
            largest = Math.max(largest, Math.abs(value));
        }
        return largest;
    }
}
