"""Do others read what `macromac pack --format autoawq` writes, and compute the same?

Packs each model by each method and compares logits of the first windows of a text:
(a) transformers, FP32, with the checkpoint's weights unpacked here, independently of the Rust code, against `macromac logits`
    (backend cpu) over the checkpoint itself and over the image packed from it: every logit within 2e-3;
(b) AutoAWQ 0.2.9, which loads the checkpoint itself and computes in FP16, against the same and against the golden model: the
    same most probable token at 98 % of the positions or more.
Prints a line a model and writes the figures to a file. Exit code 1 if a limit is broken.

usage: autoawq_check.py MACROMAC ROOT WORK RESULT    (program, source folder, scratch folder, JSON to write)
"""

import datetime
import json
import pathlib
import subprocess
import sys

import awq.models.base
import awq.modules.linear.gemm
import torch
import transformers
from awq import AutoAWQForCausalLM
from safetensors.torch import load_file
from transformers import AutoConfig, AutoTokenizer, Qwen2ForCausalLM

MACROMAC, ROOT, WORK, RESULT = (pathlib.Path(a).absolute() for a in sys.argv[1:5])
MODELS = {"demo": "models/demo", "tiny-a": "tests/data/tiny-a/fp"}
TEXT, CALIBRATION = "tests/data/demo/eval.txt", "tests/data/demo/calib.txt"
WINDOWS, WINDOW = 4, 256  # tokens
CALIBRATION_BYTES = 16_000  # enough for a few windows, so that a run takes minutes
LOGIT_LIMIT, ARGMAX_LIMIT = 2e-3, 0.98


def macromac(*args):
    return subprocess.run([MACROMAC, *map(str, args)], check=True, stdout=subprocess.PIPE, text=True).stdout


def our_logits(folder, backend, windows):
    """[window, position, vocabulary] of `macromac logits`."""
    runs = (macromac("logits", "-m", folder, "--backend", backend, "--all", "--tokens", ",".join(map(str, w))) for w in windows)
    return torch.tensor([json.loads(r)["logits"] for r in runs])


def unpacked(words):
    """INT4 of AutoAWQ's words, [lines, 8 x words]: output channel 8c + j is nibble [0, 4, 1, 5, 2, 6, 3, 7][j] of word c."""
    shifts = torch.tensor([0, 16, 4, 20, 8, 24, 12, 28])
    return (words.long()[:, :, None] >> shifts & 15).reshape(len(words), -1)


def plain_model(folder):
    """The checkpoint as an FP32 model without any quantization: weight = (q - z) * scale."""
    config = AutoConfig.from_pretrained(folder)
    group = config.quantization_config["group_size"]
    del config.quantization_config
    state = {}
    for name, t in (tensors := load_file(folder / "model.safetensors")).items():
        if name.endswith(".qweight"):
            stem = name.removesuffix("qweight")
            zeros, scales = (t.repeat_interleave(group, 0) for t in (unpacked(tensors[stem + "qzeros"]), tensors[stem + "scales"].float()))
            state[stem + "weight"] = ((unpacked(t) - zeros) * scales).T.contiguous()
        elif not name.endswith((".qzeros", ".scales")):
            state[name] = t.float()
    config._attn_implementation = "eager"
    model = Qwen2ForCausalLM(config).float().eval()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model


def autoawq_model(folder):
    """The checkpoint as AutoAWQ loads it. Its CPU kernels need a package that repacks the weights; without a device it takes
    its own PyTorch path, which unpacks them as its GPU kernels do."""
    awq.models.base.get_best_device = lambda: "none"
    awq.modules.linear.gemm.TRITON_AVAILABLE = False
    return AutoAWQForCausalLM.from_quantized(folder, fuse_layers=False, device_map={"": "cpu"}).model


def check(name, checkpoint, method):
    folder, image, direct = (WORK / f"{name}-{method}-{kind}" for kind in ("autoawq", "image", "direct"))
    calibration = WORK / "calib.txt"
    calibration.write_bytes((ROOT / CALIBRATION).read_bytes()[:CALIBRATION_BYTES])
    how = ["--calib", calibration] if method == "awq" else []
    macromac("pack", ROOT / checkpoint, "-o", folder, "--format", "autoawq", *how)
    macromac("pack", folder, "-o", image)
    macromac("pack", ROOT / checkpoint, "-o", direct, "--head", "fp16", *how)
    tokens = AutoTokenizer.from_pretrained(folder)((ROOT / TEXT).read_text()[:10_000])["input_ids"]
    windows = [tokens[i * WINDOW : (i + 1) * WINDOW] for i in range(WINDOWS)]
    of_checkpoint, of_image, of_direct = (our_logits(f, "cpu", windows) for f in (folder, image, direct))
    golden = our_logits(image, "golden", windows)
    with torch.no_grad():
        plain = plain_model(folder)(torch.tensor(windows)).logits
        theirs = autoawq_model(folder)(torch.tensor(windows)).logits.float()
    worst = lambda ours: (ours - plain).abs().max().item()
    same = lambda ours: (ours.argmax(-1) == theirs.argmax(-1)).float().mean().item()
    r = {
        "model": name,
        "method": method,
        "positions": WINDOWS * WINDOW,
        "largest_logit": plain.abs().max().item(),
        "difference_cpu_checkpoint": worst(of_checkpoint),
        "difference_cpu_image": worst(of_image),
        # Norms of the image keep their precision, the checkpoint's are FP16: a figure, not a limit.
        "difference_cpu_image_packed_directly": worst(of_direct),
        "difference_autoawq_fp16": worst(theirs),
        "argmax_autoawq_cpu": same(of_checkpoint),
        "argmax_autoawq_golden": same(golden),
    }
    r["passed"] = max(r["difference_cpu_checkpoint"], r["difference_cpu_image"]) <= LOGIT_LIMIT and min(
        r["argmax_autoawq_cpu"], r["argmax_autoawq_golden"]
    ) >= ARGMAX_LIMIT
    print(
        f"{name} {method}: {'ok' if r['passed'] else 'FAILED'}: transformers FP32 against cpu: checkpoint {r['difference_cpu_checkpoint']:.1e}, "
        f"image {r['difference_cpu_image']:.1e} (limit {LOGIT_LIMIT:g}), image packed directly {r['difference_cpu_image_packed_directly']:.1e}; "
        f"AutoAWQ's argmax against cpu {r['argmax_autoawq_cpu']:.2%}, golden {r['argmax_autoawq_golden']:.2%} of {r['positions']} (limit {ARGMAX_LIMIT:.0%})",
        flush=True,
    )
    return r


# First, for the program was built from what is here now.
commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], stdout=subprocess.PIPE, text=True).stdout.strip()
results = [check(name, path, method) for name, path in MODELS.items() for method in ("rtn", "awq")]
report = {
    "date": datetime.date.today().isoformat(),
    "command": "make check-autoawq",
    "commit": commit,
    "versions": {"autoawq": "0.2.9", "transformers": transformers.__version__, "torch": torch.__version__},
    "text": TEXT,
    "limits": {"logit": LOGIT_LIMIT, "argmax": ARGMAX_LIMIT},
    "results": results,
}
RESULT.write_text(json.dumps(report, indent=2) + "\n")
sys.exit(0 if all(r["passed"] for r in results) else 1)
