"""What is measured of a run beside its scores: names in the ledger, and columns of the page."""

from __future__ import annotations

NUMBER = (float, int, None)
# heading, name, divided by, digits after the point; see :func:`.facts.facts`
LEARNT = (
    ("perplexity", "ppl", 1, 2),
    ("perplexity, own text", "train_ppl", 1, 2),
    ("perplexity, end of stage I", "stage1_ppl", 1, 2),
    ("agreement %", "agreement", 1, 1),
    ("NLL train", "train_nll", 1, 3),
    ("NLL valid", "valid_nll", 1, 3),
    ("accuracy train %", "train_accuracy", 1, 1),
    ("accuracy valid %", "valid_accuracy", 1, 1),
    ("p(best) %", "mode", 1, 2),
    ("threshold", "threshold", 1, 3),
    ("its spread", "threshold_sd", 1, 3),
    ("H of its text", "text_entropy", 1, 3),
)
COST = (
    ("M parameters", "parameters", 1e6, 2),
    ("MB exported", "megabytes", 1, 2),
    ("tokens/s, CTranslate2", "ctranslate2_tps", 1, 0),
    ("tokens/s, fairseq", "tps", 1, 0),
    ("updates", "updates", 1, 0),
    ("updates/s", "ups", 1, 2),
    ("peak MB", "peak_mb", 1, 0),
    ("peak GB, GPU", "peak_gpu_gb", 1, 1),
    ("hours", "seconds", 3600, 2),
)
COLUMNS = (*LEARNT, *COST)
FACTS = tuple(name for _, name, _, _ in COLUMNS)
MEASURES = ("BLEU", "chrF", *(name for name in FACTS if name not in ("updates", "seconds")))
STEPS = ("agreement", "fit", "speed", "text", "origlang")  # of ``measure``: each takes a step
TOLD = {  # what a column's numbers are, where that needs words
    "train_ppl": "perplexity, own text: of the last epoch on the text that the model learnt, while "
    "it was learning",
    "stage1_ppl": "end of stage I: perplexity of its last validation",
    "train_nll": "NLL and accuracy: of the model's own training text and of the valid set, in bits "
    "a token; far apart: it remembers, equal: it is too small or has not converged",
    "mode": "p(best): the mean probability that a model gives to its best translation of a test "
    "sentence",
    "threshold": "threshold and its spread: of the tokens' difficulty from which Selective-KD "
    "distils, mean and standard deviation over the updates of the last epoch",
    "text_entropy": "H of its text: bits of a word given the one before, in the training targets",
    "ctranslate2_tps": "tokens/s: of target tokens written, one thread, seconds of the processor "
    "(on a GPU of the clock)",
    "peak_mb": "peak MB: the most memory of the training process, a live teacher's included",
}
