//! Rows of the operators of layers: windows, normalisations, detectors, recurrent and
//! quantised ones.

use aether_inference::Tensor;

use super::super::model::{floats, ints};
use super::{Row, bytes, of, positive, x};

pub(super) fn rows(all: &mut Vec<Row>) {
    windows(all);
    layers(all);
    detection(all);
    recurrent(all);
    quantised(all);
}

fn windows(all: &mut Vec<Row>) {
    all.push(Row::new("MatMul", vec![x(&[2, 2, 3]), x(&[3, 4])]));
    all.push(
        Row::new("Gemm", vec![x(&[2, 3]), x(&[4, 3]), x(&[4])])
            .required(2)
            .float("alpha", 0.5)
            .float("beta", 2.0)
            .int("transA", 0)
            .int("transB", 1),
    );
    let window = |op, inputs| {
        Row::new(op, inputs)
            .ints("kernel_shape", &[3, 2])
            .ints("strides", &[2, 1])
            .ints("pads", &[1, 0, 1, 1])
    };
    let image = || x(&[2, 4, 5, 6]);
    all.push(
        window("Conv", vec![image(), x(&[6, 2, 3, 2]), x(&[6])])
            .required(2)
            .int("group", 2)
            .ints("dilations", &[1, 2]),
    );
    let same = Row::new("Conv", vec![x(&[1, 2, 9]), x(&[3, 2, 3])]);
    all.push(same.text("auto_pad", "SAME_UPPER").ints("strides", &[2]));
    all.push(
        window("ConvTranspose", vec![image(), x(&[4, 3, 3, 2]), x(&[6])])
            .required(2)
            .int("group", 2)
            .ints("output_padding", &[1, 0]),
    );
    let offsets = x(&[2, 2 * 2 * 6, 3, 6]);
    all.push(
        window(
            "DeformConv",
            vec![image(), x(&[6, 2, 3, 2]), offsets, x(&[6])],
        )
        .required(3)
        .more(vec![Some(x(&[2, 2 * 6, 3, 6]))])
        .int("group", 2)
        .int("offset_group", 2)
        .ints("dilations", &[1, 1]),
    );
    all.push(
        window("MaxPool", vec![image()])
            .int("ceil_mode", 1)
            .outputs(2),
    );
    all.push(window("AveragePool", vec![image()]).int("count_include_pad", 1));
    all.push(window("LpPool", vec![image()]).int("p", 3));
    for op in ["GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"] {
        all.push(Row::new(op, vec![image()]));
    }
    let places = of(&[1, 1, 2, 2], vec![5i64, 7, 13, 15]);
    all.push(
        Row::new("MaxUnpool", vec![x(&[1, 1, 2, 2]), places])
            .ints("kernel_shape", &[2, 2])
            .ints("strides", &[2, 2]),
    );
    all.push(
        Row::new("Col2Im", vec![x(&[1, 8, 4]), ints(&[3, 3]), ints(&[2, 2])])
            .ints("strides", &[1, 1]),
    );
    all.push(Row::new("Einsum", vec![x(&[2, 3]), x(&[3, 4])]).text("equation", "ij,jk->ki"));
    all.push(Row::new("Einsum", vec![x(&[2, 3, 3])]).text("equation", "...ii->...i"));
    all.push(Row::new("Det", vec![x(&[2, 3, 3])]));
}

fn layers(all: &mut Vec<Row>) {
    let image = || x(&[1, 2, 3, 4]);
    let scales = || floats(&[4], &[1.0, 1.0, 2.0, 0.6]);
    all.push(
        Row::new("Resize", vec![image()])
            .more(vec![None, Some(scales())])
            .text("mode", "cubic")
            .int("antialias", 1),
    );
    all.push(
        Row::new("Resize", vec![image()])
            .more(vec![None, None, Some(ints(&[5, 2]))])
            .text("mode", "linear")
            .ints("axes", &[2, 3])
            .text("coordinate_transformation_mode", "align_corners"),
    );
    let roi = floats(&[8], &[0.0, 0.0, 0.1, 0.2, 1.0, 1.0, 0.8, 1.3]);
    all.push(
        Row::new("Resize", vec![image(), roi, scales()])
            .text("coordinate_transformation_mode", "tf_crop_and_resize")
            .float("extrapolation_value", 3.0),
    );
    all.push(Row::new("Upsample", vec![image(), scales()]).at(9));
    all.push(
        Row::new("Upsample", vec![image(), scales()])
            .text("mode", "linear")
            .at(9),
    );
    let heads = |l: usize| x(&[2, 4, l, 3]);
    let halves = |l: usize| x(&[2, 2, l, 3]);
    all.push(
        Row::new(
            "Attention",
            vec![heads(3), halves(5), halves(5), x(&[3, 7])],
        )
        .required(3)
        .more(vec![Some(halves(2)), Some(halves(2))])
        .int("is_causal", 1)
        .float("scale", 0.3)
        .float("softcap", 2.0)
        .int("qk_matmul_output_mode", 3)
        .outputs(4),
    );
    all.push(
        Row::new(
            "Attention",
            vec![x(&[1, 3, 8]), x(&[1, 5, 4]), x(&[1, 5, 4])],
        )
        .int("q_num_heads", 4)
        .int("kv_num_heads", 2),
    );
    let angles = x(&[5, 2]);
    let places = of(&[1, 3], vec![0i64, 4, 2]);
    all.push(
        Row::new(
            "RotaryEmbedding",
            vec![x(&[1, 2, 3, 4]), angles.clone(), angles, places],
        )
        .int("interleaved", 1),
    );
}

fn detection(all: &mut Vec<Row>) {
    all.push(
        Row::new("GridSample", vec![x(&[1, 2, 4, 5]), x(&[1, 3, 2, 2])])
            .text("mode", "cubic")
            .text("padding_mode", "reflection")
            .int("align_corners", 1),
    );
    all.push(
        Row::new("AffineGrid", vec![x(&[2, 2, 3]), ints(&[2, 1, 3, 4])]).int("align_corners", 0),
    );
    let regions = floats(&[2, 4], &[0.0, 0.0, 3.0, 4.0, 1.0, 1.0, 2.0, 5.0]);
    all.push(
        Row::new("RoiAlign", vec![x(&[1, 2, 6, 6]), regions, ints(&[0, 0])])
            .int("output_height", 2)
            .int("output_width", 3)
            .int("sampling_ratio", 2)
            .float("spatial_scale", 0.9),
    );
    let boxes = [0., 0., 1., 1., 0., 0.1, 1., 1.1, 0., 10., 1., 11.];
    all.push(
        Row::new(
            "NonMaxSuppression",
            vec![floats(&[1, 3, 4], &boxes), positive(&[1, 2, 3])],
        )
        .more(vec![
            Some(ints(&[2])),
            Some(floats(&[1], &[0.5])),
            Some(floats(&[1], &[0.2])),
        ])
        .int("center_point_box", 0),
    );
}

fn recurrent(all: &mut Vec<Row>) {
    for (op, gates) in [("LSTM", 4), ("GRU", 3), ("RNN", 1)] {
        let lstm = op == "LSTM";
        let lengths = of(&[2], vec![3i32, 2]);
        let mut more = vec![
            Some(x(&[2, 2 * gates * 3])),
            Some(lengths),
            Some(x(&[2, 2, 3])),
        ];
        if lstm {
            more.extend([Some(x(&[2, 2, 3])), Some(x(&[2, 9]))]);
        }
        let inputs = vec![x(&[3, 2, 4]), x(&[2, gates * 3, 4]), x(&[2, gates * 3, 3])];
        let row = Row::new(op, inputs)
            .more(more)
            .outputs(if lstm { 3 } else { 2 });
        all.push(
            row.text("direction", "bidirectional")
                .int("hidden_size", 3)
                .float("clip", 2.0),
        );
    }
    let weights = |rows| {
        let n = rows * 12;
        of(
            &[1, rows, 12],
            (0..n).map(|i| (i % 251) as i8).collect::<Vec<i8>>(),
        )
    };
    let one = || Some(floats(&[1], &[0.01]));
    let zero = || Some(of(&[1], vec![0i8]));
    all.push(
        Row::new(
            "com.microsoft.DynamicQuantizeLSTM",
            vec![x(&[3, 2, 4]), weights(4), weights(3)],
        )
        .more(vec![
            None,
            None,
            None,
            None,
            None,
            one(),
            zero(),
            one(),
            zero(),
        ])
        .int("hidden_size", 3)
        .outputs(3),
    );
}

fn quantised(all: &mut Vec<Row>) {
    let s = |v: f32| Tensor::scalar(v);
    let z = |v: u8| Tensor::scalar(v);
    all.push(
        Row::new("QuantizeLinear", vec![x(&[2, 3]), s(0.02), z(7)])
            .required(2)
            .int("axis", 1),
    );
    all.push(Row::new("DequantizeLinear", vec![bytes(&[2, 3]), s(0.02), z(7)]).required(2));
    let blocks = vec![x(&[4, 3]), positive(&[2, 3])];
    all.push(
        Row::new("QuantizeLinear", blocks)
            .int("axis", 0)
            .int("block_size", 2),
    );
    all.push(Row::new("DynamicQuantizeLinear", vec![x(&[2, 3])]).outputs(3));
    all.push(
        Row::new(
            "MatMulInteger",
            vec![bytes(&[2, 3]), bytes(&[3, 4]), z(1), z(2)],
        )
        .required(2),
    );
    let image = || bytes(&[1, 2, 4, 4]);
    all.push(
        Row::new(
            "ConvInteger",
            vec![image(), bytes(&[2, 2, 3, 3]), z(1), z(2)],
        )
        .required(2)
        .ints("pads", &[1, 1, 1, 1]),
    );
    all.push(Row::new(
        "QLinearMatMul",
        vec![
            bytes(&[2, 3]),
            s(0.1),
            z(3),
            bytes(&[3, 4]),
            s(0.2),
            z(1),
            s(4.0),
            z(100),
        ],
    ));
    let bias = of(&[2], vec![5i32, -7]);
    let inputs = vec![
        image(),
        s(0.1),
        z(3),
        bytes(&[2, 2, 3, 3]),
        s(0.2),
        z(1),
        s(4.0),
        z(9),
    ];
    all.push(
        Row::new("QLinearConv", inputs)
            .more(vec![Some(bias)])
            .ints("pads", &[1, 1, 1, 1]),
    );
}
