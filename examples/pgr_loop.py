"""Weak-to-strong supervision in one file: teacher, weak labels, student, ceiling, PGR.

    python examples/pgr_loop.py                     # MiniLM teaches SmolLM2-135M about grammar: minutes on a laptop
    python examples/pgr_loop.py --data FOLDER --teacher FOLDER --student FOLDER

Plain torch and transformers: no Ray, no sandbox, no averaging over seeds, and no test set to protect. This is what aar
computes for one seed of the vanilla method. Read it before `aar/scoring` and `aar/models`. One run on two cores took
five minutes and gave teacher 0.694, student 0.771, ceiling 0.931, PGR 0.33.
"""

import argparse
import math

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoModel, AutoTokenizer

from aar.config import DatasetConfig
from aar.models.catalog import model_folder
from aar.problems.dataset import Preference, Split
from aar.problems.key import Key
from aar.problems.loading import load_dataset

Pair = tuple[str, str]
RANK, LAST_LAYERS, BATCH, WARMUP = 8, 5, 16, 0.1


class Lora(nn.Module):
    """A frozen linear layer plus a trainable low-rank change (Hu et al. 2021, arXiv 2106.09685)."""

    def __init__(self, frozen: nn.Linear) -> None:
        super().__init__()
        self.frozen = frozen
        self.down = nn.Parameter(torch.randn(frozen.in_features, RANK) / math.sqrt(frozen.in_features))
        self.up = nn.Parameter(torch.zeros(RANK, frozen.out_features))

    def forward(self, x: Tensor) -> Tensor:
        return self.frozen(x) + x @ self.down @ self.up


class Student(nn.Module):
    """A causal language model with LoRA on its last layers and a scalar head: the score of a text."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.tokenizer.pad_token = self.tokenizer.pad_token or self.tokenizer.eos_token
        self.tokenizer.padding_side = "right"
        self.network = AutoModel.from_pretrained(folder, dtype=torch.float32).requires_grad_(False)
        for layer in self.network.layers[-LAST_LAYERS:]:
            for block in (layer.self_attn, layer.mlp):
                for name, linear in list(block.named_children()):
                    if isinstance(linear, nn.Linear):
                        setattr(block, name, Lora(linear))
        self.head = nn.Linear(self.network.config.hidden_size, 1)

    def margins(self, pairs: list[Pair]) -> Tensor:
        """Return the (n,) log-odds that the second text is the better one (Bradley-Terry): the logit of label 1."""
        texts = [text for pair in pairs for text in pair]
        tokens = self.tokenizer(texts, padding=True, return_tensors="pt")
        hidden = self.network(tokens.input_ids, attention_mask=tokens.attention_mask).last_hidden_state
        last = hidden[torch.arange(len(texts)), tokens.attention_mask.sum(1) - 1]
        scores = self.head(last).view(-1, 2)
        return scores[:, 1] - scores[:, 0]


def teach(folder: str, pairs: list[Pair], labels: Tensor) -> LogisticRegression:
    """Train the teacher: a linear head on the difference of two sentence embeddings of a frozen encoder."""
    # Without an intercept, swapping the two texts swaps the answer.
    return LogisticRegression(C=100, fit_intercept=False, max_iter=5000).fit(embed(folder, pairs), labels)


@torch.no_grad()
def embed(folder: str, pairs: list[Pair]) -> Tensor:
    """Return (n, hidden): the second text's mean-pooled vector minus the first's."""
    tokenizer, encoder = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    vectors = []
    for batch in batches([text for pair in pairs for text in pair], 64):
        tokens = tokenizer(batch, padding=True, truncation=True, max_length=256, return_tensors="pt")
        hidden, mask = encoder(**tokens).last_hidden_state, tokens.attention_mask[..., None]
        vectors.append(nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1))
    both = torch.cat(vectors).view(len(pairs), 2, -1)
    return both[:, 1] - both[:, 0]


def fine_tune(folder: str, pairs: list[Pair], targets: Tensor, lr: float, epochs: int) -> Student:
    """Train the student on (n,) targets: hard labels or probabilities of label 1."""
    student = Student(folder)
    trainable = [parameter for parameter in student.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=lr)
    order = torch.cat([torch.randperm(len(pairs)) for _ in range(epochs)]).split(BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step / len(order)))
    for rows in order:
        margins = student.margins([pairs[row] for row in rows])
        binary_cross_entropy_with_logits(margins, targets[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    return student


def rate(progress: float) -> float:
    """Return the learning rate's factor: linear warm-up, then linear decay to zero."""
    return min(progress / WARMUP + 1e-2, (1 - progress) / (1 - WARMUP))


@torch.no_grad()
def accuracy(student: Student, pairs: list[Pair], labels: Tensor) -> float:
    """Return the share of pairs in which the better text has the higher score."""
    margins = torch.cat([student.eval().margins(batch) for batch in batches(pairs, 64)])
    return float(((margins > 0) == (labels > 0.5)).float().mean())


def batches(items: list, size: int) -> list[list]:
    return [items[at : at + size] for at in range(0, len(items), size)]


def pairs_of(split: Split) -> tuple[list[Pair], Tensor]:
    """Return both texts of each row, and the index of the better one."""
    rows = [row for row in split.examples if isinstance(row, Preference)]
    return [(row.prompt + row.first, row.prompt + row.second) for row in rows], torch.tensor(split.labels).float()


def main(data: str, teacher: str, student: str, lr: float, epochs: int) -> float:
    """Run the loop, print the three accuracies and the PGR, and return the PGR."""
    torch.manual_seed(0)
    sizes = {"train_label": 150, "train_unlabel": 1000, "test": 800} if data == "minimal-pairs" else {}
    dataset = load_dataset(DatasetConfig(name="loop", source=data, **sizes), Key.new())
    weak_folder, strong_folder = (str(model_folder(name)) for name in (teacher, student))
    splits = (dataset.train_label, dataset.train_unlabel, dataset.test)
    (taught, truth), (pairs, hidden), (test, answers) = map(pairs_of, splits)
    head = teach(weak_folder, taught, truth)
    weak_labels = torch.tensor(head.predict(embed(weak_folder, pairs)))
    weak = head.score(embed(weak_folder, test), answers)
    transfer = accuracy(fine_tune(strong_folder, pairs, weak_labels, lr, epochs), test, answers)
    ceiling = accuracy(fine_tune(strong_folder, pairs, hidden, lr, epochs), test, answers)
    pgr = (transfer - weak) / (ceiling - weak) if ceiling > weak else math.nan
    print(f"teacher {weak:.3f}   student {transfer:.3f}   ceiling {ceiling:.3f}   PGR {pgr:.2f}")
    return pgr


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="minimal-pairs", help="or a folder with preference rows in the three files")
    parser.add_argument("--teacher", default="minilm", help="a sentence encoder")
    parser.add_argument("--student", default="smollm2-135m", help="a causal language model")
    parser.add_argument("--lr", type=float, default=3e-3)
    main(**vars(parser.parse_args()), epochs=1)
